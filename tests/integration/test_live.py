"""Live events reach the open tabs of their own workspace."""

import asyncio
import json
from contextlib import asynccontextmanager

import asyncpg
import pytest

from gptagent.kernel import live
from gptagent.kernel.live import LiveEvent, LiveHub, is_heard, last_event_id

WAIT_SECONDS = 60


class Tab:
    """An open stream, read in the background."""

    def __init__(self, hub, scope, topics, last_id=None):
        self.events = []
        self.changed = asyncio.Event()
        self.task = asyncio.create_task(self._read(hub.stream(scope, topics, last_id)))

    async def _read(self, stream):
        async for chunk in stream:
            if chunk.startswith(b"id: "):
                fields = dict(line.split(": ", 1) for line in chunk.decode().strip().splitlines())
                self.events.append((int(fields["id"]), json.loads(fields["data"])))
            self.changed.set()

    async def until(self, found):
        async with asyncio.timeout(WAIT_SECONDS):
            while not found(self):
                self.changed.clear()
                await self.changed.wait()

    def kinds(self):
        return [event["kind"] for _, event in self.events]

    async def close(self):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@asynccontextmanager
async def opened(hub, scope, *topics, last_id=None):
    tab = Tab(hub, scope, topics, last_id)
    await tab.changed.wait()
    yield tab
    await tab.close()


async def say(database, scope, kind, topic="agents"):
    async with database.session(scope) as session:
        await session.publish(topic, kind, {"id": kind})
        return await last_event_id(session)


@pytest.fixture
async def hub(database, scope, monkeypatch):
    """A hub that listens already: its first event has come through."""
    monkeypatch.setattr(live, "HEALTH_SECONDS", 600)  # what it says last is that it listens
    hub = LiveHub(database)
    running = asyncio.create_task(hub.run())
    async with opened(hub, scope, "warm-up") as tab:
        while not tab.events:
            await say(database, scope, "ready", "warm-up")
            await asyncio.sleep(0.02)
    yield hub
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_an_event_reaches_its_own_workspace_only(database, hub, scope, other_scope):
    async with opened(hub, scope, "agents") as mine, opened(hub, other_scope, "agents") as theirs:
        await say(database, scope, "changed")
        await say(database, other_scope, "elsewhere")
        await mine.until(lambda tab: tab.events)
        await theirs.until(lambda tab: tab.events)
        assert (mine.kinds(), theirs.kinds()) == (["changed"], ["elsewhere"])
        assert mine.events[0][1] == {"topic": "agents", "kind": "changed", "ids": {"id": "changed"}}


async def test_a_tab_hears_its_topics_and_what_lies_below_them(database, hub, scope):
    async with opened(hub, scope, "conversations", "agents/7") as tab:
        for topic in ("documents", "conversations/1", "agents/8", "agents/7", "conversations"):
            await say(database, scope, topic, topic)
        await tab.until(lambda tab: "conversations" in tab.kinds())
        assert tab.kinds() == ["conversations/1", "agents/7", "conversations"]


async def test_a_tab_hears_twenty_topics_at_most(database, hub, scope):
    topics = [f"conversations/{number}" for number in range(21)]
    async with opened(hub, scope, *topics) as tab:
        for topic in reversed(topics):
            await say(database, scope, topic, topic)
        await tab.until(lambda tab: topics[0] in tab.kinds())
        assert tab.kinds() == topics[19::-1]


async def test_an_event_that_was_rolled_back_is_never_heard(database, hub, scope):
    async with opened(hub, scope, "agents") as tab:
        with pytest.raises(KeyError):
            async with database.session(scope) as session:
                await session.publish("agents", "undone", {})
                raise KeyError
        await say(database, scope, "done")
        await tab.until(lambda tab: tab.events)
        assert tab.kinds() == ["done"]


async def test_a_tab_that_was_away_resumes_by_its_last_id(database, hub, scope, other_scope):
    async with database.session(scope) as session:
        last = await last_event_id(session)
    for number in range(3):
        await say(database, scope, f"missed-{number}")
        await say(database, other_scope, "elsewhere")
    async with opened(hub, scope, "agents", last_id=last) as tab:
        await say(database, scope, "now")
        await tab.until(lambda tab: "now" in tab.kinds())
        assert tab.kinds() == ["missed-0", "missed-1", "missed-2", "now"]
    async with opened(hub, scope, "documents", last_id=last) as tab:
        await say(database, scope, "now", "documents")
        await tab.until(lambda tab: tab.events)
        assert tab.kinds() == ["now"]


async def test_a_lost_listener_ends_the_streams_and_listens_again(database, hub, scope, roles):
    tab = Tab(hub, scope, ["agents"])
    await tab.changed.wait()
    connection = await asyncpg.connect(roles.app_dsn)
    await connection.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where query ilike 'listen%gptagent_live%'"
    )
    await connection.close()
    async with asyncio.timeout(WAIT_SECONDS):
        await tab.task
    async with opened(hub, scope, "agents") as again:
        while not again.events:
            await say(database, scope, "again")
            await asyncio.sleep(0.05)


async def test_a_quiet_stream_is_kept_alive_and_ends_with_the_server(hub, scope, monkeypatch):
    monkeypatch.setattr(live, "KEEP_ALIVE_SECONDS", 0.01)
    stream = hub.stream(scope, ["agents"], None)
    assert [await anext(stream) for _ in range(2)] == [b"retry: 2000\n\n", b": still here\n\n"]
    hub.close()
    assert [chunk async for chunk in stream if chunk.startswith(b"id")] == []


async def test_a_stalled_tab_loses_events_but_nothing_else(database, scope, monkeypatch):
    monkeypatch.setattr(live, "QUEUE_LIMIT", 2)
    hub = LiveHub(database)
    stream = hub.stream(scope, ["agents"], None)
    await anext(stream)
    for number in range(4):
        hub._heard(
            None,
            0,
            "",
            json.dumps({"org": str(scope.org_id), "id": number, "topic": "agents", "kind": "x", "ids": {}}),
        )
    assert [(await anext(stream))[:5] for _ in range(2)] == [b"id: 0", b"id: 1"]
    await stream.aclose()


def test_a_topic_is_heard_by_itself_and_from_above():
    assert is_heard("a/1", {"a"}) and is_heard("a/1", {"a/1"}) and is_heard("a", {"a"})
    assert not is_heard("a", {"a/1"}) and not is_heard("ab", {"a"}) and not is_heard("a/1", {"a/2"})


def test_an_event_is_written_as_the_standard_says():
    text = LiveEvent(7, "agents", "changed", {"id": "a\nb"}).encode()
    assert text == b'id: 7\nevent: live\ndata: {"topic":"agents","kind":"changed","ids":{"id":"a\\nb"}}\n\n'
