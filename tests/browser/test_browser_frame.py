"""The frame of a page: its menu at the desk and on the phone, its messages and dialogs; and what folds."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import expect

from browsers import CHROMIUM, enter, too_wide
from gptagent.features.agents import service as agents
from gptagent.kernel.clock import utcnow
from servers import serving

MINI = re.compile(r"\bsidebar--mini\b")
MODEL = {"LLM_MODEL": "sandbox", "LLM_BASE_URL": "http://127.0.0.1:9/v1", "LLM_API_KEY": "key"}

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


@pytest.fixture(scope="module")
def web(home, roles):
    """With a model that nobody asks: rules are for one."""
    with serving(home, REGISTRATION="open", EGRESS_ALLOW="127.0.0.1:9", **MODEL) as server:
        yield server


async def test_the_menu_stays_as_it_was_folded(browser, web, world):
    """U009, U010"""
    page, base = await enter(browser, web, world)
    menu = page.get_by_role("navigation", name="Sections")
    await page.goto(f"{base}/dashboard")
    await expect(menu).not_to_have_class(MINI)
    await page.keyboard.press("Control+b")
    for _ in range(2):
        await expect(menu).to_have_class(MINI)
        link = menu.get_by_role("link", name="AI agents")
        await expect(link).to_be_visible()
        await expect(link).to_have_attribute("title", "AI agents")
        await page.reload()
    await page.get_by_role("button", name="Fold the menu").click()
    await expect(menu).not_to_have_class(MINI)
    await menu.locator("summary", has_text="Knowledge base").click()
    for _ in range(2):
        await expect(menu.get_by_role("link", name="Documents")).to_be_hidden()
        await expect(menu.get_by_role("link", name="AI agents")).to_be_visible()
        await page.reload()
    assert page.complaints == []


async def test_on_the_phone_the_menu_opens_over_the_page(browser, web, world):
    """U011"""
    page, base = await enter(browser, web, world, width=375)
    await page.goto(f"{base}/dashboard")
    menu = page.locator("#sidebar")
    await expect(menu).to_be_hidden()
    await page.get_by_role("button", name="Open the menu").click()
    await expect(menu).to_be_visible()
    assert await too_wide(page) <= 0
    await page.keyboard.press("Escape")
    await expect(menu).to_be_hidden()
    await page.get_by_role("button", name="Open the menu").click()
    await menu.get_by_role("link", name="AI agents").click()
    await page.wait_for_url("**/ai-agents")
    await expect(menu).to_be_hidden()


async def test_messages_come_to_five_and_go_and_a_dialog_keeps_the_focus(browser, web, world):
    """U030, U032"""
    page, base = await enter(browser, web, world, keeps_messages=False)
    await page.clock.install()
    await page.goto(f"{base}/ai-agents")
    toasts, switch = page.locator("#toasts > *"), page.get_by_role("switch", name="Agent: answer customers")
    await page.route("**/active", lambda route: route.fulfill(status=503))
    for number in range(1, 8):
        await switch.click()
        await expect(toasts).to_have_count(min(number, 5))
        await expect(switch).not_to_have_attribute("aria-busy", "true")
    await expect(toasts.first).to_have_role("alert")
    await page.unroute("**/active")
    done = page.locator("#toasts .toast--success")
    await page.clock.pause_at(utcnow() + timedelta(minutes=1))
    await switch.click()
    async with asyncio.timeout(20):
        while not await done.count():
            await page.clock.run_for(1)  # the library waits for moments of it
    await expect(done).to_have_role("status")
    await page.clock.fast_forward(4_000)
    await expect(done).to_have_count(0)
    await expect(toasts).to_have_count(4)  # what went wrong stays until it is closed
    await page.clock.resume()

    opener = page.get_by_role("button", name="Delete “Agent”")
    await opener.click()
    dialog = page.get_by_role("alertdialog", name="Delete the agent “Agent”?")
    await expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    for _ in range(6):
        await page.keyboard.press("Tab")
        assert await dialog.evaluate(
            "one => [document.body, one].some(at => at === document.activeElement)"
            " || one.contains(document.activeElement)"
        )
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(opener).to_be_focused()


async def test_rules_are_folded_one_by_one_and_all_together(browser, web, world):
    """U097"""
    rules = [{"field": name, "condition": "When it is named"} for name in ("name", "price")]
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
        await agents.update_agent(session, agent.id, {"update_rules": {"lead": rules}})
    page, base = await enter(browser, web, world)
    await page.goto(f"{base}/ai-agents/{agent.id}/leads-contacts")
    of_deals = page.get_by_role("group", name="Deal", exact=True)
    fields = of_deals.locator("textarea")
    await expect(fields).to_have_count(2)
    for button, is_shown in (("Unfold all", True), ("Fold all", False)):
        await of_deals.get_by_role("button", name=button, exact=True).click()
        for place in range(2):
            await expect(fields.nth(place)).to_be_visible(visible=is_shown)
    await of_deals.locator("summary", has_text="2. Budget").click()
    await expect(fields.nth(1)).to_be_visible()
    await expect(fields.nth(0)).to_be_hidden()
