"""Replies by a field of the deal and a Salesbot's run: each step may fail, the customer reads one message."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from gptagent.features.dialog.outgoing import service as outgoing
from gptagent.features.dialog.outgoing.jobs import OutgoingJobs
from gptagent.kernel.clock import utcnow
from reply_routes import change, run_requests, setup, use_bot
from scenes import PACE, Scene, patched
from worlds import NOT_FOUND, UNANSWERED

REPLIED = [("not_found", "no_relevant_knowledge")]


@pytest.fixture
async def scene(world):
    scene = await Scene.open(world)
    await use_bot(scene, mode="salesbot")
    return scene


async def break_step(scene, step, **fault):
    method, path = {"field": ("PATCH", "leads"), "run": ("POST", "bots/run")}[step]
    body = {"method": method, "path": path, "count": 1, **fault}
    await scene.world.account.call("POST", "/faults", body)


async def test_a_reply_reaches_the_chat_and_is_known_by_the_crms_id(scene):
    """CRM-22"""
    await scene.says("Hello")
    await scene.calm()
    (turn,) = await scene.turns()
    assert await scene.sent() == [NOT_FOUND]
    assert await scene.outcomes() == REPLIED
    assert turn["send_route"] == "salesbot"
    assert turn["provider_message_id"] in await scene.world.account.sent(scene.chat["chat_id"])


@pytest.mark.parametrize("step", ["field", "run"])
@pytest.mark.parametrize(
    "fault",
    [
        UNANSWERED,
        {"action": "reset"},
        {"action": "status", "status": 429, "retry_after": 1},
        {"action": "status", "status": 500},
        {"action": "status", "status": 503},
    ],
)
async def test_whatever_happens_at_either_step_one_message_arrives(scene, *, step, fault):
    await scene.says("Hello")
    await break_step(scene, step, **fault)
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]
    assert await scene.outcomes() == REPLIED


@pytest.mark.parametrize(("status", "reason"), [(400, "crm_rejected"), (402, "crm_payment_required")])
@pytest.mark.parametrize("step", ["field", "run"])
async def test_what_the_crm_refuses_for_good_becomes_a_task(scene, *, step, status, reason):
    await scene.says("Hello")
    await break_step(scene, step, action="status", status=status)
    await scene.calm()
    assert await scene.outcomes() == [("handed_off", reason)]
    await scene.perform_tasks()
    assert len(await scene.tasks()) == 1
    assert await scene.sent() == []


async def test_a_run_that_was_taken_but_says_nothing_is_not_repeated(scene, world):
    """The bot may be slow or broken: a second run could say it twice, so a person is asked."""
    await world.account.call("POST", "/knobs", {"bot_delay_ms": 60_000})
    await scene.says("Hello")
    await scene.calm()
    assert await scene.outcomes() == [("handed_off", "delivery_unknown")]
    assert await run_requests(scene) == 1


async def test_an_account_without_the_newer_interface_is_asked_by_the_older(scene, world):
    await world.account.call("POST", "/knobs", {"bots_v4": False})
    await scene.says("Hello")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_where_talks_cannot_be_read_the_feed_of_events_tells(scene, world):
    """As on amoCRM: no words, but which message a robot has sent since the field was written."""
    await world.account.call("POST", "/knobs", {"talks_api": False})
    await world.account.call("POST", f"/chats/{scene.chat['chat_id']}/bot", {"text": "Welcome!"})
    await asyncio.sleep(1.1)  # the feed counts whole seconds
    await scene.says("Hello")
    await break_step(scene, "run", **UNANSWERED)
    await scene.calm()
    (turn,) = await scene.turns()
    assert await scene.sent() == ["Welcome!", NOT_FOUND]
    assert turn["provider_message_id"] == (await world.account.sent(scene.chat["chat_id"]))[-1]
    assert await run_requests(scene) == 1


async def test_our_message_told_of_without_its_words_is_ours_and_no_takeover(scene, world):
    await world.account.call("POST", "/knobs", {"talks_api": False, "bot_delay_ms": 400})
    await scene.says("Hello")
    await scene.advance()
    await scene.says("", author="bot", provider_id="m-1")
    await scene.calm()
    (turn,) = await scene.turns()
    assert turn["provider_message_id"] == "m-1"
    assert (await scene.conversation())["taken_over_at"] is None
    await scene.says("", author="human", provider_id="m-2")
    assert (await scene.conversation())["taken_over_at"] is not None


async def test_a_reply_settled_without_its_id_is_known_when_the_crm_reports_it(scene, world):
    """Neither talks nor events may be read: what was taken counts as sent, and is ours once reported."""
    await world.account.call(
        "POST", "/faults", {"method": "GET", "path": "events|messages", "action": "status", "status": 403}
    )
    await scene.says("Hello")
    await scene.calm()
    assert await scene.outcomes() == REPLIED
    await scene.says(NOT_FOUND.replace(" ", "  "), author="human", provider_id="m-1")
    assert (await scene.conversation())["taken_over_at"] is None
    (turn,) = await scene.turns()
    assert turn["provider_message_id"] == "m-1"


async def test_a_person_who_takes_over_while_the_field_is_written_keeps_the_agent_silent(scene):
    async def write_field(*args):
        written_at = await scene.crm.write_field(*args)
        await scene.says("I am here", author="human")
        return written_at

    patched(scene, write_field=write_field)
    await scene.says("Hello")
    await scene.calm()
    assert await scene.outcomes() == [("refused", "taken_over")]
    assert await run_requests(scene) == 0


async def test_a_refused_plan_moves_the_same_turn_to_the_bot_once(scene, world):
    """402 on the straight way: the reply goes the other way, and the connection remembers."""
    await change(scene, mode="automatic")
    await world.account.call("POST", "/knobs", {"plan_has_sending": False})
    await scene.says("Hello")
    await scene.calm()
    (turn,) = await scene.turns()
    assert await scene.sent() == [NOT_FOUND]
    assert (turn["send_route"], turn["send_attempts"]) == ("salesbot", 2)
    assert (await setup(scene)).refused_reason == "crm_payment_required"
    await scene.says("And now?")
    await scene.calm()
    assert (await scene.turns())[-1]["send_attempts"] == 1  # it is not asked again every time


async def test_a_token_without_the_scope_uses_the_bot_at_once(world):
    scene = await Scene.open(world)
    await use_bot(scene)
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_connection set can_send_messages = false")
    await scene.says("Hello")
    await scene.calm()
    assert [turn["send_attempts"] for turn in await scene.turns()] == [1]
    assert await scene.sent() == [NOT_FOUND]


async def test_two_chats_of_one_deal_never_swap_their_replies(scene, world):
    """Two workers, one field: each text is sent exactly once."""
    await world.account.call("POST", "/knobs", {"bot_delay_ms": 150})
    answers = {}
    for word in ("delivery", "warranty", "returns", "payment"):
        await scene.write_article(word.title(), f"The {word} desk answers on number {len(word)}.")
    scenes = [scene]
    for _ in range(3):
        chat = await world.account.call("POST", "/chats", {"name": "Ann", "lead_id": scene.chat["lead_id"]})
        scenes.append(Scene(world, chat))
    pace = replace(PACE, busy_deal_retry=PACE.send_retry_first, unknown_gives_up_after=timedelta(minutes=1))
    for one, word in zip(scenes, ("delivery", "warranty", "returns", "payment"), strict=True):
        one.runner = replace(one.runner, pace=pace)
        await one.says(f"Tell me about {word}")
    await asyncio.gather(*(one.calm() for one in scenes))
    for one in scenes:
        (turn,) = [t for t in await one.turns() if t["state"] == "ended"]
        answers[turn["answer"]["text"]] = turn["provider_message_id"]
    ledger = (await world.account.call("GET", "/ledger"))["entries"]
    printed = [entry["text"] for entry in ledger if entry["kind"] == "bot_message"]
    assert len(answers) == 4
    assert sorted(printed) == sorted(answers)
    assert len(set(answers.values())) == 4


@pytest.mark.parametrize("kind", ["turn", "owed"])
async def test_a_worker_that_was_frozen_writes_nothing_beside_its_successor(scene, world, kind):
    """MSG-2, CRM-22: it has lost the reply while it waited for its place in the rate"""
    if kind == "owed":
        await scene.says("Hello")
        await scene.calm()
        async with world.db.session(world.scope) as session:
            await outgoing.write(session, scene.conversation_id, "At nine.", by="Bob", now=utcnow())
    else:
        await scene.says("Hello")
    frozen, goes_on, writes = asyncio.Event(), asyncio.Event(), []

    async def reserve_send(link):
        if not frozen.is_set():
            frozen.set()
            await goes_on.wait()
        await scene.crm.reserve_send(link)

    async def write_field(link, lead_id, field_id, text):
        writes.append(text)
        return await scene.crm.write_field(link, lead_id, field_id, text)

    patched(scene, reserve_send=reserve_send, write_field=write_field)
    jobs = OutgoingJobs(scene.runner.crm, world.vault, PACE)
    before = len(await scene.sent())
    run = scene.advance if kind == "turn" else partial(scene.send_once, jobs, 1)
    first = asyncio.create_task(run())
    await frozen.wait()
    await run()  # the queue has given the job of a worker without a heartbeat to another one
    await (scene.calm() if kind == "turn" else scene.send_owed())
    goes_on.set()
    await first
    assert writes == (await scene.sent())[before:] and len(writes) == 1
    async with world.db.session(world.scope) as session:
        assert await session.fetchval("select count(*) from app.crm_lead_claim") == 0
