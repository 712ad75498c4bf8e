"""Every live topic: Charlie listens to all of them and hears nothing of Alice's."""

import asyncio
from contextlib import suppress

import pytest

from gptagent.kernel.live import LiveHub
from isolation.topics import published_topics

TOPICS = ("agents", "checks", "connections", "connections/health", "conversations", "deliveries", "documents")
TOPICS += (
    "graph",
    "knowledge-runs",
    "members",
    "reranking",
    "scenario-runs",
    "scenarios",
    "sites",
    "vectors",
)
MARK = "the-end"


def test_every_topic_has_a_tenant_case():
    """TEN-1"""
    assert published_topics() == set(TOPICS), "list the topic in TOPICS: Charlie then listens to it below"


@pytest.fixture
async def hub(platform):
    hub = LiveHub(platform.db)
    task = asyncio.create_task(hub.run())
    yield hub
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def tell(platform, estate, kind):
    async with platform.db.session(estate.scope) as session:
        for topic in TOPICS:
            await session.publish(topic, kind, {"of": estate.canary})
            await session.publish(f"{topic}/{estate.canary}", kind, {"of": estate.canary})


async def heard(hub, estate, platform, alice, *, last_id):
    """Open a stream, let Alice's workspace and then the listener's own speak, and return what was heard."""
    wanted = [*TOPICS, *(f"{topic}/{alice.canary}" for topic in TOPICS)]
    lines = []
    async with asyncio.timeout(120):
        stream = hub.stream(estate.scope, wanted, last_id)
        lines.append(await anext(stream))
        while MARK not in "".join(map(bytes.decode, lines)):
            reading = asyncio.ensure_future(anext(stream))
            while not reading.done():  # until the hub listens, nothing of it is heard
                await tell(platform, alice, "secret")
                await tell(platform, estate, MARK)
                await asyncio.wait({reading}, timeout=0.05)
            lines.append(reading.result())
        await stream.aclose()
    return b"".join(lines).decode()


async def test_a_stream_carries_nothing_of_another_tenant(hub, platform, alice, charlie):
    told = await heard(hub, charlie, platform, alice, last_id=None)
    assert charlie.canary in told
    assert alice.canary not in told and "secret" not in told


async def test_a_resumed_stream_replays_nothing_of_another_tenant(hub, platform, alice, charlie):
    await tell(platform, alice, "secret")
    told = await heard(hub, charlie, platform, alice, last_id=0)
    assert charlie.canary in told
    assert alice.canary not in told and "secret" not in told


async def test_the_tenant_itself_hears_all_topics(hub, platform, alice):
    async with platform.db.session(alice.scope) as session:
        last_id = await session.fetchval("select max(id) from app.live_event")
    await tell(platform, alice, MARK)
    stream = hub.stream(alice.scope, TOPICS, last_id)
    told = b""
    async with asyncio.timeout(120):
        while not all(f'"{topic}/{alice.canary}"'.encode() in told for topic in TOPICS):
            told += await anext(stream)
    await stream.aclose()
    assert all(f'"{topic}"'.encode() in told for topic in TOPICS)


async def test_the_stream_of_a_page_carries_nothing_of_another_tenant(as_charlie, platform, alice, charlie):
    topics = ",".join([*TOPICS, *(f"{topic}/{alice.canary}" for topic in TOPICS)])
    await tell(platform, alice, "secret")
    await tell(platform, charlie, MARK)
    told = ""
    async with (
        asyncio.timeout(120),
        as_charlie.http.stream(
            "GET",
            f"/manage/{charlie.number}-{charlie.slug}/live",
            params={"topics": topics, "last": "0"},
            headers={"cookie": f"session={as_charlie.cookie}"},
        ) as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        async for text in response.aiter_text():
            told += text
            if MARK in told:
                break
    assert charlie.canary in told
    assert alice.canary not in told and "secret" not in told
