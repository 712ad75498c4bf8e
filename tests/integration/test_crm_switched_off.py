"""A connection that is switched off: nothing is answered there, nothing asked of it, and nothing is lost."""

from datetime import timedelta

import pytest

from gptagent.features.audit import service as audit
from gptagent.features.crm import service as crm
from gptagent.features.crm.actions import service as actions
from gptagent.features.crm.actions.jobs import ActionJobs
from gptagent.features.crm.actions.model import Note
from gptagent.features.crm.actions.service import Target
from gptagent.features.crm.connecting.service import Connecting
from gptagent.features.crm.health import check_account
from gptagent.features.crm.model import NewTask
from gptagent.features.crm.replying import service as replying
from gptagent.features.crm.syncing import service as syncing
from gptagent.features.crm.syncing.jobs import SyncJobs
from gptagent.features.crm.syncing.model import EVERY, PAUSE, STALE
from gptagent.features.crm.syncing.store import connections_to_sync
from gptagent.features.dialog import store as dialog_store
from gptagent.features.dialog.delivery import DeliveryJobs
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict
from gptagent.kernel.jobs import JobContext
from hookings import Door
from scenes import Scene, patched
from worlds import NOT_FOUND, UNANSWERED

OFF = ("refused", "connection_off")


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


async def switch(world, **changes):
    async with world.db.session(world.scope) as session:
        return await crm.change_connection(session, world.hook.connection_id, changes)


async def calls(world):
    return (await world.account.call("GET", "/stats"))["requests"]


def context(world):
    return JobContext(world.db, None, world.scope, 1, 1)


async def is_due(world, sql, *args):
    """Whether what all workspaces are looked through for names this connection."""
    async with world.db.installation() as session:
        rows = await session.fetch(sql, *args)
    return world.hook.connection_id in {row["connection_id"] for row in rows}


async def make_due(world):
    async with world.db.session(world.scope) as session:
        await session.execute(
            """update app.crm_connection set poll_at = '-infinity', care_at = '-infinity',
                      polled_to = now() - interval '1 minute'"""
        )


async def test_off_a_message_is_stored_and_not_answered_and_on_again_only_the_next_one_is(scene, world):
    """AGT-31"""
    await switch(world, is_active=False)
    before = await calls(world)
    await scene.says("Hello")
    await scene.calm()
    assert await scene.outcomes() == [OFF]
    assert (await scene.conversation())["last_text"] == "Hello"
    assert await calls(world) == before
    await scene.set_agent(response_delay_seconds=30)
    await scene.says("Still there?")  # waits for its time while the switch is turned
    await switch(world, is_active=True)
    await scene.set_agent(response_delay_seconds=0)
    async with world.db.session(world.scope) as session:
        await session.execute("update app.lane set due_at = now()")
    await scene.calm()
    assert await scene.outcomes() == [OFF, OFF]
    assert await scene.sent() == []
    await scene.says("And now?")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_what_a_poll_finds_of_the_time_it_was_off_is_shown_and_not_answered(scene, world):
    """AGT-31"""
    await switch(world, is_active=False)
    await scene.says("Hello")
    await scene.calm()
    await switch(world, is_active=True)
    await scene.says("Written while it was off")
    async with world.db.session(world.scope) as session:
        await session.execute("update app.message set sent_at = sent_at - interval '10 minutes'")
    await scene.calm()
    assert await scene.outcomes() == [OFF, OFF]
    assert await scene.sent() == []


async def test_off_no_job_makes_a_call_and_on_again_what_was_owed_is_done(scene, world):
    """AGT-31: polls, the webhook's check, a sync under way, delivery following, tasks, actions, lists."""
    await scene.says("Hello")
    await scene.calm()
    connection_id, lead_id = world.hook.connection_id, scene.chat["lead_id"]
    async with world.db.session(world.scope) as session:
        task = NewTask(lead_id, "Call back", utcnow() + timedelta(hours=1))
        await crm.owe_task(session, connection_id, task)
        await session.execute("update app.delivery_watch set check_at = '-infinity'")
        deal = Target(connection_id, "leads", lead_id)
        note = await actions.add_note(session, deal, Note("common", "Called"))
        asked = await syncing.request_sync(session, connection_id, "manual")
    await switch(world, is_active=False)
    await make_due(world)
    before = await calls(world)
    hooks, hour = Door(world), timedelta(hours=1)
    payload = {"connection_id": str(connection_id)}
    await hooks.jobs.check(context(world), **payload)
    await hooks.jobs.reconcile(context(world), **payload)
    await SyncJobs(world.crm(), world.vault).run(context(world), sync_id=str(asked.id))
    following = DeliveryJobs(scene.crm, world.vault)
    await following.follow(context(world), conversation_id=str(scene.conversation_id))
    await scene.perform_tasks()
    await ActionJobs(scene.crm, world.vault).perform(context(world), action_id=str(note.id))
    choices = await replying.list_choices(
        world.db, world.scope, connection_id, crm_port=scene.crm, vault=world.vault
    )
    assert choices.reason == "crm_connection_off"
    assert await calls(world) == before
    assert not await is_due(world, "select * from app.due_polls($1, 200)", hour)
    assert not await is_due(world, "select * from app.due_care($1, 200)", hour)
    async with world.db.installation() as session:
        due = await dialog_store.deliveries_due(session, 10, 1_000)
    assert scene.conversation_id not in {conversation_id for _, conversation_id in due}
    async with world.db.session(world.scope) as session:
        sync = await syncing.get_sync(session, connection_id, asked.id)
        assert (await actions.get_action(session, connection_id, note.id)).state == "pending"
    assert (sync.state, sync.error_code) == ("failed", "crm_connection_off")
    assert await scene.tasks() == []
    await switch(world, is_active=True)
    assert await is_due(world, "select * from app.due_polls($1, 200)", hour)
    await scene.perform_tasks()
    assert len(await scene.tasks()) == 1


async def test_off_what_people_ask_for_is_refused_but_the_token_may_be_tried(scene, world):
    """AGT-31"""
    await scene.says("Hello")
    connection_id = world.hook.connection_id
    await switch(world, is_active=False)
    async with world.db.session(world.scope) as session:
        for verb in (
            lambda: syncing.request_sync(session, connection_id, "manual"),
            lambda: actions.add_note(session, Target(connection_id, "leads", scene.chat["lead_id"]), None),
            lambda: crm.open_link(session, connection_id, world.vault),
        ):
            with pytest.raises(Conflict) as refused:
                await verb()
            assert refused.value.code == "crm_connection_off"
    before = await calls(world)
    door = Connecting(world.db, world.crm(), world.vault, "http://127.0.0.1:9")
    assert (await check_account(door, world.scope, connection_id)).status == "connected"
    assert await calls(world) > before


async def test_switched_off_between_answer_and_fence_nothing_is_sent(scene, world):
    """AGT-31"""

    async def reserve(link):
        await scene.crm.reserve_send(link)
        await switch(world, is_active=False)

    patched(scene, reserve_send=reserve)
    await scene.says("Hello")
    await scene.calm()
    assert await scene.sent() == []
    assert await scene.outcomes() == [OFF]


async def test_an_answer_that_waits_for_the_crm_is_not_sent_after_an_off_and_on(scene, world):
    await scene.says("Hello")
    await scene.break_send(action="status", status=503)
    await scene.advance()
    await switch(world, is_active=False)
    await switch(world, is_active=True)
    await scene.calm()
    assert await scene.sent() == []
    assert await scene.outcomes() == [OFF]


async def test_a_reply_that_had_begun_is_settled_while_it_is_off(scene, world):
    """AGT-31: exactly one answer is promised above all."""
    await scene.says("Hello")
    await scene.break_send(**UNANSWERED)
    await scene.advance()
    assert (await scene.turns())[0]["state"] == "sending"
    await switch(world, is_active=False)
    await scene.calm()
    assert await scene.outcomes() == [("not_found", "no_relevant_knowledge")]
    assert await scene.sent() == [NOT_FOUND]


async def test_without_daily_reading_it_is_read_by_hand_only(world):
    connection_id = world.hook.connection_id

    async def is_read():
        async with world.db.installation() as session:
            rows = await connections_to_sync(session, EVERY, PAUSE, STALE, 1_000)
        return connection_id in {row["connection_id"] for row in rows}

    assert await is_read()
    for off in ({"reads_daily": False}, {"reads_daily": True, "is_active": False}):
        await switch(world, **off)
        assert not await is_read()
    await switch(world, reads_daily=False, is_active=True)
    async with world.db.session(world.scope) as session:
        assert (await syncing.request_sync(session, connection_id, "manual")).state == "queued"


async def test_the_record_tells_what_was_switched(world):
    await switch(world, is_active=False)
    await switch(world, is_active=False)  # changes nothing
    async with world.db.session(world.scope) as session:
        latest, earlier = (await audit.list_entries(session))[:2]
    assert (latest.action, dict(latest.changes)) == ("connection.switched", {"is_active": (True, False)})
    assert earlier.action != "connection.switched"
