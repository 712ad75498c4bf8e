"""A key of a program in a real browser, and the description of what it opens."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import expect

from browsers import CHROMIUM, too_wide
from cast import make_scope
from members import cookie_of, number_of
from servers import serving

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


@pytest.fixture(scope="module")
def web(home, roles):
    with serving(home) as server:
        server.url = server.url.replace("127.0.0.1", "localhost")  # as PUBLIC_URL's default has it
        yield server


@pytest.fixture(params=[375, 1280])
async def page(browser, request, web):
    """A browser that knows its language; `complaints` are what its console says."""
    size = {"width": request.param, "height": 900}
    page = await browser.new_page(locale="en-GB", base_url=web.url, viewport=size)
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    await page.context.close()


async def fits(page):
    assert await too_wide(page) <= 0, page.url


async def test_a_key_is_made_seen_once_and_revoked(page, database, web):
    """AUTH-14, U188"""
    scope = await make_scope(database)
    cookie = {"name": "session", "value": await cookie_of(database, scope), "url": web.url}
    await page.context.add_cookies([cookie])
    await page.goto(f"/manage/{await number_of(database, scope)}-acme/settings/api-keys")
    await expect(page.get_by_text("No keys yet")).to_be_visible()
    async with page.expect_navigation():
        await page.get_by_role("link", name="Create a key").first.click()
    await fits(page)
    await page.get_by_label("See everything of the workspace").uncheck()
    await page.get_by_label("Name").fill("Website")
    await page.get_by_role("button", name="Create the key").click()
    await expect(page.get_by_text("Choose at least one right.")).to_be_visible()
    await expect(page.get_by_label("Name")).to_have_value("Website")
    await page.get_by_label("See everything of the workspace").check()
    async with page.expect_navigation():
        await page.get_by_role("button", name="Create the key").click()
    secret = await page.get_by_label("Key", exact=True).input_value()
    assert secret.startswith("gpa_")
    web.used.add(secret)
    await fits(page)
    await page.reload()  # the form goes out once more
    await expect(page.get_by_text("This key was made already.")).to_be_visible()
    assert secret not in await page.content()
    await expect(page.locator("tbody tr")).to_have_count(1)
    await fits(page)
    await page.get_by_role("button", name="Revoke Website").click()
    await page.get_by_role("button", name="Revoke", exact=True).click()
    await expect(page.get_by_text("Revoked", exact=True)).to_be_visible()
    assert [said for said in page.complaints if "status of 422" not in said] == []


async def test_the_description_is_read_under_the_content_policy(page):
    await page.goto("/api/docs")
    await expect(page.get_by_text("Get your account", exact=True)).to_be_visible(timeout=120_000)
    async with asyncio.timeout(120):  # what is below the window is drawn when it is scrolled to
        while not await page.get_by_text("Create a silent agent").count():
            await page.mouse.wheel(0, 600)
            await page.wait_for_timeout(100)
    await page.get_by_text("Create a silent agent").click()
    await expect(page.get_by_text("Idempotency-Key").first).to_be_visible()
    assert page.complaints == []
