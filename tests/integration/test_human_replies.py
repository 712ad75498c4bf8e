"""A colleague writes to the customer from our screen: in the same chat, once, and it counts as a person's."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from gptagent.features.conversations import service as conversations
from gptagent.features.crm.replying import service as replying
from gptagent.features.dialog import service as lanes
from gptagent.features.dialog.context import Spent
from gptagent.features.dialog.model import Answer
from gptagent.features.dialog.outgoing import service, store
from gptagent.features.dialog.outgoing.jobs import OutgoingJobs
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid, UpstreamUnavailable
from gptagent.kernel.ids import new_id
from reply_routes import use_bot
from scenes import PACE, Scene, Wrapped
from worlds import NOT_FOUND, UNANSWERED

WORDS = "We open at nine."


@dataclass
class Listening:
    """A responder that keeps what it is told was said before."""

    told: list = field(default_factory=list)

    async def respond(self, _db, _scope, context, _passages):
        self.told = [one.text for one in context.history]
        return Answer("In Kazan.", "reply", "listening"), Spent()


@pytest.fixture
async def scene(world):
    scene = await Scene.open(world)
    await scene.says("Hello")
    await scene.calm()
    return scene


async def write(scene, text=WORDS, reply_id=None):
    async with scene.world.db.session(scene.world.scope) as session:
        owed, event = await service.write(
            session, scene.conversation_id, text, by="Bob", now=utcnow(), reply_id=reply_id
        )
        if event is not None:
            await lanes.Lanes().on_hold_changed(session, event)
    return owed


async def states(scene):
    return [one["state"] for one in await scene.owed()]


async def last_message(scene):
    async with scene.world.db.session(scene.world.scope) as session:
        return (await conversations.list_messages(session, scene.conversation_id))[-1]


async def test_a_form_sent_twice_is_one_reply_that_stops_the_agent(scene):
    """AGT-27, U209: what is written on our screen is a person's message."""
    reply_id = new_id()
    await asyncio.gather(write(scene, reply_id=reply_id), write(scene, reply_id=reply_id))
    await asyncio.gather(scene.send_owed(job_id=1), scene.send_owed(job_id=2))
    with pytest.raises(Conflict) as refused:  # gone back to: neither a second reply nor lost in silence
        await write(scene, "We close at six.", reply_id=reply_id)
    assert refused.value.code == "reply_sent_before"
    assert await scene.sent() == [NOT_FOUND, WORDS]
    assert (await scene.conversation())["taken_over_by"] == "Bob"
    message = await last_message(scene)
    assert (message.author, message.author_name, message.text) == ("human", "Bob", WORDS)
    await scene.says("Thanks")
    await scene.calm()
    assert (await scene.outcomes())[-1] == ("refused", "taken_over")


async def test_where_people_stop_no_agents_the_question_is_answered_and_the_next_one_theirs(scene, world):
    async with world.db.session(world.scope) as session:
        await organizations.update_settings(session, {"stop_on_human": False})
    await scene.set_agent(response_delay_seconds=5)
    await scene.says("When do you open?")
    await write(scene)
    await scene.send_owed()
    await scene.set_agent(response_delay_seconds=0)
    await scene.calm()
    assert (await scene.outcomes())[-1] == ("refused", "person_answered")
    await scene.says("And close?")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND, WORDS, NOT_FOUND]


@pytest.mark.parametrize("fault", [UNANSWERED, {"action": "reset"}], ids=["arrived", "never arrived"])
async def test_a_send_whose_outcome_is_unknown_is_read_back_and_leaves_once(scene, fault):
    await write(scene)
    await scene.break_send(**fault)
    await scene.send_owed()
    assert await scene.sent() == [NOT_FOUND, WORDS]
    assert await states(scene) == ["sent"]


async def test_the_crms_own_report_of_it_is_not_another_message(scene):
    await write(scene)
    await scene.send_owed()
    (owed,) = await scene.owed()
    count = (await scene.conversation())["last_seq"]
    await scene.says(WORDS, author="human", provider_id=owed["provider_message_id"])
    assert (await scene.conversation())["last_seq"] == count
    assert (await last_message(scene)).delivery_status == "sent"


async def test_a_report_that_comes_before_the_answer_settles_it(scene):
    await write(scene)
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute(
            """update app.outgoing set state = 'sending', sends = 1, send_route = 'talk',
                      send_started_at = now()"""
        )
        await session.execute("delete from app.delivery_watch")
    await scene.says(f"  {WORDS} ", author="bot")
    assert await states(scene) == ["sent"]
    async with scene.world.db.session(scene.world.scope) as session:  # whether it is delivered is followed
        assert await session.fetchval("select count(*) from app.delivery_watch") == 1
    await scene.send_owed()
    assert await scene.sent() == [NOT_FOUND]  # the job has nothing left to send


async def test_two_replies_leave_in_their_order_by_a_bot_of_the_crm_too(scene, world):
    await use_bot(scene)
    async with world.db.session(world.scope) as session:
        await replying.change_setup(session, world.hook.connection_id, {"mode": "salesbot"}, world.vault)
    await write(scene, "First.")
    await write(scene, "Second.")
    await scene.send_owed()
    assert (await scene.sent())[-2:] == ["First.", "Second."]
    async with world.db.session(world.scope) as session:
        assert await session.fetchval("select count(*) from app.crm_lead_claim") == 0


async def test_a_message_is_prepared_by_one_run_alone_and_a_slow_failure_takes_no_deal_from_another(
    scene, world
):
    """AGT-27: each owed message has a job of its own, and all of them begin with the first."""
    await use_bot(scene)
    async with world.db.session(world.scope) as session:
        await replying.change_setup(session, world.hook.connection_id, {"mode": "salesbot"}, world.vault)
    await write(scene, "First.")
    await write(scene, "Second.")
    begun, may_write, writes = asyncio.Event(), asyncio.Event(), []

    async def write_field(link, lead_id, field_id, text):
        writes.append(text)
        if len(writes) > 1 and not may_write.is_set():
            raise UpstreamUnavailable("crm_unavailable", "Away.")
        begun.set()
        await may_write.wait()
        return await scene.crm.write_field(link, lead_id, field_id, text)

    jobs = OutgoingJobs(Wrapped(scene.crm, write_field=write_field), world.vault, PACE)
    slow = asyncio.create_task(scene.send_once(jobs, 1))
    await begun.wait()
    await scene.send_once(jobs, 2)
    async with world.db.session(world.scope) as session:
        assert await session.fetchval("select count(*) from app.crm_lead_claim") == 1
    assert (writes, [one["failures"] for one in await scene.owed()]) == (["First."], [0, 0])
    may_write.set()
    await slow
    await scene.send_owed()
    assert (await scene.sent())[-2:] == ["First.", "Second."]


async def test_however_many_jobs_there_are_a_message_is_tried_again_only_after_its_pause(scene, world):
    hour = timedelta(hours=1)
    jobs = OutgoingJobs(scene.crm, world.vault, replace(PACE, send_retry_first=hour, send_retry_cap=hour))
    await write(scene, "First.")
    await write(scene, "Second.")
    await scene.break_send(status=503)
    for job_id in (1, 2, 3):
        await scene.send_once(jobs, job_id)
    assert [(one["state"], one["failures"]) for one in await scene.owed()] == [("waiting", 1), ("waiting", 0)]
    assert await scene.sent() == [NOT_FOUND]


async def test_what_two_runs_saw_fail_counts_as_one_failure(scene, world):
    await write(scene)
    async with world.db.session(world.scope) as session:
        (one,) = await store.select_open(session, scene.conversation_id, 1)
        assert [await store.reopen(session, one) for _ in range(2)] == [True, False]


async def test_a_message_whose_job_is_lost_is_found_and_sent(scene, world):
    """AGT-27: not while a run has it, nor before its time; once."""
    await write(scene)

    async def woken(changes):
        async with world.db.session(world.scope) as session:
            await session.execute(f"update app.outgoing set {changes}")  # noqa: S608 - words of this test
        await service.sweep_outgoing(world.db)
        async with world.db.session(world.scope) as session:
            return await session.fetchval(
                "select count(*) from jobs.pgqueuer where entrypoint = $1 and headers->>'org' = $2",
                service.SEND,
                str(world.scope.org_id),
            )

    long_ago = "created_at = now() - interval '1 hour'"
    assert await woken("due_at = null") == 1  # its own job
    assert await woken(f"{long_ago}, lease_until = now() + interval '1 minute'") == 1
    assert await woken("lease_until = null, due_at = now() + interval '1 minute'") == 1
    assert await woken("due_at = null") == 2
    assert await woken("seq = seq") == 2
    await scene.send_owed(job_id=7)
    assert await scene.sent() == [NOT_FOUND, WORDS]
    assert await woken(f"{long_ago}, due_at = null, lease_until = null") == 2


async def test_what_is_refused_is_not_kept(scene, world):
    for text in (" ", "x" * 4_001, "/agent"):
        with pytest.raises(Invalid):
            await write(scene, text)
    async with world.db.session(world.scope) as session:
        await session.execute("update app.message set sent_at = sent_at - interval '25 hours'")
    with pytest.raises(Conflict) as closed:
        await write(scene)
    assert closed.value.code == "reply_window_closed"
    assert await states(scene) == []


async def test_what_the_crm_refuses_is_shown_as_failed_and_becomes_a_task(scene):
    await write(scene)
    await scene.break_send(status=400)
    await scene.send_owed()
    assert await states(scene) == ["not_sent"]
    assert (await last_message(scene)).delivery_status == "failed"
    await scene.perform_tasks()
    assert any(WORDS in str(one) for one in await scene.ledger("task"))


async def test_what_did_not_reach_the_customer_is_nothing_an_agent_has_said(scene, world):
    async with world.db.session(world.scope) as session:
        await organizations.update_settings(session, {"stop_on_human": False})
    await write(scene)
    await scene.break_send(status=400)
    await scene.send_owed()
    scene.runner = replace(scene.runner, responder=(listening := Listening()))
    await scene.says("And where are you?")
    await scene.calm()
    assert listening.told == ["Hello", NOT_FOUND]


async def test_a_report_of_an_agents_reply_is_no_report_of_the_same_words_of_a_colleague(scene, world):
    """MSG-2: what is known by its id is not looked for by its words"""
    await write(scene, NOT_FOUND)
    async with world.db.session(world.scope) as session:
        await session.execute("update app.turn set provider_message_id = 'm-1'")
        await session.execute(
            """update app.outgoing set state = 'sending', sends = 1, send_route = 'talk',
                      send_started_at = now()"""
        )
    await scene.says(NOT_FOUND, author="bot", provider_id="m-1")
    assert await states(scene) == ["sending"]
    await scene.says(NOT_FOUND, author="bot", provider_id="m-2")
    assert [(one["state"], one["provider_message_id"]) for one in await scene.owed()] == [("sent", "m-2")]
