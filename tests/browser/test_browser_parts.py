"""What a part of a page shows while it is fetched, and when it cannot be."""

from pathlib import Path

import pytest
from playwright.async_api import expect

from browsers import CHROMIUM, TELL, enter, too_wide

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


async def test_a_live_part_that_is_lost_says_so_and_heals_when_the_connection_is_back(
    browser, web, world, scene
):
    """U048, U182: the others of the page live on, what was typed stays, and nobody has to press anything."""
    page, base = await enter(browser, web, world, width=375)
    await page.goto(f"{base}/conversations/{scene.conversation_id}")
    await page.locator("#reply-text").fill("From ten.")
    lost, offline = page.locator("#thread > [data-lost]"), page.locator("[data-offline]")
    await page.route("**part=thread**", lambda route: route.fulfill(status=503))
    await page.evaluate(TELL, f"conversations/{scene.conversation_id}")
    await expect(lost).to_contain_text("could not be loaded")
    await expect(page.locator("[data-lost]")).to_have_count(1)
    await expect(page.locator("#reply-text")).to_be_in_viewport()
    assert await too_wide(page) <= 0
    await page.context.set_offline(True)
    await expect(offline).to_be_visible()
    await scene.says("Is anybody there?")
    await page.unroute("**part=thread**")
    await page.context.set_offline(False)
    await expect(offline).to_be_hidden()
    await expect(lost).to_have_count(0)
    await expect(page.locator("#thread")).to_contain_text("Is anybody there?")
    await expect(page.locator("#reply-text")).to_have_value("From ten.")
    await expect(page.locator("#toasts > *")).to_have_count(0)
