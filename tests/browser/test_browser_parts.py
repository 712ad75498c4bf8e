"""What a part of a page shows while it is fetched, and when it cannot be."""

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import expect

from browsers import CHROMIUM, TELL, enter, open_live, too_wide

TELL_WHEN_ASKED = """id => document.addEventListener("htmx:finally:request", ({ target }) => {
  if (target.id === id) document.body.dataset.asked = id;
})"""
WRITTEN = "Delivery takes **two** days."

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


@pytest.fixture
async def asked(browser, web, world, scene):
    """The page, and by name what people ask it for: how, from which address, where it comes, its words."""
    page, base = await enter(browser, web, world, width=375)

    async def ask(name):
        if name == "drawer":
            await open_live(page, f"{base}/conversations/{scene.conversation_id}")
            link = page.get_by_role("link", name="How it was made").last
            return link.click, "**part=drawer**", page.locator("#explained .drawer__body"), "Play again"
        await open_live(page, f"{base}/knowledge-items/create")
        if name == "preview":
            fill = page.locator("#content").fill
            return lambda: fill(WRITTEN), "**/preview", page.locator("#content-preview"), "two"
        fill = page.locator("#related_q").fill
        return lambda: fill("open"), "**/related", page.locator("#related-picked"), "Opening hours"

    return page, ask


@pytest.mark.parametrize("name", ["preview", "picker", "drawer"])
async def test_what_was_asked_for_shows_its_shape_or_that_it_is_lost_and_is_asked_for_again(name, asked):
    """U048, U064, U146: what was typed stays, and no message covers what the part says itself."""
    page, ask = asked
    act, address, part, words = await ask(name)
    held = asyncio.Queue()
    await page.route(address, held.put)
    height = (await part.bounding_box() or {"height": 0})["height"]
    await act()
    await expect(part.locator(".skeleton").first).to_be_visible()
    await expect(part).to_have_attribute("aria-busy", "true")
    if name == "preview":
        assert (await part.bounding_box())["height"] == height
    assert await too_wide(page) <= 0
    await (await held.get()).fulfill(status=503)
    lost = part.get_by_role("alert")
    await expect(lost).to_contain_text("could not be loaded")
    await expect(part.locator(".skeleton")).to_have_count(0)
    await expect(part).not_to_have_attribute("aria-busy", "true")
    await lost.get_by_role("button", name="Repeat").click()
    await expect(part.locator(".skeleton").first).to_be_visible()
    await (await held.get()).abort()
    await expect(lost.locator("button:not([aria-busy])")).to_be_focused()  # it lay under the skeleton
    assert await too_wide(page) <= 0
    await page.unroute(address)
    await page.keyboard.press("Enter")
    await expect(part).to_contain_text(words)
    await expect(lost).to_have_count(0)
    fields = {"preview": page.locator("#content"), "picker": page.locator("#related_q")}
    await expect(fields.get(name, part)).to_be_focused()
    await expect(page.locator("#toasts > *")).to_have_count(0)
    if name == "preview":
        await expect(page.locator("#content")).to_have_value(WRITTEN)


@pytest.mark.parametrize("name", ["preview", "picker"])
async def test_what_is_typed_while_an_answer_is_on_its_way_is_what_is_answered(name, asked):
    """U048: what was typed last counts, and shows its shape though what was asked before is broken off."""
    page, ask = asked
    act, address, part, words = await ask(name)
    field = page.locator("#content" if name == "preview" else "#related_q")
    held = asyncio.Queue()
    await page.route(address, held.put)
    async with asyncio.timeout(60):
        await field.fill("first")
        await held.get()
        await field.fill("second")
        await held.get()
        await act()
        last = await held.get()
    await expect(part.locator(".skeleton").first).to_be_visible()
    await expect(part).to_have_attribute("aria-busy", "true")
    await last.continue_()
    await expect(part).to_contain_text(words)
    await expect(part.locator(".skeleton")).to_have_count(0)
    await expect(page.locator("[data-lost], #toasts > *")).to_have_count(0)


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
    await lost.evaluate("lost => { lost.dataset.seen = 'before'; }")
    await page.evaluate(TELL_WHEN_ASKED, "thread")
    await page.evaluate(TELL, f"conversations/{scene.conversation_id}")
    await expect(page.locator("body[data-asked=thread]")).to_have_count(1)
    await expect(lost).to_have_attribute("data-seen", "before")  # nobody hears it twice
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
