"""From a conversation to its customer's erasure, and a person's own, in a real browser."""

import json
import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from browsers import CHROMIUM, keep_messages, too_wide
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.ids import new_id
from gptagent.kernel.settings import Settings
from isolation.estate import furnish
from members import PASSWORD, add_member, cookie_of, set_password
from servers import serving

WIDTHS = (375, 1280)
pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


@pytest.fixture(scope="module")
def web(home, roles):
    with serving(home, REGISTRATION="open") as server:
        yield server


@pytest.fixture
async def estate(home, database):
    """A workspace whose customer is called by a word found nowhere else."""
    return await furnish(database, load_vault(Settings(gptagent_home=home)), f"rabbit{new_id().hex[-9:]}")


@pytest.fixture
async def enter(browser, web, database):
    """Return what gives somebody a browser of their own."""

    async def entered(scope, width):
        size = {"width": width, "height": 900}
        context = await browser.new_context(base_url=web.url, viewport=size, locale="en-GB")
        await keep_messages(context)
        cookies = {"session": await cookie_of(database, scope), "language": "en"}
        await context.add_cookies([{"name": n, "value": v, "url": web.url} for n, v in cookies.items()])
        return await context.new_page()

    return entered


async def take(page, button):
    """Return the file a click hands out."""
    async with page.expect_download() as download:
        await button.click()
    return json.loads(Path(await (await download.value).path()).read_bytes())


async def fits(page):
    assert await too_wide(page) <= 0, page.url


async def lead_to_the_customer(page, width):
    """On the phone the customer lies behind a button of the conversation."""
    if width < 1_200:
        await page.get_by_role("link", name="Deal and customer").click()
    async with page.expect_navigation():
        await page.get_by_role("link", name="Hand out or erase what is kept").click()


@pytest.mark.parametrize("width", WIDTHS)
async def test_a_customer_is_handed_out_and_erased_from_their_conversation(width, enter, estate, database):
    page = await enter(estate.scope, width)
    await page.goto(f"/manage/{estate.number}-{estate.slug}/conversations/{estate.conversation_id}")
    conversation = page.url
    await lead_to_the_customer(page, width)
    row = page.get_by_role("row", name=estate.canary)
    await expect(row).to_have_count(1)
    await fits(page)
    kept = await take(page, row.get_by_role("link", name="Export"))
    assert [message["text"] for message in kept["messages"]] == [estate.canary]

    await row.get_by_role("button", name="Erase").click()
    dialog = page.get_by_role("alertdialog", name=f"Erase “{estate.canary}”?")
    await expect(dialog).to_contain_text("This cannot be undone.")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    assert (await page.goto(conversation)).status == 200

    await lead_to_the_customer(page, width)
    await row.get_by_role("button", name="Erase").click()
    await dialog.get_by_role("button", name="Erase the customer").click()
    await expect(page.get_by_text("The customer is erased")).to_be_visible()
    await fits(page)
    assert (await page.goto(conversation)).status == 404
    async with database.session(estate.scope) as session:
        assert await session.fetchval("select count(*) from app.message") == 0


@pytest.mark.parametrize("width", WIDTHS)
async def test_a_person_takes_what_is_kept_and_erases_their_account(width, enter, estate, database):
    bob = await add_member(database, estate.scope, "member", email=f"{new_id().hex}@bob.test")
    await set_password(database, bob)
    async with database.session(bob) as session:
        email = await session.fetchval("select email from app.person where id = $1", bob.actor.id)
    page = await enter(bob, width)
    await page.goto(f"/manage/{estate.number}-{estate.slug}/account-settings/privacy")
    await fits(page)
    kept = await take(page, page.get_by_role("link", name="Export"))
    assert [one["email"] for one in kept["person"]] == [email]

    await page.get_by_label("Your password").fill("not the right one")
    await page.get_by_role("button", name="Erase my account for ever").click()
    await expect(page.get_by_text("This is not your password.")).to_be_visible()
    await fits(page)
    await page.get_by_label("Your password").fill(PASSWORD)
    await page.get_by_role("button", name="Erase my account for ever").click()
    await expect(page.get_by_text("Your account is erased")).to_be_visible()
    await expect(page).to_have_url(re.compile("/login$"))

    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in", exact=True).click()
    await expect(page.get_by_role("alert")).to_be_visible()
    await expect(page).to_have_url(re.compile("/login$"))
    await page.goto("/manage")
    await expect(page).to_have_url(re.compile("/login"))
