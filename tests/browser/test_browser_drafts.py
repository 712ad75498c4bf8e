"""Drafts and proposals are decided, by mouse and by keyboard."""

import asyncio
import re
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.async_api import expect

from browsers import CHROMIUM, TELL, enter, press, too_wide
from gptagent.adapters.llm.port import OpenAiCompatible, Patience
from gptagent.features.dialog.acting import service as acting
from gptagent.sandbox.spawn import running
from integration.acting_desk import Desk
from scenes import Scene

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")

# Longer words than the field takes, at once: between two steps the list may come anew with the limit in it.
PASTE = """(field, words) => {
  field.removeAttribute("maxlength");
  field.value = words;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}"""


async def test_a_draft_is_taken_into_ones_own_reply_and_sent_by_keyboard(browser, web, world, scene):
    """AGT-19, U029: what comes in meanwhile leaves the words alone; it is taken back, and sent once."""
    await scene.set_agent(check_before_sending=True)
    await scene.says("Are you open on Sunday?")
    await scene.calm()
    page, base = await enter(browser, web, world)
    await page.goto(f"{base}/conversations/{scene.conversation_id}")
    box = page.locator("#reply-text")
    await box.fill("Good morning!")
    await page.keyboard.press("Escape")
    await page.keyboard.press("d")
    await page.wait_for_url("**/suggestion#reply-text")
    await expect(box).to_be_focused()
    await expect(box).to_have_value(re.compile(r"^Good morning!\n\n[\s\S]*from ten to four"))
    await box.press("Control+End")
    await page.keyboard.type(" Do come!")
    await page.keyboard.press("Escape")
    await page.evaluate("document.getElementById('thread').dataset.seen = 'before'")
    await page.evaluate(TELL, f"conversations/{scene.conversation_id}")
    await expect(page.locator("#thread[data-seen]")).to_have_count(0)
    await expect(box).to_have_value(re.compile(r"from ten to four[\s\S]* Do come!$"))
    await page.keyboard.press("w")
    await page.keyboard.press("Tab")
    async with page.expect_navigation():
        await page.keyboard.press("Enter")
    await expect(page.locator("#thread")).to_contain_text("is being sent")
    await scene.send_owed()
    await scene.calm()
    sent = await scene.sent()
    assert len(sent) == 2 and sent[-1].startswith("Good morning!") and sent[-1].endswith("Do come!")
    await page.reload()
    await expect(page.locator("#draft")).to_have_count(0)
    await expect(page.locator("#thread")).to_contain_text("A draft was taken back")
    assert page.complaints == []


async def test_drafts_are_decided_one_after_the_other_by_keyboard(browser, web, world, scene):
    """AGT-19, U029: approve, next, edit, reject; the keys are told of."""
    await scene.set_agent(check_before_sending=True)
    others = [await Scene.open(world) for _ in range(2)]
    await scene.says("Are you open on Sunday?")
    for one in (scene, *others):
        if one is not scene:
            await one.says("Are you open on Sunday?")
        await one.calm()
    page, base = await enter(browser, web, world)
    await page.goto(f"{base}/conversations/{scene.conversation_id}")
    await page.keyboard.press("Shift+?")
    await expect(page.locator("dialog#keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await press(page, "a")
    await expect(page.locator("#thread")).to_contain_text("it is being sent")
    await scene.calm()
    assert len(await scene.sent()) == 2
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("n")
    await page.wait_for_url(f"**/conversations/{others[0].conversation_id}")
    await page.keyboard.press("e")
    await expect(page.locator("#draft-text")).to_be_focused()
    await page.locator("#draft-text").fill("Yes, from ten.")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Send the edited reply").click()
    await expect(page.locator("#thread")).to_contain_text("it is being sent")
    await others[0].calm()
    assert await others[0].sent() == ["Yes, from ten."]
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("n")
    await page.wait_for_url(f"**/conversations/{others[1].conversation_id}")
    await page.keyboard.press("r")
    await page.locator("#draft-reason").fill("Too long.")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Reject the draft").click()
    await expect(page.locator("#thread")).to_contain_text("rejected the draft")
    assert await others[1].sent() == []
    await expect(page.locator("[data-key=KeyN]")).to_have_count(0)
    assert page.complaints == []


@pytest.fixture(scope="module")
def llm():
    with running("llm") as url:
        yield url


@pytest.fixture
async def proposals(scene, llm):
    """A chat whose agent proposes these texts as tasks, at the next message each."""
    parts = urlsplit(llm)
    allow = frozenset({(parts.hostname, parts.port)})
    model = OpenAiCompatible(allow, f"{llm}/v1", "key", "sandbox", patience=Patience(first_pause=0.01))
    said = {"kind": "call", "due_in_hours": 1, "reason": "As she says", "confidence": 0.9}
    with httpx2.Client(base_url=f"{llm}/_sandbox") as control:
        desk = await Desk(scene, control, model).open()
        await scene.set_agent(actions={"create_task": "approve"})

        async def propose(*tasks):
            desk.calls(*(("create_task", {"text": text, **said}) for text in tasks))
            await desk.says(f"Please call me: {tasks[0]}")

        yield desk, propose
    await model.aclose()


async def test_actions_are_approved_edited_and_rejected_by_keyboard_and_mouse(browser, web, world, proposals):
    """MSG-14, MSG-15: what is proposed meanwhile comes by itself; each is done once, in its words"""
    desk, propose = proposals
    page, base = await enter(browser, web, world, width=375, language="ru")
    await page.goto(f"{base}/proposals")
    queue = page.locator("#queue")
    await expect(queue).to_contain_text("Ничего не ждёт одобрения")
    await propose("Позвонить Анне", "Отправить договор", "Узнать адрес", "Найти счёт")
    for text in ("Позвонить Анне", "Найти счёт"):
        await expect(queue).to_contain_text(text)
    assert await too_wide(page) == 0
    await press(page, "a")
    await expect(queue).not_to_contain_text("Позвонить Анне")
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("e")
    field = queue.locator("textarea:visible")
    await expect(field).to_be_focused()
    assert await too_wide(page) == 0
    await field.fill("Отправить договор и счёт")
    async with page.expect_navigation():
        await queue.locator("details[open] button").click()
    await expect(queue).not_to_contain_text("Отправить договор")
    await press(page, "r")
    await expect(queue).not_to_contain_text("Узнать адрес")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Отклонить: Найти счёт").click()
    await expect(queue).to_contain_text("Ничего не ждёт одобрения")
    await desk.perform()
    made = {one["text"] for one in await desk.ledger("task")}
    assert made == {"Позвонить Анне", "Отправить договор и счёт"}
    await propose("Ещё раз", "Потом")
    await expect(queue).to_contain_text("Потом")
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("a")
    await expect(page.get_by_role("button", name="Одобрить: Ещё раз")).to_be_focused()
    first = next(one for one in await desk.proposals() if one.shown == "Ещё раз")
    async with world.db.session(world.scope) as session:
        await acting.reject(session, desk.scene.conversation_id, first.id, by="Bob")
    await expect(queue).not_to_contain_text("Ещё раз")
    at = "document.activeElement.getAttribute('aria-label')"
    assert await page.evaluate(at) is None, "the button of one that is gone is none of the next one's"
    assert page.complaints == []


async def test_refused_words_of_a_proposal_stay_with_the_reason_beside_them(browser, web, world, proposals):
    """MSG-15: nothing is done meanwhile, and what is proposed then takes nothing away."""
    desk, propose = proposals
    await propose("Call Anna")
    page, base = await enter(browser, web, world)
    await page.goto(f"{base}/proposals")
    await page.keyboard.press("e")
    field, queue = page.locator("#queue textarea:visible"), page.locator("#queue")
    await expect(field).to_be_focused()
    too_long = "Call Anna, then Bob. " * 50 + "The end."
    await field.evaluate(PASTE, too_long)
    await queue.evaluate("queue => { queue.dataset.seen = 'before'; }")
    await page.evaluate(TELL, "conversations")
    await expect(page.locator("#queue[data-seen]")).to_have_count(0)  # the list came anew meanwhile
    await expect(field).to_have_value(too_long)
    async with page.expect_navigation():
        await queue.get_by_role("button", name="Approve these words").click()
    error = queue.locator(".field__error")
    await expect(error).to_have_text("Write 1 to 1000 characters.")
    await expect(field).to_have_value(too_long)
    await expect(field).to_be_focused()
    assert await error.get_attribute("id") in (await field.get_attribute("aria-describedby")).split()
    await propose("Call Carol")
    await expect(field).to_have_value(too_long)
    assert [one.state for one in await desk.proposals() if one.shown == "Call Anna"] == ["waiting"]
    await field.fill("Call Anna at ten")
    async with page.expect_navigation():
        await queue.get_by_role("button", name="Approve these words").click()
    await expect(queue).to_contain_text("Call Carol")
    await expect(queue).not_to_contain_text("Call Anna")
    await desk.perform()
    assert [one["text"] for one in await desk.ledger("task")] == ["Call Anna at ten"]


async def test_words_for_one_action_are_not_dropped_unasked_by_deciding_about_another(
    browser, web, world, proposals
):
    """MSG-15"""
    desk, propose = proposals
    await propose("Call Anna", "Call Bob")
    page, base = await enter(browser, web, world)
    await page.goto(f"{base}/proposals")
    await page.get_by_label("Edit: Call Anna").click()
    field, queue = page.locator("#queue textarea:visible"), page.locator("#queue")
    await field.fill("Call Anna at ten")
    asked = asyncio.Queue()
    page.once("dialog", asked.put)
    await page.get_by_role("button", name="Approve: Call Bob").click(no_wait_after=True)
    async with asyncio.timeout(20):
        question = await asked.get()
    assert question.type == "beforeunload"
    await question.dismiss()
    await expect(field).to_have_value("Call Anna at ten")
    assert {one.state for one in await desk.proposals()} == {"waiting"}
    async with page.expect_navigation():  # its own form is sent unasked
        await queue.get_by_role("button", name="Approve these words").click()
    await expect(queue).not_to_contain_text("Call Anna")
    async with page.expect_navigation():
        await page.get_by_role("button", name="Approve: Call Bob").click()
    await expect(queue).to_contain_text("Nothing waits for approval")
    await desk.perform()
    assert {one["text"] for one in await desk.ledger("task")} == {"Call Anna at ten", "Call Bob"}
