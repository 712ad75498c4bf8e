"""A long reply in parts: in order, each exactly once, and no further than the chat allows."""

import html
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from gptagent.features.dialog.context import Spent
from gptagent.features.dialog.model import Answer, Promised
from gptagent.kernel.clock import utcnow
from integration.conftest import serving_here
from readers import reader_of
from scenes import Scene, patched
from worlds import UNANSWERED

PARTS = tuple(
    f"Part {number}. {word * 40}." for number, word in ((1, "first "), (2, "second "), (3, "third "))
)


@dataclass
class Wordy:
    """A responder with much to say."""

    asked: list = field(default_factory=list)

    async def respond(self, _db, _scope, context, _passages):
        self.asked.append(context.question)
        text = "\n\n".join(PARTS) if len(self.asked) == 1 else "Briefly then."
        return Answer(text, "reply", "wordy"), Spent()


@pytest.fixture
async def scene(world, monkeypatch):
    monkeypatch.setattr("gptagent.features.dialog.splitting.service.PART_GAP", timedelta(seconds=0.02))
    scene = await Scene.open(world)
    await scene.set_agent(split_replies=True)
    scene.runner = replace(scene.runner, responder=Wordy())
    return scene


async def after_the_first(scene):
    """Let the first part leave."""
    await scene.says("Tell me all.")
    await scene.advance()
    assert await scene.sent() == [PARTS[0].strip()]


async def test_a_long_reply_goes_out_in_parts_and_is_made_once(scene):
    """AGT-30: each is a message of its own in the thread, in its order; nothing is said twice."""
    await scene.says("Tell me all.")
    await scene.calm()
    assert await scene.sent() == list(PARTS)
    assert scene.runner.responder.asked == ["Tell me all."]
    turns = await scene.turns()
    assert [(turn["part"], turn["outcome"], turn["send_attempts"]) for turn in turns] == [
        (0, "reply", 1),
        (1, "reply", 1),
        (2, "reply", 1),
    ]
    lane = await scene.lane()
    assert (lane["wanted"], lane["done"], lane["due_at"]) == (1, 1, None)


async def test_each_part_leads_to_the_explanation_of_the_answer_it_belongs_to(scene, home, kommo):
    """MSG-24, AGT-30: nothing is told of a part alone; how it was made is told of the whole reply."""
    await scene.says("Tell me all.")
    await scene.advance()
    await scene.says("Tell me all, as before.")
    await scene.calm()
    scene.runner.responder.asked.clear()
    await scene.says("Once more, please.")
    await scene.calm()
    world, turns = scene.world, await scene.turns()
    (outdated,) = (turn["id"] for turn in turns if turn["reason"] == "rest_outdated")
    first, *further = (turn["id"] for turn in turns[-3:])
    async with (
        serving_here(home, kommo_sandbox_url=kommo) as url,
        reader_of(url, world.db, world.scope) as alice,
    ):
        at = f"/conversations/{scene.conversation_id}"
        page = (await alice.open(at)).text
        told = [await alice.open(f"{at}/turns/{one}?part=drawer") for one in (first, *further)]
        whole = html.unescape((await alice.open(f"{at}/turns/{further[-1]}")).text)
    assert page.count(f'/turns/{first}"') == 3
    assert not [one for one in (*further, outdated) if f'/turns/{one}"' in page]
    assert [one.status_code for one in told] == [200] * 3
    assert len({one.text for one in told}) == 1
    assert all(part in whole for part in PARTS)


@pytest.mark.parametrize("settings", [{"split_replies": False}, {"check_before_sending": True}])
async def test_it_stays_whole_unless_it_is_asked_for_and_goes_unchecked(scene, settings):
    """AGT-30, AGT-19"""
    await scene.set_agent(**settings)
    await scene.says("Tell me all.")
    await scene.calm()
    (turn,) = await scene.turns()
    assert turn["answer"]["text"] == "\n\n".join(PARTS)
    assert "rest" not in turn["answer"] or turn["answer"]["rest"] == []


async def test_a_newer_message_stops_the_rest_and_gets_its_own_answer(scene):
    """MSG-23"""
    await after_the_first(scene)
    await scene.says("Wait, only the price please")
    await scene.calm()
    assert await scene.sent() == [PARTS[0], "Briefly then."]
    assert scene.runner.responder.asked[1] == "Wait, only the price please"
    ends = [(turn["state"], turn["outcome"], turn["reason"]) for turn in await scene.turns()]
    assert ends == [
        ("ended", "reply", None),
        ("superseded", "refused", "rest_outdated"),
        ("ended", "reply", None),
    ]


async def test_a_person_between_two_parts_stops_the_rest(scene):
    """MSG-3, AGT-27"""
    await after_the_first(scene)
    await scene.says("I am on it", author="human")
    await scene.calm()
    assert await scene.sent() == [PARTS[0]]
    assert (await scene.turns())[-1]["reason"] == "rest_outdated"


async def test_so_does_whoever_switches_the_agent_off_and_what_comes_while_a_part_is_sent(scene):
    """AGT-10, MSG-23"""
    await after_the_first(scene)
    await scene.set_agent(is_active=False)
    await scene.calm()
    assert await scene.sent() == [PARTS[0]]
    await scene.set_agent(is_active=True)
    scene.runner.responder.asked.clear()
    send = scene.crm.send_message

    async def send_message(*args, **options):
        if len(await scene.sent()) == 1:
            await scene.says("One thing more")
        return await send(*args, **options)

    patched(scene, send_message=send_message)
    await scene.says("Tell me all again.")
    await scene.calm()
    assert await scene.sent() == [PARTS[0], PARTS[0], "Briefly then."]


async def test_killed_workers_and_lost_answers_leave_no_gap_and_say_nothing_twice(scene):
    """MSG-2: after each part the worker is gone; of the second the CRM's answer is lost."""
    await scene.says("Tell me all.")
    await scene.advance(job_id=1)
    await scene.break_send(**UNANSWERED)
    deadline = 200
    job_id = 2
    while (await scene.lane())["due_at"] is not None and deadline:
        await scene.advance(job_id=job_id)
        job_id, deadline = job_id + 1, deadline - 1
    await scene.calm()
    assert await scene.sent() == list(PARTS)
    assert len(await scene.turns()) == 3


async def test_a_part_is_no_draft_and_what_it_answers_is_not_answered_again(scene):
    """AGT-19, MSG-2: replies are to be checked from between two parts on; the rest is not sent."""
    await after_the_first(scene)
    await scene.set_agent(check_before_sending=True)
    await scene.calm()
    assert [turn["draft_state"] for turn in await scene.turns()] == [None, None]
    await scene.says("And the price?")
    await scene.calm()
    assert scene.runner.responder.asked == ["Tell me all.", "And the price?"]
    assert await scene.sent() == [PARTS[0]]


async def test_a_reply_that_was_cut_but_not_begun_becomes_a_draft_as_a_whole(scene):
    """AGT-19"""
    await scene.break_send(status=503)
    await scene.says("Tell me all.")
    await scene.advance()
    await scene.set_agent(check_before_sending=True)
    await scene.calm()
    draft = (await scene.turns())[-1]
    assert draft["draft_state"] == "waiting" and not draft["answer"].get("rest")
    assert draft["answer"]["text"] == "Briefly then."


async def test_where_the_channel_is_closed_a_person_gets_the_whole_reply(scene):
    await scene.says("Tell me all.", at=utcnow() - timedelta(hours=25))
    await scene.calm()
    assert await scene.outcomes() == [("handed_off", "window_closed")]
    await scene.perform_tasks()
    (task,) = await scene.tasks()
    assert all(part.split(".")[0] in str(task) for part in PARTS)


async def test_the_parts_of_a_reply_count_as_one_where_two_robots_might_talk(scene):
    pace = replace(scene.runner.pace, replies_per_minute=2, crowded_retry=timedelta(hours=1))
    scene.runner = replace(scene.runner, pace=pace)
    await scene.says("Tell me all.")
    await scene.calm()
    assert await scene.sent() == list(PARTS)


@dataclass
class Promising:
    """A responder whose last words are a promise."""

    async def respond(self, _db, _scope, _context, _passages):
        last = Promised("We will call you tomorrow.", 60)
        return Answer("\n\n".join((*PARTS, last.text)), "reply", "promising", promises=(last,)), Spent()


async def test_a_promise_in_a_later_part_becomes_a_task_once_that_part_has_left(scene):
    """AGT-30: whichever part of the reply says it."""
    scene.runner = replace(scene.runner, responder=Promising())
    await after_the_first(scene)
    await scene.perform_tasks()
    assert await scene.tasks() == []
    await scene.calm()
    assert (await scene.sent())[-1].endswith("We will call you tomorrow.")
    await scene.perform_tasks()
    (task,) = await scene.tasks()
    assert "We will call you tomorrow." in str(task)
