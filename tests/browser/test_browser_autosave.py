"""The editor saves itself: what is typed is a draft three seconds later, and nobody is disturbed."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from browsers import CHROMIUM, enter
from gptagent.features.agents import service as agents

AUTOSAVE = "**by=itself"

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


async def pass_three_seconds(page):
    """Let the page's clock come to when what was typed is sent."""
    await page.clock.fast_forward(3_000)


async def the_agent(world):
    async with world.db.session(world.scope) as session:
        return (await agents.list_agents(session))[0]


async def test_what_is_typed_is_a_draft_a_moment_later_and_is_published_from_there(
    browser, web, world, scene
):
    """U073, U076: focus, caret and what is typed meanwhile stay; wrong things wait; a lost answer is told."""
    before = await the_agent(world)
    page, base = await enter(browser, web, world, width=375)
    await page.clock.install()
    await page.goto(f"{base}/ai-agents/{before.id}/edit")
    field, told = page.locator("#handoff_text"), page.locator("[data-autosave]")
    await expect(told).to_have_text("")
    await field.fill("Somebody comes")
    await pass_three_seconds(page)
    await expect(told).to_have_text(re.compile(r"^\s*Draft saved at "))
    await expect(page.get_by_text("There are unpublished changes.")).to_be_attached()
    await expect(field).to_be_focused()
    held = asyncio.Queue()
    await page.route(AUTOSAVE, held.put)  # before anything is typed: seconds pass by themselves too
    await page.keyboard.type(" at once")  # the caret is where it was
    await expect(field).to_have_value("Somebody comes at once")

    await pass_three_seconds(page)
    async with asyncio.timeout(60):
        route = await held.get()
    await page.keyboard.type(", mostly")  # while the answer is on its way
    await pass_three_seconds(page)
    assert held.empty()
    async with page.expect_response(AUTOSAVE):
        await route.continue_()
    await expect(page.locator("[data-autosave].htmx-request")).to_have_count(0)
    await pass_three_seconds(page)
    async with asyncio.timeout(60):
        route = await held.get()  # so it is sent once more, with the signs of the first answer
    async with page.expect_response(AUTOSAVE) as answered:
        await route.continue_()
    assert (await answered.value).status == 200
    await page.unroute(AUTOSAVE)
    await page.reload()
    await expect(field).to_have_value("Somebody comes at once, mostly")

    await page.locator("#not_found_text").fill("")
    await pass_three_seconds(page)
    await expect(told).to_contain_text("Not saved yet. What the customer is told then:")
    await expect(page.locator("#not_found_text")).to_be_focused()
    assert [one for one in page.complaints if "422" not in one] == []
    await page.route(AUTOSAVE, lambda route: route.abort())
    await page.locator("#not_found_text").fill("One moment.")
    await pass_three_seconds(page)
    await expect(told).to_contain_text("Not saved: no answer from the server.")
    await expect(page.locator("#toasts > *")).to_have_count(0)
    await page.unroute(AUTOSAVE)
    await page.locator("#not_found_text").fill("One moment, please.")
    await pass_three_seconds(page)
    await expect(told).to_have_text(re.compile(r"^\s*Draft saved at "))
    assert (await the_agent(world)).settings == before.settings

    await page.route(AUTOSAVE, held.put)
    await field.fill("Somebody comes.")
    await pass_three_seconds(page)
    async with asyncio.timeout(60):
        route = await held.get()
    publish = page.get_by_role("button", name="Publish")
    await publish.click()  # it waits for what is on its way, or would be told of a colleague who is none
    await expect(publish).to_have_attribute("aria-busy", "true")
    async with page.expect_navigation():
        await route.continue_()
    await expect(page.locator("body")).to_contain_text("It counts from the next answer on.")
    published = await the_agent(world)
    assert (published.settings.handoff_text, published.draft) == ("Somebody comes.", None)
    assert (published.settings.not_found_text, published.published) == (
        "One moment, please.",
        before.published + 1,
    )


async def test_a_colleague_in_the_way_stops_it_and_the_question_stays_while_something_is_unsaved(
    browser, web, world, scene
):
    """U072, U075"""
    agent = await the_agent(world)
    page, base = await enter(browser, web, world)
    await page.clock.install()
    await page.goto(f"{base}/ai-agents/{agent.id}/edit")
    told, asked = page.locator("[data-autosave]"), page.locator("dialog#unsaved")
    async with world.db.session(world.scope) as session:
        await agents.save_draft(session, agent.id, {"handoff_text": "Theirs."})
    await page.locator("#handoff_text").fill("Mine.")
    await pass_three_seconds(page)
    await expect(told).to_contain_text("Somebody else changed it while you were typing.")
    requests = []
    page.on("request", lambda one: requests.append(one.url) if one.method == "POST" else None)
    await page.locator("#handoff_text").fill("Mine, really.")
    await page.locator("#name").fill("Night desk")
    await pass_three_seconds(page)
    await page.get_by_role("link", name="Versions").click()
    await expect(asked).to_be_visible()
    await asked.get_by_role("button", name="Stay").click()
    assert requests == []
    async with page.expect_navigation():
        await page.get_by_role("button", name="Save as a draft").locator("visible=true").click()
    await expect(page.locator("#differing")).to_contain_text("Theirs.")
    await expect(told).to_have_count(0)
    async with page.expect_navigation():
        await page.get_by_role("button", name="Save as a draft").locator("visible=true").click()
    await page.locator("#name").fill("Desk")
    await pass_three_seconds(page)
    await expect(told).to_contain_text("The name is saved by a button only.")
    await page.get_by_role("link", name="Versions").click()
    await expect(asked).to_be_visible()
    await page.keyboard.press("Escape")
    await page.locator("#name").fill("Night desk")
    await page.get_by_role("link", name="Versions").click()
    await page.wait_for_url("**/versions")
