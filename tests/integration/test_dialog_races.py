"""Transactions that meet: renewed tokens, lanes given back, deliveries in another order, disconnecting."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest

from gptagent.features.crm import service as crm_service
from gptagent.features.crm.model import InboundMessage, LeadChanged, Webhook
from gptagent.features.dialog import service as dialog
from gptagent.features.dialog.lanes import store as lane_store
from gptagent.kernel.clock import utcnow
from scenes import Scene, patched


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


def message_of(scene, text="Hi"):
    return InboundMessage(
        provider_id=str(uuid4()),
        chat_id=scene.chat["chat_id"],
        talk_id=scene.chat["talk_id"],
        contact_id=scene.chat["contact_id"],
        lead_id=scene.chat["lead_id"],
        author="customer",
        author_name="Ann",
        text=text,
        sent_at=utcnow(),
        origin="waba",
    )


async def test_a_refusal_of_the_old_token_does_not_break_the_renewed_connection(scene, world):
    await scene.says("Hello")

    async def reserve_send(link):
        await scene.crm.reserve_send(link)
        await world.account.call("DELETE", "/tokens")
        token = (await world.account.call("POST", "/tokens", {}))["token"]
        command = crm_service.ConnectCrm(f"{world.account.subdomain}.kommo.test", token)
        await crm_service.connect_crm(
            world.db, world.scope, command, crm=scene.crm, vault=world.vault, public_url="http://127.0.0.1:9"
        )

    patched(scene, reserve_send=reserve_send)
    await scene.advance()
    async with world.db.session(world.scope) as session:
        connection = await crm_service.get_connection(session, world.hook.connection_id)
    assert connection.status == "connected"


async def test_a_lease_is_not_renewed_after_the_lane_was_given_back(scene, world):
    await scene.says("Hello")
    await scene.calm()
    lane = await scene.lane()
    async with world.db.session(world.scope) as session:
        await lane_store.renew_lease(session, scene.conversation_id, lane["claim"], timedelta(seconds=30))
    await scene.says("Another")
    await scene.advance(job_id=2)
    assert len(await scene.sent()) == 2


async def claimed(scene, job_id, lease=timedelta(seconds=30)):
    world = scene.world
    async with world.db.session(world.scope) as session:
        return await dialog.claim_lane(session, scene.conversation_id, job_id, lease)


async def given_back_during(scene, turn, work):
    """Give the lane back while a transaction that has done `work` to it is open; return what came of it."""
    world, is_asked = scene.world, asyncio.Event()

    async def give_back():
        async with world.db.session(world.scope) as session:
            is_asked.set()
            await dialog.give_back(session, turn, answered=True)

    async with world.db.session(world.scope) as session:
        await work(session)
        giving = asyncio.create_task(give_back())
        await is_asked.wait()
        while not await session.fetchval(
            "select exists (select from pg_locks"
            " where not granted and transactionid = pg_current_xact_id()::xid)"
        ):
            assert not giving.done()
            await asyncio.sleep(0.01)
    (failed,) = await asyncio.gather(giving, return_exceptions=True)
    return failed


async def test_a_message_that_comes_while_the_lane_is_given_back_is_answered_next(scene):
    """MSG-7: one statement gives the lane back; it looks at the lane as it is once nobody changes it."""
    await scene.says("Hello")
    turn = await claimed(scene, 1)

    async def write(session):
        second = timedelta(seconds=1)
        await lane_store.stir(session, scene.conversation_id, wanted=2, delay=second, burst_cap=second)

    assert await given_back_during(scene, turn, write) is None
    lane = await scene.lane()
    assert (lane["done"], lane["wanted"]) == (1, 2)
    assert lane["due_at"] is not None
    assert lane["wake_at"] is not None


async def test_a_lane_that_is_taken_over_is_not_given_back_by_who_had_it(scene):
    await scene.says("Hello")
    turn = await claimed(scene, 1)

    async def take(session):
        await lane_store.take_lease(session, scene.conversation_id, 2, timedelta(seconds=30))

    assert isinstance(await given_back_during(scene, turn, take), dialog.StaleClaim)
    lane = await scene.lane()
    assert (lane["done"], lane["job_id"], lane["claim"]) == (0, 2, turn.claim + 1)


async def test_deliveries_of_two_chats_in_another_order_do_not_deadlock(scene, world):
    other = await Scene.open(world)
    await scene.says("a")
    await other.says("b")

    async def both(*scenes):
        for _ in range(40):
            await scenes[0].hears(*(message_of(one) for one in scenes for _ in range(5)))

    await asyncio.gather(both(scene, other), both(other, scene))


async def test_a_moved_deal_with_a_message_does_not_deadlock_with_the_record(scene, world):
    """lead -> lane -> conversation (webhook) against conversation -> lane (finish)."""
    lead = scene.chat["lead_id"]
    await scene.hears(LeadChanged(lead, "moved", 1, 11))

    async def deliver():
        for number in range(60):
            await scene.hears(LeadChanged(lead, "moved", 1, 11 + number % 2), message_of(scene))

    async def messages():
        for _ in range(60):
            await scene.hears(message_of(scene), LeadChanged(lead, "updated", None, None))

    await scene.says("x")
    await asyncio.gather(deliver(), messages())


async def test_deleting_the_connection_does_not_deadlock_with_a_webhook(scene, world):
    await scene.says("Hello")
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_connection set last_webhook_at = null")

    async def webhook():
        async with world.db.session(world.scope) as session:
            slow = message_of(scene)
            await crm_service.receive_webhook(
                session,
                world.hook,
                Webhook(world.hook.account_id, None, (slow,)),
                Slow(world.subscribers),
                now=utcnow(),
            )

    class Slow:
        def __init__(self, inner):
            self.inner = inner

        async def publish(self, session, event):
            await self.inner.publish(session, event)
            await asyncio.sleep(1.5)

    async def delete():
        await asyncio.sleep(0.2)
        async with world.db.session(world.scope) as session:
            await crm_service.disconnect_crm(session, world.hook.connection_id)

    results = await asyncio.gather(webhook(), delete(), return_exceptions=True)
    assert not any("eadlock" in type(r).__name__ for r in results), results


async def disconnect_during(world, work):
    async def delete():
        await asyncio.sleep(0.3)
        async with world.db.session(world.scope) as session:
            await crm_service.disconnect_crm(session, world.hook.connection_id)

    results = await asyncio.gather(work, delete(), return_exceptions=True)
    assert not any("eadlock" in type(r).__name__ for r in results), results


async def test_disconnecting_does_not_deadlock_with_a_claim(scene, world, monkeypatch):
    await scene.says("Hello")
    lock_lane = lane_store.lock_lane

    async def slow(*args):
        row = await lock_lane(*args)
        await asyncio.sleep(0.8)
        return row

    monkeypatch.setattr(lane_store, "lock_lane", slow)
    await disconnect_during(world, scene.advance())


async def test_disconnecting_does_not_deadlock_with_a_handed_off_turn(scene, world, monkeypatch):
    await scene.says("Hello")
    await scene.break_send(action="status", status=402)
    release_lane = lane_store.release_lane

    async def slow(*args, **named):
        row = await release_lane(*args, **named)
        await asyncio.sleep(0.8)
        return row

    monkeypatch.setattr(lane_store, "release_lane", slow)
    await disconnect_during(world, scene.advance())
