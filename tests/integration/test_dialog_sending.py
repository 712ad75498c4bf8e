"""What becomes of a reply when the CRM, the network or the worker fails around the send."""

import asyncio
import json
from dataclasses import replace

import pytest

from gptagent.features.crm import service as crm_service
from gptagent.kernel.errors import Forbidden, UpstreamUnavailable
from gptagent.kernel.jobs import JobContext
from scenes import PACE, Scene, patched
from worlds import NOT_FOUND, UNANSWERED


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


async def test_a_send_that_was_accepted_but_never_answered_is_read_back_not_repeated(scene):
    await scene.says("Hello")
    await scene.break_send(**UNANSWERED)
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]
    assert await scene.outcomes() == [("not_found", "no_relevant_knowledge")]


async def test_a_send_that_never_arrived_is_repeated_once_its_absence_is_certain(scene):
    await scene.says("Hello")
    await scene.break_send(action="reset")
    await scene.calm()
    (turn,) = await scene.turns()
    assert await scene.sent() == [NOT_FOUND]
    assert turn["send_attempts"] == 2


async def test_a_busy_crm_is_asked_again(scene):
    """CRM-21"""
    await scene.says("Hello")
    await scene.break_send(action="status", status=429, retry_after=1)
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_a_message_that_comes_while_the_crm_is_down_is_answered_together_with_the_first(scene):
    await scene.says("Hello")
    await scene.break_send(action="status", status=503)
    await scene.advance()
    await scene.says("Are you there?")
    await scene.calm()
    ended = [turn for turn in await scene.turns() if turn["state"] == "ended"]
    assert [(turn["first_seq"], turn["last_seq"]) for turn in ended] == [(1, 2)]
    assert await scene.sent() == [NOT_FOUND]


async def test_what_cannot_be_read_back_becomes_a_task_for_a_person(scene, world):
    await scene.says("Hello")
    await scene.break_send(**UNANSWERED)
    await world.account.call(
        "POST", "/faults", {"method": "GET", "path": "messages", "action": "status", "status": 500}
    )
    await scene.calm()
    assert await scene.outcomes() == [("handed_off", "delivery_unknown")]
    await scene.perform_tasks()
    (task,) = await scene.tasks()
    assert "It is not known whether a message reached the customer" in str(task)
    assert await scene.sent() == [NOT_FOUND]


async def test_our_message_reported_after_all_is_no_takeover(scene, world):
    await scene.says("Hello")
    await scene.break_send(**UNANSWERED)
    await world.account.call(
        "POST", "/faults", {"method": "GET", "path": "messages", "action": "status", "status": 500}
    )
    await scene.calm()
    await scene.says(NOT_FOUND, author="human")
    assert (await scene.conversation())["taken_over_at"] is None


async def test_the_crms_report_of_our_message_settles_an_unknown_send(scene):
    await scene.says("Hello")
    await scene.break_send(**UNANSWERED)
    await scene.advance()
    await scene.says(NOT_FOUND, author="bot", provider_id="m-1")
    await scene.calm()
    (turn,) = await scene.turns()
    assert turn["provider_message_id"] == "m-1"
    assert turn["send_attempts"] == 1


async def test_a_closed_talk_is_followed_by_the_chats_current_one(scene, world):
    await scene.says("Hello")
    old = scene.chat["talk_id"]
    await world.account.call("POST", f"/talks/{old}/close")
    await world.account.call("POST", f"/chats/{scene.chat['chat_id']}/customer", {"text": "again"})
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]
    assert (await scene.conversation())["talk_id"] != old


async def test_a_plan_that_forbids_sending_hands_over_to_a_person(scene):
    await scene.says("Hello")
    await scene.break_send(action="status", status=402)
    await scene.calm()
    assert await scene.outcomes() == [("handed_off", "crm_payment_required")]
    await scene.perform_tasks()
    assert len(await scene.tasks()) == 1


async def test_a_revoked_token_marks_the_connection_and_the_reply_waits_for_a_new_one(scene, world):
    """CRM-5"""
    await scene.says("Hello")
    await world.account.call("DELETE", "/tokens")
    await scene.advance()
    async with world.db.session(world.scope) as session:
        connection = await crm_service.get_connection(session, world.hook.connection_id)
    assert (connection.status, connection.status_reason) == ("broken", "crm_unauthorized")
    await asyncio.sleep(PACE.broken_connection_retry.total_seconds())
    await scene.advance()
    assert await scene.outcomes() == []
    token = (await world.account.call("POST", "/tokens", {}))["token"]
    command = crm_service.ConnectCrm(f"{world.account.subdomain}.kommo.test", token)
    await crm_service.connect_crm(
        world.db, world.scope, command, crm=scene.crm, vault=world.vault, public_url="http://127.0.0.1:9"
    )
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_a_recorded_answer_is_not_made_again_after_a_crash(scene):
    await scene.write_article("Delivery", "Delivery to the city costs 490 roubles.")
    await scene.says("How much does delivery to the city cost?")
    await scene.break_send(action="status", status=503)
    await scene.advance()
    (before,) = await scene.turns()

    async def must_not_be_asked(*_args):
        raise AssertionError("the answer was recorded already")

    failing = type("Failing", (), {"respond": must_not_be_asked})()
    scene.runner = replace(scene.runner, responder=failing, fallback=failing)
    await scene.calm()
    assert await scene.sent() == [before["answer"]["text"]]


async def test_a_turn_whose_job_is_given_up_is_handed_to_a_person(scene, world):
    """WRK-2: nobody is left waiting because of a broken job."""
    await scene.says("Hello")
    ctx = JobContext(world.db, None, world.scope, 1, 5)
    await scene.runner.give_up(ctx, conversation_id=str(scene.conversation_id))
    assert await scene.outcomes() == [("handed_off", "failed")]
    await scene.perform_tasks()
    assert len(await scene.tasks()) == 1


async def test_a_task_whose_creation_was_not_answered_is_looked_up_first(scene, world):
    await scene.set_agent(not_found_task=True)
    await scene.says("Hello")
    await scene.calm()
    await world.account.break_next("tasks", **UNANSWERED)
    with pytest.raises(Exception, match="crm_unavailable"):
        await scene.perform_tasks()
    await scene.perform_tasks()
    assert len(await scene.tasks()) == 1


async def test_the_answer_is_kept_as_it_was_sent(scene, world):
    await scene.says("Hello")
    await scene.calm()
    async with world.db.session(world.scope) as session:
        row = await session.fetchrow(
            "select m.text, t.answer from app.message m join app.turn t on t.id = m.turn_id"
        )
    assert json.loads(row["answer"])["text"] == row["text"] == NOT_FOUND


async def test_a_talk_the_webhook_did_not_name_is_found_and_read_back_from(scene):
    """A send accepted but never answered must not be repeated although no message named the talk."""
    scene.chat = {**scene.chat, "talk_id": None}
    await scene.says("Hello")
    await scene.break_send(**UNANSWERED)
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_a_reply_is_read_back_from_the_talk_it_was_sent_into(scene, world):
    await scene.says("Hello")
    await scene.break_send(**UNANSWERED)
    await scene.advance()
    await world.account.call("POST", f"/talks/{scene.chat['talk_id']}/close")
    await world.account.call("POST", f"/chats/{scene.chat['chat_id']}/customer", {"text": "again"})
    chats = (await world.account.call("GET", "/chats"))["chats"]
    (current,) = [chat for chat in chats if chat["chat_id"] == scene.chat["chat_id"]]
    scene.chat = {**scene.chat, "talk_id": current["talk_id"]}
    await scene.says("again")
    await scene.calm()
    turns = await scene.turns()
    assert [(t["first_seq"], t["last_seq"], t["send_attempts"]) for t in turns] == [(1, 1, 1), (2, 2, 1)]
    assert len(await scene.sent()) == 2


async def test_a_crm_that_lets_no_send_begin_is_asked_with_growing_pauses_and_then_a_person(scene):
    """Before the fence as behind it: not every two seconds for ever."""

    async def reserve_send(_link):
        raise UpstreamUnavailable("crm_unavailable", "The CRM does not answer.")

    patched(scene, reserve_send=reserve_send)
    scene.runner = replace(scene.runner, pace=replace(PACE, send_attempts_max=3))
    await scene.says("Hello")
    await scene.calm()
    (turn,) = await scene.turns()
    assert (turn["held_back"], turn["send_attempts"]) == (3, 0)
    assert await scene.outcomes() == [("handed_off", "crm_unavailable")]
    await scene.perform_tasks()
    assert len(await scene.tasks()) == 1
    assert await scene.sent() == []


async def test_a_token_revoked_before_the_chat_was_read_back_waits_for_the_owner(scene, world):
    """CRM-8: a reply of unknown outcome is no task for a person while the account cannot even be read."""
    revoked = True

    async def list_messages(*args):
        if revoked:
            raise Forbidden("crm_unauthorized", "The access token is no longer accepted.")
        return await scene.crm.list_messages(*args)

    await scene.says("Hello")
    await scene.break_send(**UNANSWERED)
    await scene.advance()
    patched(scene, list_messages=list_messages)
    await asyncio.sleep(PACE.unknown_gives_up_after.total_seconds() + 0.1)
    await scene.advance()
    async with world.db.session(world.scope) as session:
        (connection,) = await crm_service.list_connections(session)
    assert (connection.status, connection.status_reason) == ("broken", "crm_unauthorized")
    assert await scene.outcomes() == []
    revoked = False
    await scene.calm()
    assert await scene.outcomes() == [("not_found", "no_relevant_knowledge")]
    assert await scene.sent() == [NOT_FOUND]
