"""A colleague writes to the customer from our screen: in the same chat, once, and it counts as a person's."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest

from gptagent.features.conversations import service as conversations
from gptagent.features.crm.replying import service as replying
from gptagent.features.dialog import service as lanes
from gptagent.features.dialog.context import Spent
from gptagent.features.dialog.model import Answer
from gptagent.features.dialog.outgoing import service
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid
from gptagent.kernel.ids import new_id
from reply_routes import use_bot
from scenes import Scene
from worlds import NOT_FOUND

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
    """AGT-27: what is written on our screen is a person's message."""
    reply_id = new_id()
    await asyncio.gather(write(scene, reply_id=reply_id), write(scene, reply_id=reply_id))
    await asyncio.gather(scene.send_owed(), scene.send_owed())
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


@pytest.mark.parametrize("fault", ["accept_then_timeout", "reset"])
async def test_a_send_whose_outcome_is_unknown_is_read_back_and_leaves_once(scene, fault):
    await write(scene)
    await scene.break_send(action=fault)
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
