"""The inbox: what its parts hear of, and how its pages look."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import expect

from browsers import CHROMIUM, TELL, enter, too_wide
from gptagent.features.agents import service as agents
from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.trying import service as trying
from gptagent.features.dialog.trying.jobs import RehearsalJobs
from gptagent.kernel.clock import utcnow
from gptagent.kernel.jobs import JobContext

LOOKS = [
    (375, "dark", "ru"),
    (375, "light", "en"),
    (768, "light", "ru"),
    (1280, "light", "ru"),
    (1280, "dark", "en"),
]
# How much of a stage's row its fields get.
ROW_OF_A_STAGE = """() => {
    const note = '<div class="stage__note"><textarea class="input"></textarea></div>';
    const name = '<input class="check" type="checkbox"><b class="stage__name">New</b>';
    const row = `<div class="stage">${name}${note}</div>`;
    document.querySelector('.editor__form').insertAdjacentHTML('beforeend', row);
    const stage = document.querySelector('.editor__form > .stage');
    return stage.querySelector('.stage__note').offsetWidth / stage.offsetWidth;
}"""
TOO_TALL = "document.documentElement.scrollHeight - innerHeight"

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")


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

    await page.route("**/live?**", lambda route: route.abort())  # what it repeats is asked for too
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
    await expect(page.locator("#thread")).to_contain_text("Is anybody still there?")


@pytest.mark.parametrize("look", LOOKS, ids=str)
async def test_the_pages_fit_and_say_all_in_one_language(look, browser, web, world, scene):
    """U206"""
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
    played = await played_again(scene)
    for path in ("/conversations", played, f"/conversations/{scene.conversation_id}"):
        await page.goto(f"{base}{path}")
        assert await too_wide(page) == 0, path
        if not path.endswith(played):  # what is there for screen readers only lengthens nothing
            assert await page.evaluate(TOO_TALL) == 0, path
        for label in ("Hand over", "Передать"):
            if await page.locator("summary", has_text=label).count():
                await page.locator("summary", has_text=label).first.click()
                assert await too_wide(page) == 0, label
    buttons = await page.locator("#thread button, #thread summary").all_inner_texts()
    is_russian = bool(re.search("[а-яё]", " ".join(buttons), re.IGNORECASE))
    assert buttons and is_russian == (language == "ru")
    assert page.complaints == []
