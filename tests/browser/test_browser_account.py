"""A person's own account in a real browser: profile, password, second step, passkey."""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pyotp
import pytest
from PIL import Image
from playwright.async_api import Browser, Locator, Page, expect

from browsers import CHROMIUM, keep_messages, too_wide
from cast import make_scope
from members import PASSWORD, number_of
from servers import Server, serving

NEW_PASSWORD = "staple of a battery horse"
WIDTHS = (375, 1280)

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


@pytest.fixture(scope="module")
def web(home, roles) -> Iterator[Server]:
    with serving(home, REGISTRATION="open") as server:
        server.url = server.url.replace("127.0.0.1", "localhost")  # as PUBLIC_URL's default has it
        yield server


async def open_page(browser: Browser, width: int, url: str) -> Page:
    """Return a page whose browser has an authenticator built in that knows its owner's finger."""
    page = await browser.new_page(
        locale="en-GB",
        viewport={"width": width, "height": 900},
        base_url=url,
        extra_http_headers={"x-forwarded-for": f"192.0.2.{width % 250}"},  # log-ins are limited by address
    )
    await keep_messages(page.context)
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True}
    verified = {"hasUserVerification": True, "isUserVerified": True, "automaticPresenceSimulation": True}
    await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": {**options, **verified}})
    return page


async def log_in(page: Page, email: str, password: str) -> None:
    await page.goto("/login")
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Log in", exact=True).click()


async def log_out(page: Page) -> None:
    await page.get_by_role("button", name="Menu:").click()
    async with page.expect_navigation():
        await page.get_by_role("button", name="Log out", exact=True).click()
    await expect(page.get_by_text("You are logged out.")).to_be_visible()


async def fits(page: Page, landmark: Locator) -> None:
    """Nothing of the page with this landmark reaches beyond the screen."""
    await expect(landmark).to_be_visible()
    assert await too_wide(page) <= 0, page.url


def picture() -> bytes:
    file = BytesIO()
    Image.new("RGB", (640, 480), "teal").save(file, "PNG")
    return file.getvalue()


async def change_profile(page: Page) -> None:
    await page.get_by_role("button", name="Menu:").click()
    async with page.expect_navigation():
        await page.get_by_role("link", name="Account settings").click()
    await expect(page.get_by_role("link", name="Profile")).to_have_attribute("aria-current", "page")
    await fits(page, page.get_by_label("First name"))
    await page.get_by_label("First name").fill("Alice Pleasance")
    await page.get_by_label("Last name").fill("Liddell")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("button", name="Menu: Alice Pleasance Liddell")).to_be_visible()
    await page.locator("#file").set_input_files(
        {"name": "me.png", "mimeType": "image/png", "buffer": picture()}
    )
    shown = page.get_by_role("button", name="Menu:").locator("img")
    await expect(shown).to_be_visible()
    assert await shown.evaluate("image => image.decode().then(() => image.naturalWidth)") == 256


async def change_password(page: Page) -> None:
    await page.get_by_role("link", name="Security").click()
    await fits(page, page.get_by_label("Current password"))
    await page.get_by_label("Current password").fill(PASSWORD)
    await page.locator("#new_password").fill(NEW_PASSWORD)
    await page.get_by_label("New password once more").fill(NEW_PASSWORD)
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_text("The password is changed")).to_be_visible()


async def set_up_app(page: Page) -> tuple[str, str]:
    """Return the app's secret and one recovery code."""
    await page.get_by_role("link", name="Set up").click()
    qr = page.get_by_role("img", name="QR code")
    await fits(page, qr)
    assert await qr.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100
    secret = (await page.locator("code").inner_text()).replace(" ", "")
    await page.get_by_label("Code from the app").fill(pyotp.TOTP(secret).now())
    await page.get_by_role("button", name="Switch on").click()
    codes = page.locator(".account__codes li")
    await expect(codes).to_have_count(10)
    await fits(page, codes.first)
    code = await codes.first.inner_text()
    async with page.expect_navigation():
        await page.get_by_role("link", name="I have kept them").click()
    return secret, code


async def give_code(page: Page, code: str) -> None:
    await fits(page, page.get_by_role("heading", name="Second step"))
    await page.get_by_label("Code").fill(code)
    await page.get_by_role("button", name="Log in", exact=True).click()


async def add_passkey(page: Page, security: str) -> None:
    await page.goto(security)
    async with page.expect_navigation():
        await page.get_by_role("link", name="Add a passkey").click()
    await fits(page, page.get_by_label("Name of the passkey"))
    await page.get_by_label("Name of the passkey").fill("My desk")
    await page.get_by_role("button", name="Create the passkey").click()
    await expect(page.get_by_text("The passkey is added")).to_be_visible()
    await fits(page, page.get_by_text("My desk", exact=True))


@pytest.mark.parametrize("width", WIDTHS)
async def test_a_person_looks_after_their_account(width, browser, web, database, scope):
    """AUTH-10, AUTH-17, U183"""
    async with database.session(scope) as session:
        email = await session.fetchval("select email from app.person where id = $1", scope.actor.id)
    security = f"/manage/{await number_of(database, scope)}-alice-s/account-settings/security"
    page = await open_page(browser, width, web.url)
    await log_in(page, email, PASSWORD)
    await change_profile(page)
    await change_password(page)
    secret, recovery = await set_up_app(page)
    await log_out(page)
    async with database.session(scope) as session:  # as if a while ago: each code counts once
        await session.execute("update app.totp set last_step = last_step - 2")

    await log_in(page, email, NEW_PASSWORD)
    await give_code(page, pyotp.TOTP(secret).now())
    await expect(page).to_have_url(re.compile("/dashboard$"))
    await add_passkey(page, security)
    await log_out(page)

    await page.get_by_role("button", name="Log in with a passkey").click()
    await expect(page).to_have_url(re.compile("/dashboard$"))
    await log_out(page)

    await log_in(page, email, NEW_PASSWORD)
    await give_code(page, recovery)
    await expect(page).to_have_url(re.compile("/dashboard$"))


async def test_a_browser_without_passkeys_is_told_so(browser, web):
    page = await browser.new_page(locale="en-GB", java_script_enabled=False, base_url=web.url)
    await page.goto("/login")
    await expect(page.get_by_text("Passkeys need JavaScript")).to_be_visible()
    await expect(page.get_by_role("button", name="Log in with a passkey")).to_be_hidden()


@pytest.fixture
async def scope(database):
    return await make_scope(database, "Alice's")
