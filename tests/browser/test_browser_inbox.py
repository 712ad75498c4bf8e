"""Inbox, drafts, replies, hand-off and the agent's editor in a real browser, by mouse and by keyboard."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.async_api import expect

from browsers import CHROMIUM, too_wide
from gptagent.adapters.llm.port import OpenAiCompatible, Patience
from gptagent.features.agents import service as agents
from gptagent.features.dialog.acting import service as acting
from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.suggesting.jobs import SuggestionJobs
from gptagent.features.dialog.trying import service as trying
from gptagent.features.dialog.trying.jobs import RehearsalJobs
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.kernel.clock import utcnow
from gptagent.kernel.jobs import JobContext
from gptagent.sandbox.spawn import running
from integration.acting_desk import Desk
from members import cookie_of, number_of
from scenes import Scene
from servers import serving

LOOKS = [(375, "dark", "ru"), (375, "light", "en"), (1280, "light", "ru"), (1280, "dark", "en")]
TELL = "topic => document.dispatchEvent(new CustomEvent('live:told', { detail: topic }))"
# How much of a stage's row its fields get.
ROW_OF_A_STAGE = """() => {
    const note = '<div class="stage__note"><textarea class="input"></textarea></div>';
    const name = '<input class="check" type="checkbox"><b class="stage__name">New</b>';
    const row = `<div class="stage">${name}${note}</div>`;
    document.querySelector('.editor__form').insertAdjacentHTML('beforeend', row);
    const stage = document.querySelector('.editor__form > .stage');
    return stage.querySelector('.stage__note').offsetWidth / stage.offsetWidth;
}"""

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


@pytest.fixture(scope="module")
def web(home, roles, kommo):
    with serving(home, REGISTRATION="open", KOMMO_SANDBOX_URL=kommo) as server:
        yield server


@pytest.fixture
async def scene(world):
    scene = await Scene.open(world)
    await scene.write_article("Opening hours", "On Sunday we are open from ten to four.")
    await scene.says("Hello")
    await scene.calm()
    return scene


async def enter(browser, web, world, *, width=1280, theme="light", language="en"):
    """Open a page as the owner; return it and the address of the workspace."""
    context = await browser.new_context(viewport={"width": width, "height": 900}, locale="en-GB")
    values = {"session": await cookie_of(world.db, world.scope), "theme": theme, "language": language}
    await context.add_cookies([{"name": n, "value": v, "url": web.url} for n, v in values.items()])
    page = await context.new_page()
    page.complaints = []
    page.on("console", lambda said: page.complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    return page, f"{web.url}/manage/{await number_of(world.db, world.scope)}"


async def press(page, key):
    """Press a key where nobody types, and Enter on the button it leads to."""
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press(key)
    await page.keyboard.press("Enter")


async def suggest(scene):
    world = scene.world
    runner = scene.runner
    jobs = SuggestionJobs(Generation(runner.responder, runner.fallback, runner.understanding))
    ctx = JobContext(world.db, None, world.scope, 1, 1)
    await jobs.suggest(ctx, conversation_id=str(scene.conversation_id))


async def played_again(scene):
    """Return the address of a turn that was played again, beside what was said then."""
    world, turn = scene.world, (await scene.turns())[0]
    await scene.set_agent(not_found_text="I do not know that, and shall ask a colleague who knows. " * 2)
    async with world.db.session(world.scope) as session:
        played = await trying.replay_turn(
            session, world.scope.actor.id, scene.conversation_id, turn["id"], {}
        )
    runner = scene.runner
    jobs = RehearsalJobs(Generation(runner.responder, runner.fallback, runner.understanding))
    await jobs.rehearse(JobContext(world.db, None, world.scope, 1, 1), rehearsal_id=str(played.id))
    return f"/conversations/{scene.conversation_id}/turns/{turn['id']}/replays/{played.id}"


async def test_a_colleague_asks_for_a_suggestion_writes_and_gives_back_by_keyboard_alone(
    browser, web, world, scene
):
    """AGT-27, MSG-26: what the page shows comes by itself; the agent is stopped everywhere it is shown."""
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
    """AGT-19, AGT-27"""
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
        await page.get_by_role("button", name="Put it into the reply").click()
        await expect(typed).to_have_value(re.compile("from ten to four"))
        await typed.fill("From ten.")
    await page.get_by_role("button", name="Send to the customer").click()
    await expect(page.locator("#thread")).to_contain_text("is being sent")
    await scene.send_owed()
    assert (await scene.sent())[-1] == "From ten."


async def test_what_is_told_while_an_answer_is_on_its_way_or_right_after_it_is_fetched_too(
    browser, web, world, scene
):
    """A live part forgot what was told within its throttle as it put the answer in: the clock stands still
    meanwhile, so no throttle can be over before.
    """
    page, base = await enter(browser, web, world)
    asked, held, topic = [], asyncio.Queue(), f"conversations/{scene.conversation_id}"

    async def hold(route):
        asked.append(route.request.url)
        await held.put(route)

    await page.route("**part=thread**", hold)
    await page.clock.install()
    await page.goto(f"{base}/conversations/{scene.conversation_id}")
    await page.evaluate("() => document.fonts.ready")
    await page.clock.pause_at(utcnow() + timedelta(minutes=1))
    await page.evaluate(TELL, topic)
    await page.clock.run_for(1)
    first = await held.get()
    await page.evaluate(TELL, topic)  # while the first is on its way, within its throttle
    await put_in(page, first)
    await page.clock.run_for(400)
    second = await held.get()
    await put_in(page, second)
    await page.evaluate(TELL, topic)  # the answer is there, the throttle not over
    await page.clock.run_for(400)
    await put_in(page, await held.get())
    assert len(asked) == 3


async def put_in(page, route):
    """Let an answer come, and wait until it stands in the page."""
    await page.evaluate("document.getElementById('thread').dataset.seen = 'before'")
    async with page.expect_response("**part=thread**"):
        await route.continue_()
    async with asyncio.timeout(20):
        while await page.locator("#thread[data-seen]").count():
            await page.clock.run_for(1)  # the library waits for moments of it


async def test_what_comes_between_a_page_and_its_stream_is_shown(browser, web, world, scene):
    """MSG-26: the stream goes on where the page ended, however late it begins."""
    page, base = await enter(browser, web, world)
    written = asyncio.Event()

    async def hold(route):
        await written.wait()
        await route.continue_()

    await page.route("**/live?**", hold)
    await page.goto(f"{base}/conversations/{scene.conversation_id}")
    await scene.says("Is anybody still there?")
    await expect(page.locator("#thread")).not_to_contain_text("still there")
    written.set()
    await expect(page.locator("#thread")).to_contain_text("Is anybody still there?", timeout=15_000)


async def test_a_draft_is_taken_into_ones_own_reply_and_sent_by_keyboard(browser, web, world, scene):
    """AGT-19: what comes in meanwhile leaves the words alone; the draft is taken back, and goes out once."""
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
    """AGT-19: approve, next, edit, reject; the keys are told of."""
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
    await page.get_by_role("button", name="Send the edited reply").click()
    await expect(page.locator("#thread")).to_contain_text("it is being sent")
    await others[0].calm()
    assert await others[0].sent() == ["Yes, from ten."]
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("n")
    await page.wait_for_url(f"**/conversations/{others[1].conversation_id}")
    await page.keyboard.press("r")
    await page.locator("#draft-reason").fill("Too long.")
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
    await queue.locator("details[open] button").click()
    await expect(queue).not_to_contain_text("Отправить договор")
    await press(page, "r")
    await expect(queue).not_to_contain_text("Узнать адрес")
    await page.get_by_role("button", name="Отклонить: Найти счёт").click()
    await expect(queue).to_contain_text("Ничего не ждёт одобрения")
    await desk.perform()
    made = {one["text"] for one in await desk.ledger("task")}
    assert made == {"Позвонить Анне", "Отправить договор и счёт"}
    await propose("Ещё раз", "Потом")
    await expect(queue).to_contain_text("Потом")
    await page.evaluate("document.activeElement.blur()")
    await page.keyboard.press("a")
    first = next(one for one in await desk.proposals() if one.shown == "Ещё раз")
    async with world.db.session(world.scope) as session:
        await acting.reject(session, desk.scene.conversation_id, first.id, by="Bob")
    await expect(queue).not_to_contain_text("Ещё раз")
    at = "document.activeElement.getAttribute('aria-label')"
    assert await page.evaluate(at) is None, "the button of one that is gone is none of the next one's"
    assert page.complaints == []


async def test_a_conversation_is_handed_over_on_its_page(browser, web, world, scene):
    page, base = await enter(browser, web, world)
    await page.goto(f"{base}/conversations/{scene.conversation_id}")
    await page.keyboard.press("h")
    await page.locator("#handoff-text").fill("Alice will answer you.")
    await page.evaluate("document.getElementById('thread').dataset.seen = 'before'")
    await page.evaluate(TELL, f"conversations/{scene.conversation_id}")
    await expect(page.locator("#thread[data-seen]")).to_have_count(0)  # it was put in the page
    await page.locator("#handoff-note").fill("A regular customer.")  # still unfolded
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


async def test_the_editor_saves_a_tab_and_says_what_is_wrong_beside_the_field(browser, web, world, scene):
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
    page, base = await enter(browser, web, world)
    await page.goto(f"{base}/ai-agents/{agent.id}/edit")
    await page.locator("#handoff_text").fill("")
    await page.keyboard.press("Control+s")
    await expect(page.locator("#handoff_text")).to_have_attribute("aria-invalid", "true")
    await page.locator("#handoff_text").fill("A colleague takes over.")
    await page.get_by_role("button", name="Publish").click()
    await expect(page.locator("body")).to_contain_text("It counts from the next answer on.")
    async with world.db.session(world.scope) as session:
        saved = await agents.get_agent(session, agent.id)
    assert saved.settings.handoff_text == "A colleague takes over."


async def test_a_name_is_changed_in_the_list_by_double_click_and_by_keyboard(browser, web, world, scene):
    """AGT-7"""
    page, base = await enter(browser, web, world)
    await page.goto(f"{base}/ai-agents")
    name = page.locator("a[data-renames]")
    await name.dblclick()
    field = page.locator(".rename[open] input[name=name]")
    await expect(field).to_be_focused()
    await field.fill("Night desk")
    await page.evaluate("document.getElementById('agents').dataset.seen = 'before'")
    await page.evaluate(TELL, "agents")
    await expect(page.locator("#agents[data-seen]")).to_have_count(0)  # the list came anew meanwhile
    await expect(field).to_have_value("Night desk")
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
    await field.press("Enter")
    await expect(page.locator(".rename[open] .field__error")).to_contain_text("From 1 to 255 characters.")
    await page.goto(f"{base}/ai-agents")
    await page.locator("input[name=from]").fill("2090-01-01")
    await page.locator("input[name=from]").dispatch_event("change")
    await page.wait_for_url("**from=2090-01-01**")
    await expect(page.locator("body")).to_contain_text("Nothing found")
    await page.goto(f"{base}/ai-agents")
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
    await page.get_by_role("button", name="Publish").click()
    await expect(page.locator("body")).to_contain_text("It counts from the next answer on.")
    await search.get_by_role("button", name="Shelf 3: take out").click()
    await expect(search.get_by_role("button", name="Shelf 3: take out")).to_have_count(0)
    assert await page.locator("[name='knowledge.categories']:checked").count() == 0
    assert page.complaints == []


async def test_an_editor_with_unsaved_changes_is_not_left_unasked(browser, web, world, scene):
    """U071"""
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
    page, base = await enter(browser, web, world)
    await page.goto(f"{base}/ai-agents/{agent.id}/edit")
    asked = page.locator("dialog#unsaved")
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
    await page.keyboard.press("Control+s")
    await expect(page.locator("#handoff_text")).to_be_focused()  # refused: what was typed is still not saved
    await page.get_by_role("link", name="Versions").click()
    await asked.get_by_role("button", name="Leave without saving").click()
    await page.wait_for_url("**/versions")
    await page.get_by_role("link", name="Basic").click()
    await page.wait_for_url("**/edit")
    await page.get_by_role("link", name="Advanced").click()  # nothing changed, nothing asked
    await page.wait_for_url("**/advanced-settings")


@pytest.mark.parametrize("look", LOOKS, ids=str)
async def test_the_pages_fit_and_say_all_in_one_language(look, browser, web, world, scene):
    width, theme, language = look
    await scene.set_agent(check_before_sending=True)
    await scene.says("Are you open?")
    await scene.calm()
    page, base = await enter(browser, web, world, width=width, theme=theme, language=language)
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
    await page.goto(f"{base}/ai-agents/{agent.id}/edit")
    if width == 375:  # nothing stands beside a stage's fields
        assert await page.evaluate(ROW_OF_A_STAGE) > 0.9
    for path in ("/conversations", await played_again(scene), f"/conversations/{scene.conversation_id}"):
        await page.goto(f"{base}{path}")
        assert await too_wide(page) == 0, path
        for label in ("Hand over", "Передать"):
            if await page.locator("summary", has_text=label).count():
                await page.locator("summary", has_text=label).first.click()
                assert await too_wide(page) == 0, label
    buttons = await page.locator("#thread button, #thread summary").all_inner_texts()
    is_russian = bool(re.search("[а-яё]", " ".join(buttons), re.IGNORECASE))
    assert buttons and is_russian == (language == "ru")
    assert page.complaints == []
