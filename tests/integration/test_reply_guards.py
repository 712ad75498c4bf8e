"""What keeps replies from doing harm: the channel's window, two robots talking, what became of a message."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gptagent.features.crm.model import InboundMessage
from gptagent.features.dialog.delivery import DeliveryJobs, sweep_deliveries
from gptagent.kernel.clock import utcnow
from gptagent.kernel.jobs import JobContext
from scenes import PACE, Scene
from worlds import NOT_FOUND


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


async def says_old(scene, channel, hours):
    """A message of the customer that reaches us that late."""
    chat = scene.chat
    await scene.hears(
        InboundMessage(
            provider_id=f"late-{channel}-{hours}",
            chat_id=chat["chat_id"],
            talk_id=chat["talk_id"],
            contact_id=chat["contact_id"],
            lead_id=chat["lead_id"],
            author="customer",
            author_name="Ann",
            text="Hello",
            sent_at=utcnow() - timedelta(hours=hours),
            origin=channel,
        )
    )


async def test_after_the_channels_window_the_reply_becomes_a_task_with_its_text(scene):
    await says_old(scene, "waba", 25)
    await scene.calm()
    assert await scene.outcomes() == [("handed_off", "window_closed")]
    await scene.perform_tasks()
    (task,) = await scene.tasks()
    assert NOT_FOUND in task["text"]
    assert await scene.sent() == []


@pytest.mark.parametrize(("channel", "hours"), [("waba", 23), ("telegram", 23)])
async def test_within_the_window_or_without_one_the_reply_is_sent(scene, *, channel, hours):
    await says_old(scene, channel, hours)
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_two_robots_talking_are_slowed_down_and_nothing_is_lost(scene):
    scene.runner = replace(
        scene.runner, pace=replace(PACE, replies_per_minute=2, crowded_retry=timedelta(seconds=30))
    )
    for number in range(4):
        await scene.says(f"I am a robot, {number}")
        await scene.advance()
    assert len(await scene.sent()) == 2
    lane = await scene.lane()
    assert (lane["wanted"] > lane["done"], lane["due_at"] is not None) == (True, True)
    scene.runner = replace(scene.runner, pace=PACE)
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute("update app.lane set due_at = now()")
    await scene.calm()
    assert len(await scene.sent()) == 3  # one for all that came meanwhile


async def follow(scene):
    world = scene.world
    async with world.db.session(world.scope) as session:
        await session.execute("update app.delivery_watch set check_at = now() - interval '1 second'")
    jobs = DeliveryJobs(scene.crm, world.vault)
    for _ in range(2):
        context = JobContext(world.db, None, world.scope, 1, 1)
        await jobs.follow(context, conversation_id=str(scene.conversation_id))
    async with world.db.session(world.scope) as session:
        status = await session.fetchval("select delivery_status from app.message where author = 'agent'")
        watched = await session.fetchval("select count(*) from app.delivery_watch")
    return status, watched


async def test_a_reply_is_followed_until_it_is_read(scene, world):
    await world.account.call("POST", "/knobs", {"delivered_after_ms": 60_000, "read_after_ms": 60_000})
    await scene.says("Hello")
    await scene.calm()
    assert await follow(scene) == ("sent", 1)
    await world.account.call("POST", "/knobs", {"delivered_after_ms": 0})
    assert await follow(scene) == ("delivered", 1)
    await world.account.call("POST", "/knobs", {"read_after_ms": 0})
    assert await follow(scene) == ("read", 0)


async def test_a_message_the_channel_refuses_is_one_task_for_a_person(scene, world):
    await world.account.call("POST", "/knobs", {"window_open": False})
    await scene.says("Hello")
    await scene.calm()
    assert await follow(scene) == ("failed", 0)
    await scene.perform_tasks()
    (task,) = await scene.tasks()
    assert NOT_FOUND in task["text"]


async def test_an_account_that_shows_no_messages_is_asked_once(scene, world):
    await scene.says("Hello")
    await scene.calm()
    await world.account.call("POST", "/knobs", {"talks_api": False})
    assert await follow(scene) == (None, 0)


async def test_due_deliveries_are_queued_once(scene, world):
    await scene.says("Hello")
    await scene.calm()
    async with world.db.session(world.scope) as session:
        await session.execute("update app.delivery_watch set check_at = now() - interval '1 year'")
    await sweep_deliveries(world.db)
    await sweep_deliveries(world.db)
    async with world.db.installation() as session:
        queued = await session.fetchval(
            """select count(*) from jobs.pgqueuer
                where entrypoint = 'dialog.follow_delivery' and headers->>'org' = $1""",
            str(world.scope.org_id),
        )
    assert queued == 1
