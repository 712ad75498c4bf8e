"""The list of agents and the editor."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import expect

from browsers import CHROMIUM, TELL, enter, open_live, too_wide
from gptagent.features.agents import service as agents
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.kernel.clock import utcnow

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


async def test_the_editor_saves_a_tab_and_says_what_is_wrong_beside_the_field(browser, web, world, scene):
    """U074, U128"""
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
    page, base = await enter(browser, web, world)
    await page.goto(f"{base}/ai-agents/{agent.id}/edit")
    await page.locator("#handoff_text").fill("")
    async with page.expect_navigation():
        await page.keyboard.press("Control+s")
    await expect(page.locator("#handoff_text")).to_have_attribute("aria-invalid", "true")
    await page.locator("#handoff_text").fill("A colleague takes over.")
    await page.get_by_role("button", name="Publish").click()
    await expect(page.locator("body")).to_contain_text("It counts from the next answer on.")
    async with world.db.session(world.scope) as session:
        saved = await agents.get_agent(session, agent.id)
    assert saved.settings.handoff_text == "A colleague takes over."
    await page.goto(f"{base}/ai-agents/{agent.id}/advanced-settings")
    delay, error = page.locator("#response_delay_seconds"), page.locator("#response_delay_seconds-error")
    said = {"-1": "cannot be negative", "3601": "cannot be more than 3600 seconds", "1.5": "of whole seconds"}
    for typed, words in said.items():
        await delay.fill(typed)
        await delay.blur()
        await expect(error).to_contain_text(words)
    await delay.fill("3600")
    await delay.blur()
    await expect(error).to_have_count(0)


async def test_a_name_is_changed_in_the_list_by_double_click_and_by_keyboard(browser, web, world, scene):
    """AGT-7, U064"""
    page, base = await enter(browser, web, world)
    await page.clock.install()
    await page.goto(f"{base}/ai-agents")
    name = page.locator("a[data-renames]")
    await page.clock.pause_at(utcnow() + timedelta(minutes=1))  # a busy machine is slow to click twice
    await name.dblclick()
    await page.clock.resume()
    field = page.locator(".rename[open] input[name=name]")
    await expect(field).to_be_focused()
    await field.fill("Night desk")
    await page.evaluate("document.getElementById('agents').dataset.seen = 'before'")
    await page.evaluate(TELL, "agents")
    await expect(page.locator("#agents[data-seen]")).to_have_count(0)  # the list came anew meanwhile
    await expect(field).to_have_value("Night desk")
    async with page.expect_navigation():
        await field.press("Enter")
    await expect(page.locator("body")).to_contain_text("The agent is renamed")
    await name.focus()
    await page.keyboard.press("F2")
    await field.fill("Something else")
    await field.press("Escape")
    await expect(name).to_be_focused()
    await expect(name).to_have_text("Night desk")
    await page.keyboard.press("F2")
    await field.fill(" ")
    async with page.expect_navigation():
        await field.press("Enter")
    await expect(page.locator(".rename[open] .field__error")).to_contain_text("From 1 to 255 characters.")
    await page.goto(f"{base}/ai-agents")
    await page.locator("input[name=from]").fill("2090-01-01")
    await page.wait_for_url("**from=2090-01-01**")
    await expect(page.locator("body")).to_contain_text("Nothing found")
    await open_live(page, f"{base}/ai-agents")
    assert [one for one in page.complaints if "422" not in one] == []
    again = page.get_by_role("button", name="Repeat")
    await expect(again).to_be_hidden()
    # Refused, and broken off: it says so, and asks once more.
    for answer in (lambda route: route.fulfill(status=503), lambda route: route.abort()):
        await page.route("**part=list**", answer)
        await page.evaluate(TELL, "agents")
        await expect(again).to_be_visible()
        await expect(name).to_have_text("Night desk")
        await page.unroute("**part=list**")
        await again.click()
        await expect(again).to_be_hidden()
        await expect(page.locator("#agents")).to_be_focused()  # the cursor is where it was
    await page.goto(f"{base}/ai-agents?chosen=all")
    async with world.db.session(world.scope) as session:
        await agents.create_agent(session, "Made meanwhile", locale="en")
    await expect(page.locator("#agents")).to_contain_text("Made meanwhile")
    await expect(page.get_by_label("Choose “Made meanwhile”")).not_to_be_checked()
    await expect(page.get_by_label("Choose “Night desk”")).to_be_checked()
    await name.filter(has_text="Night desk").click()
    await page.wait_for_url("**/edit")


async def test_a_longer_list_of_the_editor_is_searched_and_what_is_ticked_is_taken_out(
    browser, web, world, scene
):
    """U087, U091"""
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
        for number in range(6):
            await categories.create_category(session, NewCategory(f"Shelf {number}"), now=utcnow())
    page, base = await enter(browser, web, world)
    # On a busy machine it would save itself with no category chosen, which is refused.
    await page.route("**by=itself", lambda route: route.fulfill(status=204))
    await page.goto(f"{base}/ai-agents/{agent.id}/edit")
    await page.get_by_label("Answer from all categories").click()
    search = page.locator("[data-check-search='knowledge.categories']")
    rows = page.locator("[id='knowledge.categories'] label:visible")
    await search.get_by_label("Search in the list").fill("SHELF 3")
    await expect(rows).to_have_text(["Shelf 3"])
    await rows.first.click()
    await search.get_by_label("Search in the list").press("Enter")
    await expect(search.get_by_role("button", name="Shelf 3: take out")).to_be_visible()
    await search.get_by_label("Search in the list").fill("nowhere")
    await expect(search).to_contain_text("Nothing found")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Publish").click()
    await expect(page.locator("body")).to_contain_text("It counts from the next answer on.")
    await search.get_by_role("button", name="Shelf 3: take out").click()
    await expect(search.get_by_role("button", name="Shelf 3: take out")).to_have_count(0)
    await expect(page.locator("[name='knowledge.categories']:checked")).to_have_count(0)
    assert page.complaints == []


WIDE_PAGES = (
    "dashboard",
    "ai-agents",
    "ai-agents/create",
    "ai-agents/{agent}/edit",
    "ai-agents/{agent}/integrations",
    "ai-agents/{agent}/advanced-settings",
    "ai-agents/{agent}/versions",
    "scenarios?agent={agent}",
    "conversations",
    "test-chat",
    "knowledge-items",
    "knowledge-items/create",
    "knowledge-categories",
    "knowledge-bench",
    "integrations",
)


async def test_tables_editors_and_threads_fit(browser, web, world, scene):
    """U206: in the longer one of the two languages"""
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
        await agents.create_agent(session, "Отдел сопровождения ключевых заказчиков", locale="ru")
    page, base = await enter(browser, web, world, language="ru")
    wrong = []
    for path in WIDE_PAGES:
        answer = await page.goto(f"{base}/{path.format(agent=agent.id)}")
        assert answer.status == 200, path
        for width in (375, 768, 1280):
            await page.set_viewport_size({"width": width, "height": 900})
            if excess := await too_wide(page):
                wrong.append((path, width, excess))
    assert wrong == [] and page.complaints == []


async def test_an_editor_with_unsaved_changes_is_not_left_unasked(browser, web, world, scene):
    """U070, U071, U072, U073"""
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
    page, base = await enter(browser, web, world)
    await page.goto(f"{base}/ai-agents/{agent.id}/edit")
    asked = page.locator("dialog#unsaved")
    await page.route("**by=itself", lambda route: route.abort())  # a busy machine is slower than an autosave
    await page.locator("#name").fill("")
    await page.locator("#name").blur()  # told as it is left, and gone once it is right
    await expect(page.locator("#name-error")).to_have_text("From 1 to 255 characters.")
    await page.locator("#name").fill(agent.name)
    await page.locator("#name").blur()
    await expect(page.locator("#name-error")).to_have_count(0)
    await page.get_by_role("link", name="Basic").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("link", name="Integrations", exact=True)).to_be_focused()
    await page.locator("#handoff_text").fill("A colleague comes.")
    await page.get_by_role("link", name="Versions").click()
    await expect(asked).to_be_visible()
    await expect(asked.get_by_role("button", name="Stay")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(asked).to_be_hidden()
    await expect(page.locator("#handoff_text")).to_have_value("A colleague comes.")
    await page.locator("#handoff_text").fill("")
    async with page.expect_navigation():
        await page.keyboard.press("Control+s")
    await expect(page.locator("#handoff_text")).to_be_focused()  # refused: what was typed is still not saved
    await page.get_by_role("link", name="Versions").click()
    await asked.get_by_role("button", name="Leave without saving").click()
    await page.wait_for_url("**/versions")
    await page.get_by_role("link", name="Basic").click()
    await page.wait_for_url("**/edit")
    await page.get_by_role("link", name="Advanced").click()  # nothing changed, nothing asked
    await page.wait_for_url("**/advanced-settings")


async def test_a_switch_that_is_not_obeyed_moves_back_and_says_so(browser, web, world, scene):
    """U060: it moves at once, waits, and tells what came of it, in the list and in the editor."""
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
    assert agent.is_active
    page, base = await enter(browser, web, world)
    held = asyncio.Queue()
    for path in ("/ai-agents", f"/ai-agents/{agent.id}/edit"):
        await page.goto(f"{base}{path}")
        switch = page.locator(".switch-form").get_by_role("switch")
        await page.route("**/active", held.put)
        for answer, said in ((503, "Something broke on our side"), (0, "No answer from the server")):
            await switch.click()
            await expect(switch).not_to_be_checked()
            await expect(switch).to_have_attribute("aria-busy", "true")
            route = await held.get()
            await (route.fulfill(status=answer) if answer else route.abort())
            await expect(switch).to_be_checked()
            await expect(switch).not_to_have_attribute("aria-busy", "true")
            await expect(page.locator("#toasts")).to_contain_text(said)
        await page.unroute("**/active")
    await switch.click()
    await expect(page.locator("#toasts .toast--success")).to_be_visible()
    await page.reload()
    await expect(switch).not_to_be_checked()


@pytest.mark.parametrize("width", [375, 1280])
async def test_the_list_is_narrowed_and_its_agents_are_copied_and_deleted(width, browser, web, world, scene):
    """U057, U059, U061, U062, U063, U065: cards on a phone; what is chosen is in the address, and stays."""
    async with world.db.session(world.scope) as session:
        for number in range(11):
            await agents.create_agent(session, f"Desk {number:02}", locale="en")
    page, base = await enter(browser, web, world, width=width)
    rows, toasts = page.locator("#agents tbody tr"), page.locator("#toasts")
    search = page.get_by_role("searchbox", name="Name of the agent")
    await page.goto(f"{base}/ai-agents?size=10")
    await expect(rows).to_have_count(10)
    await expect(page.get_by_role("navigation", name="Pages")).to_contain_text("1 to 10 of 12")
    await page.locator("select[name=size]").select_option("25")
    await page.wait_for_url("**size=25**")
    await expect(rows).to_have_count(12)
    await search.fill("desk 0")
    await page.wait_for_url("**q=desk**")
    await page.reload()
    await expect(rows).to_have_count(10)
    await expect(search).to_have_value("desk 0")
    assert await too_wide(page) <= 0

    await page.get_by_role("button", name="Delete “Desk 03”").click()
    asked = page.get_by_role("alertdialog", name="Delete the agent “Desk 03”?")
    await expect(asked.get_by_role("button", name="Cancel")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(asked).to_be_hidden()
    await expect(page.get_by_role("button", name="Delete “Desk 03”")).to_be_focused()
    await page.keyboard.press("Enter")
    async with page.expect_navigation():
        await asked.get_by_role("button", name="Delete the agent").click()
    await expect(toasts).to_contain_text("deleted")
    await expect(page.get_by_role("link", name="Desk 03")).to_have_count(0)

    await page.goto(f"{base}/ai-agents?q=desk&size=25")
    for name in ("Desk 01", "Desk 02"):
        await page.get_by_label(f"Choose “{name}”").check()
    bar = page.get_by_role("toolbar", name="With the chosen ones")
    await expect(bar).to_be_visible()
    assert await too_wide(page) <= 0
    async with page.expect_navigation():
        await bar.get_by_role("button", name="Switch on").click()
    await expect(toasts).to_contain_text("The agents are on")
    for name, is_on in (("Desk 01", True), ("Desk 02", True), ("Desk 04", False)):
        switch = page.get_by_role("switch", name=f"{name}: answer customers")
        await expect(switch).to_be_checked(checked=is_on)
    await page.get_by_role("button", name="Copy “Desk 02”").click()
    await page.get_by_role("button", name="Copy the agent").locator("visible=true").click()
    await page.wait_for_url("**/edit")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Desk 02 (copy)")
    await expect(page.locator("#state").get_by_role("switch")).not_to_be_checked()
    assert page.complaints == []


async def test_the_tabs_of_the_editor_share_one_frame_and_show_what_was_saved(browser, web, world, scene):
    """U028, U069, U070, U072, U074, U076"""
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
    page, base = await enter(browser, web, world, width=375)
    here = f"{base}/ai-agents/{agent.id}"
    tabs = page.get_by_role("navigation", name="Settings of the agent")
    for tab in ("integrations", "advanced-settings", "versions", "edit"):
        await page.goto(f"{here}/{tab}")
        await expect(page.get_by_role("heading", level=1)).to_have_text(agent.name)
        await expect(tabs.locator("[aria-current=page]")).to_have_attribute("href", re.compile(f"/{tab}$"))
        await expect(page.locator(".breadcrumb")).to_contain_text(agent.name)
        assert await too_wide(page) <= 0
    field, count = page.locator("#handoff_text"), page.locator("[data-count-for=handoff_text] [data-count]")
    await field.fill("A colleague comes at once.")
    await expect(count).to_have_text("26")
    await expect(page.locator(".save-bar")).to_be_in_viewport()
    async with page.expect_navigation():
        await page.keyboard.press("Control+s")
    await expect(page.locator("body")).to_contain_text("There are unpublished changes.")
    await page.reload()
    await expect(field).to_have_value("A colleague comes at once.")
    assert page.complaints == []
