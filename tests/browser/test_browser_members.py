"""Members in a real browser, on a phone and on a desk: invite by link, come in, change the role, remove."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from browsers import CHROMIUM, too_wide
from members import PASSWORD, cookie_of, number_of
from servers import serving

LOOKING_GLASS = re.compile(r"-looking-glass/dashboard$")

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


@pytest.fixture(scope="module")
def web(home, roles):
    with serving(home, REGISTRATION="invite") as server:
        yield server


async def fits(page: Page) -> None:
    """Nothing makes the page wider than the screen."""
    assert await too_wide(page) <= 0


@pytest.mark.parametrize("width", [375, 1280])
async def test_a_person_is_invited_comes_in_and_is_put_out(web, browser, database, scope, width):
    """TEN-5, U189"""
    screen = {"viewport": {"width": width, "height": 900}, "locale": "en-GB"}
    desk, guest = await browser.new_context(**screen), await browser.new_context(**screen)
    cookie = {"name": "session", "value": await cookie_of(database, scope), "url": web.url}
    await desk.add_cookies([cookie, {"name": "language", "value": "en", "url": web.url}])
    alice, eve = await desk.new_page(), await guest.new_page()
    members = f"{web.url}/manage/{await number_of(database, scope)}-alice-s/settings/members"

    await alice.goto(members)
    await fits(alice)
    await alice.get_by_role("radio", name="Link").check()
    async with alice.expect_navigation():
        await alice.get_by_role("button", name="Invite").click()
    link = await alice.get_by_role("textbox", name="Link").input_value()
    await fits(alice)

    await eve.goto(link.replace("localhost", "127.0.0.1"))
    await fits(eve)
    await eve.get_by_label("First name").fill("Eve")
    await eve.get_by_label("Last name").fill("Newcomer")
    await eve.get_by_label("E-mail").fill(f"eve{width}@example.test")
    await eve.get_by_label("Password").fill(PASSWORD)
    await eve.get_by_role("button", name="Create the account and join").click()
    await expect(eve.get_by_role("heading", level=1)).to_have_text("Hello, Eve")

    # The list has its newcomer by itself, and the used invitation is gone from it.
    row = alice.get_by_role("row").filter(has_text="Eve Newcomer")
    await expect(row).to_contain_text("Member")
    await expect(alice.get_by_text("Whoever has the link")).to_have_count(0)

    await row.get_by_role("button", name="Change the access of Eve Newcomer").click()
    dialog = alice.get_by_role("dialog", name="Access of Eve Newcomer")
    await fits(alice)
    await dialog.get_by_label("Role").select_option(label="Viewer")
    async with alice.expect_navigation():
        await dialog.get_by_role("button", name="Change the role").click()
    await expect(row).to_contain_text("Viewer")

    await row.get_by_role("button", name="Remove Eve Newcomer").click()
    async with alice.expect_navigation():
        await alice.get_by_role("alertdialog").get_by_role("button", name="Remove").click()
    await expect(row).to_have_count(0)
    await eve.goto(f"{web.url}/manage")
    await expect(eve.get_by_role("heading", level=1)).to_have_text("You have no workspace")
    await fits(eve)


async def test_of_many_workspaces_one_is_found_by_its_name(web, browser, database, scope):
    """U012, U013, U014"""
    from gptagent.features.organizations import service

    for name in (
        "Looking Glass",
        "Wonderland",
        "Tea party",
        "Croquet",
        "A rather long name of a company " * 3,
    ):
        await service.open_workspace(
            database, name, locale="en", origin=scope.origin, person_id=scope.actor.id
        )
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    cookie = {"name": "session", "value": await cookie_of(database, scope), "url": web.url}
    await context.add_cookies([cookie, {"name": "language", "value": "en", "url": web.url}])
    page = await context.new_page()
    await page.goto(f"{web.url}/manage")
    await page.get_by_role("button", name="Alice's").click()
    menu = page.locator("#workspaces")
    await expect(menu.locator("a[aria-current=true]")).to_contain_text("Alice's")
    await menu.get_by_role("searchbox").fill("glass")
    await expect(menu.locator("a[data-workspace]:visible")).to_have_count(1)
    await menu.get_by_role("searchbox").fill("nothing like it")
    await expect(menu.get_by_text("No workspace has this name.")).to_be_visible()
    await menu.get_by_role("searchbox").fill("glass")
    await menu.get_by_role("link", name="Looking Glass").click()
    await expect(page).to_have_url(LOOKING_GLASS)
    await page.goto(f"{web.url}/manage")
    await expect(page).to_have_url(LOOKING_GLASS)


async def test_a_dialog_opened_while_the_list_is_on_its_way_stays_open(web, browser, database, scope):
    """TEN-5: the list waits for the dialog, and comes when it is closed."""
    context = await browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    cookie = {"name": "session", "value": await cookie_of(database, scope), "url": web.url}
    await context.add_cookies([cookie, {"name": "language", "value": "en", "url": web.url}])
    watching, inviting = await context.new_page(), await context.new_page()
    members = f"{web.url}/manage/{await number_of(database, scope)}-alice-s/settings/members"
    await watching.goto(members)
    await watching.evaluate(
        """() => {
          const open = (event) => {
            if (event.target.id === "members") document.getElementById("leave").showModal();
          };
          document.addEventListener("htmx:after:request", open, { once: true });
          document.addEventListener("htmx:finally:request", () => {
            document.body.dataset.answered = "yes";
          });
        }"""
    )
    await inviting.goto(members)
    await inviting.get_by_role("radio", name="Link").check()
    async with inviting.expect_navigation():
        await inviting.get_by_role("button", name="Invite").click()

    await watching.bring_to_front()
    await watching.locator("body[data-answered]").wait_for()
    dialog = watching.get_by_role("alertdialog", name="Leave the workspace?")
    await expect(dialog).to_be_visible()
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(watching.get_by_text("Whoever has the link")).to_be_visible()
