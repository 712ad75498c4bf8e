"""Turns played again: the real answer with other settings, compared, and no effect on anybody."""

import html
import re

import pytest

from gptagent.features.agents import service as agents
from gptagent.features.dialog.trying import service
from integration.conftest import serving_here
from integration.trying_desk import QUESTION, SAID, TRUE, Person, open_scene, prompt, rehearsing, script
from readers import reader_of


@pytest.fixture
async def scene(world, model):
    return await open_scene(world, model)


@pytest.fixture
def jobs(model):
    return rehearsing(model)


async def test_a_turn_is_played_again_with_as_much_of_the_chat_as_the_other_settings_tell(
    scene, jobs, control
):
    """MSG-7: also more than was told then"""
    script(control, {"reply": TRUE})
    for _ in range(8):
        await scene.says(QUESTION)
        await scene.calm()
    turn, tester, told = (await scene.turns())[-1], Person(scene.world, jobs), {}
    for wished in (0, 3, 10, 12, 50):
        changes = {"history_messages": wished}
        played = await tester.do(service.replay_turn, scene.conversation_id, turn["id"], changes)
        await tester.work(played.id)
        told[wished] = len(prompt(control)) - 2  # the rules, the question
    assert told == {0: 0, 3: 3, 10: 10, 12: 12, 50: 14}


async def test_a_turn_is_played_again_with_other_settings_and_compared(scene, jobs, control, home, kommo):
    """What was said then stays what it was; nothing is sent."""
    script(control, {"reply": TRUE})
    await scene.says("Hello there")
    await scene.calm()
    await scene.says(QUESTION)
    await scene.calm()
    turn, world = (await scene.turns())[-1], scene.world
    asked = prompt(control)
    sent, tester = await scene.sent(), Person(world, jobs)
    script(control, {"reply": "Delivery costs 490 roubles, tralala [1]."})
    async with (
        serving_here(home, kommo_sandbox_url=kommo) as url,
        reader_of(url, world.db, world.scope) as alice,
    ):
        at = f"/conversations/{scene.conversation_id}/turns/{turn['id']}/replays"
        assert "Settings to play with" in (await alice.open(at)).text
        made = await alice.send(at, {"instructions": "Sing, please, every word."})
        assert made.status_code == 303
        here = made.headers["location"].removeprefix(alice.base)
        await tester.work(here.rpartition("/")[2])
        shown = html.unescape((await alice.open(here)).text)
        assert "<ins>, tralala</ins>" in shown and "<del>" in shown
        assert f'<p class="explained__answer">{QUESTION}</p>' in shown
        assert "Other settings than then: Instructions for the agent." in shown
        assert "is struck out" in shown
        wrong = await alice.send(at, {"basis": "1", "instructions": "short"})
        assert wrong.status_code == 422
        assert re.search(r'<option value="1"[^>]* selected', wrong.text)
        again = prompt(control)
        async with world.db.session(world.scope) as session:
            then = (await agents.list_agents(session))[0].published
        await scene.set_agent(instructions="Another voice, the one of now.")
        async with world.db.session(world.scope) as session:
            (now,) = await agents.list_agents(session)
            await agents.save_draft(session, now.id, {"instructions": "Nobody gets this draft yet."})
        published = await alice.send(at, {"instructions": "Another voice, the one of now."})
        await tester.work(published.headers["location"].rpartition("/")[2])
        assert prompt(control)[0]["content"].startswith("Another voice, the one of now.")
        async with world.db.session(world.scope) as session:
            await agents.discard_draft(session, now.id)
        own = {"basis": str(then), "instructions": "Another voice, the one of now."}
        first = await alice.send(at, own)
        await tester.work(first.headers["location"].rpartition("/")[2])
        same = html.unescape((await alice.open(first.headers["location"].removeprefix(alice.base))).text)
        assert "The settings are those of then." in same
        assert prompt(control) == asked  # the version of when the customer asked
        assert (await alice.send(at, {**own, "basis": "999"})).status_code == 404
        assert (await alice.send(at, {**own, "basis": "draft"})).status_code == 404
    assert again[1:] == asked[1:]
    assert again[0]["content"].startswith("Sing, please, every word.")
    assert again[0]["content"].partition("\n\n")[2] == asked[0]["content"].partition("\n\n")[2]
    assert await scene.sent() == sent
    assert (await scene.turns())[-1]["answer"]["text"] == SAID
