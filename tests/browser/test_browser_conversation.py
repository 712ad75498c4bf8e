"""A conversation as a colleague works in it, by mouse and by keyboard."""

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from browsers import CHROMIUM, TELL, enter, press
from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.suggesting.jobs import SuggestionJobs
from gptagent.kernel.jobs import JobContext
from members import cookie_of, number_of
from scenes import Scene

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


async def suggest(scene):
    world = scene.world
    runner = scene.runner
    jobs = SuggestionJobs(Generation(runner.responder, runner.fallback, runner.understanding))
    ctx = JobContext(world.db, None, world.scope, 1, 1)
    await jobs.suggest(ctx, conversation_id=str(scene.conversation_id))


async def test_a_colleague_asks_for_a_suggestion_writes_and_gives_back_by_keyboard_alone(
    browser, web, world, scene
):
    """AGT-27, MSG-26, U187: what the page shows comes by itself; it is stopped wherever it is shown."""
    await scene.set_agent(response_delay_seconds=60)
    await scene.says("When are you open on Sunday?")
    page, base = await enter(browser, web, world)
    await page.goto(f"{base}/conversations/{scene.conversation_id}")
    await press(page, "t")
    for place in ("#list", "#thread header", "#deal"):
        await expect(page.locator(place)).to_contain_text(re.compile("stopped", re.IGNORECASE))
        await expect(page.locator(place)).to_contain_text("Alice")
    await press(page, "s")
    await expect(page.locator("#thread")).to_contain_text("making a suggestion")
    await suggest(scene)
    await expect(page.locator("#reply-text")).to_have_value(re.compile("from ten to four"))
    await expect(page.locator("#thread")).to_contain_text("Opening hours")
    assert len(await scene.sent()) == 1  # nothing by itself
    await page.keyboard.press("Escape")
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("w")
    await expect(page.locator("#reply-text")).to_be_focused()
    await page.locator("#reply-text").fill("From ten to four, as ever.")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Send to the customer").click()
    await expect(page.locator("#thread")).to_contain_text("is being sent")
    await scene.send_owed()
    await expect(page.locator("#thread")).not_to_contain_text("is being sent")
    assert (await scene.sent())[-1] == "From ten to four, as ever."
    await press(page, "g")
    await expect(page.locator("#deal")).not_to_contain_text("stopped")
    await expect(page.locator("#thread header")).to_contain_text("answers")
    assert page.complaints == []


@pytest.mark.parametrize("has_script", [True, False], ids=["script", "no-script"])
async def test_a_typed_reply_outlives_every_other_button_of_the_page(has_script, browser, web, world, scene):
    """AGT-19, AGT-27, U208"""
    await scene.set_agent(response_delay_seconds=60)
    await scene.says("When are you open on Sunday?")
    base = f"{web.url}/manage/{await number_of(world.db, world.scope)}"
    context = await browser.new_context(java_script_enabled=has_script)
    values = {"session": await cookie_of(world.db, world.scope), "language": "en"}
    await context.add_cookies([{"name": n, "value": v, "url": web.url} for n, v in values.items()])
    page = await context.new_page()
    await page.goto(f"{base}/conversations/{scene.conversation_id}")
    typed, chosen = page.locator("#reply-text"), page.locator("#assignee_id")
    await typed.fill("From ten.")
    await chosen.select_option(value=str(world.scope.actor.id))
    for name in ("Take over", "Assign", "Suggest a reply", "Give back to the agent"):
        async with page.expect_navigation():
            await page.get_by_role("button", name=name).click()
        await expect(typed).to_have_value("From ten.")
    await expect(chosen).to_have_value(str(world.scope.actor.id))
    if has_script:  # the page that came with the words, and its live part that knows of none
        once = await page.locator("#reply-id").input_value()
        await suggest(scene)
        await expect(page.locator("#thread")).to_contain_text("Suggested by the agent")
        await expect(page.locator("#reply-id")).to_have_value(once)
        await expect(typed).to_have_value("From ten.")
        await page.get_by_text("The suggestion as it was made").click()
        async with page.expect_navigation():
            await page.get_by_role("button", name="Put it into the reply").click()
        await expect(typed).to_have_value(re.compile("from ten to four"))
        await typed.fill("From ten.")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Send to the customer").click()
    await expect(page.locator("#thread")).to_contain_text("is being sent")
    await scene.send_owed()
    assert (await scene.sent())[-1] == "From ten."


async def test_a_conversation_is_handed_over_on_its_page(browser, web, world, scene):
    page, base = await enter(browser, web, world)
    await page.goto(f"{base}/conversations/{scene.conversation_id}")
    await page.keyboard.press("h")
    await page.locator("#handoff-text").fill("Alice will answer you.")
    await page.evaluate("document.getElementById('thread').dataset.seen = 'before'")
    await page.evaluate(TELL, f"conversations/{scene.conversation_id}")
    await expect(page.locator("#thread[data-seen]")).to_have_count(0)  # it was put in the page
    await page.locator("#handoff-note").fill("A regular customer.")  # still unfolded
    async with page.expect_navigation():
        await page.get_by_role("button", name="Hand the conversation over").click()
    await expect(page.locator("#thread")).to_contain_text("handed the conversation over to Alice")
    await expect(page.locator("#thread")).to_contain_text("Customer is being told")
    await scene.send_owed()
    await scene.perform_tasks()
    await scene.perform_actions()
    await page.reload()
    for part in ("Customer told", "Task made", "Summary on the deal", "A regular customer."):
        await expect(page.locator("#thread")).to_contain_text(part)
    assert (await scene.sent())[-1] == "Alice will answer you."


async def test_a_conversation_with_a_typed_reply_is_not_left_unasked(browser, web, world, scene):
    """U071, AGT-27: neither by a link or a filter nor by a reload; what comes in meanwhile is no change."""
    other = await Scene.open(world)
    await other.says("Hello")
    await other.calm()
    page, base = await enter(browser, web, world)
    here = f"{base}/conversations/{scene.conversation_id}"
    await page.goto(here)
    link, asked = page.locator(f".conv[href*='{other.conversation_id}']"), page.locator("dialog#unsaved")
    typed = page.locator("#reply-text")
    await scene.says("Is anybody there?")
    await expect(page.locator("#thread")).to_contain_text("Is anybody there?")
    await link.click()
    await page.wait_for_url(f"**/{other.conversation_id}**")
    await page.goto(here)
    await typed.fill("From ten.")
    await page.get_by_role("link", name="How it was made").first.click()  # opens beside it
    await expect(page.locator("#explained")).to_contain_text("Play again")
    await page.locator("#explained").get_by_role("button", name="Close").click()
    view = page.locator("#list select[name=view]")
    dashboard = page.get_by_role("link", name="Dashboard").first
    for leave in (link.click, dashboard.click, lambda: view.select_option("unread")):
        await leave()
        await expect(asked.get_by_role("button", name="Stay")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(asked).to_be_hidden()
        await expect(typed).to_have_value("From ten.")
    questions = []

    async def stay(question):
        questions.append(question.type)
        await question.dismiss()

    page.once("dialog", stay)
    await page.evaluate("setTimeout(() => location.reload())")
    async with asyncio.timeout(20):
        while not questions:
            await page.wait_for_timeout(10)
    assert questions == ["beforeunload"]
    await expect(typed).to_have_value("From ten.")
    async with page.expect_navigation():  # a button of the page takes the words along
        await page.get_by_role("button", name="Take over").click()
    await expect(page.locator("#thread header")).to_contain_text("stopped")
    await link.click()
    await asked.get_by_role("button", name="Leave without saving").click()
    await page.wait_for_url(f"**/{other.conversation_id}**")
