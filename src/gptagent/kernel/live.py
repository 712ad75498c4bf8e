"""What browsers are told while a page is open: "this changed", with ids only.

Events lie in `app.live_event` for an hour, so a tab that was away resumes by its last id. One connection per
web process listens; no connection per browser.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import asyncpg
import structlog

from gptagent.kernel.db import CONNECTION_LOST, LIVE_CHANNEL, Database, Session
from gptagent.kernel.errors import AppError
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)

KEEP_ALIVE_SECONDS = 20.0
RECONNECT_SECONDS = 1.0
HEALTH_SECONDS = 10.0
WATCH_SECONDS = 2.0  # whoever is put out hears nothing more within 5 s
REPLAY_LIMIT = 200
REPLAY_OVERLAP = 20  # ids are given before commit, so a lower one may become visible later
REPLAY_OVERLAP_SECONDS = 60  # longer than any transaction: what is older was visible to the page already
TOPICS_LIMIT = 20
QUEUE_LIMIT = 500


@dataclass(frozen=True, slots=True)
class LiveEvent:
    id: int
    topic: str
    kind: str
    ids: dict[str, str]

    def encode(self) -> bytes:
        """As a server-sent event (WHATWG HTML, section 9.2)."""
        data = json.dumps({"topic": self.topic, "kind": self.kind, "ids": self.ids}, separators=(",", ":"))
        return f"id: {self.id}\nevent: live\ndata: {data}\n\n".encode()


def is_heard(topic: str, wanted: AbstractSet[str]) -> bool:
    """Whoever listens to `conversations` hears `conversations/<id>` as well."""
    return topic in wanted or topic.partition("/")[0] in wanted


async def last_event_id(session: Session) -> int:
    """Return where a page drawn in this transaction has to go on listening."""
    found: int = await session.fetchval("select coalesce(max(id), 0) from app.live_event")
    return found


@dataclass(eq=False, slots=True)
class _Stream:
    """An open tab. `session_id` is the log-in it belongs to; None in the queue ends it."""

    session_id: UUID | None
    queue: asyncio.Queue[LiveEvent | None]

    def put(self, event: LiveEvent | None) -> None:
        with suppress(asyncio.QueueFull):  # a stalled tab resumes by its last id
            self.queue.put_nowait(event)


class LiveHub:
    """Fans events out to this process's open streams."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._streams: dict[UUID, set[_Stream]] = {}
        self._closing = asyncio.Event()

    async def run(self) -> None:
        """Listen until cancelled; a lost connection is opened again and the streams are ended to resume."""
        while True:
            try:
                await self._listen()
            except CONNECTION_LOST as error:
                log.warning("live_listener_lost", error=type(error).__name__)
            self._end_streams()
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(self._db.dsn, timeout=5)
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _connection: lost.set())
            await connection.add_listener(LIVE_CHANNEL, self._heard)
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(HEALTH_SECONDS):
                        await lost.wait()
                await connection.execute("select 1")
        finally:
            connection.terminate()

    def _heard(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        message = json.loads(str(payload))
        event = LiveEvent(message["id"], message["topic"], message["kind"], message["ids"])
        for stream in self._streams.get(UUID(message["org"]), ()):
            stream.put(event)

    async def watch(self) -> None:
        """End, until cancelled, the streams of log-ins that were revoked and of people who were put out."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                await self._end_revoked()
            except AppError as error:
                log.warning("live_watch_failed", error=error.code)

    async def _end_revoked(self) -> None:
        entries = {
            (stream.session_id, org_id)
            for org_id, streams in self._streams.items()
            for stream in streams
            if stream.session_id is not None
        }
        if not entries:
            return
        async with self._db.installation() as session:
            rows = await session.fetch(
                "select session_id, org_id from app.ended_entries($1, $2)",
                [session_id for session_id, _ in entries],
                [org_id for _, org_id in entries],
            )
        ended = {(row["session_id"], row["org_id"]) for row in rows}
        for org_id, streams in self._streams.items():
            for stream in streams:
                if (stream.session_id, org_id) in ended:
                    stream.put(None)

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._closing.set()
        self._end_streams()

    def _end_streams(self) -> None:
        for streams in self._streams.values():
            for stream in streams:
                stream.put(None)

    async def stream(
        self, scope: Scope, topics: Iterable[str], last_id: int | None, session_id: UUID | None = None
    ) -> AsyncIterator[bytes]:
        """Yield server-sent events of these topics and what lies below them, first those after `last_id`.

        The stream ends within seconds of its log-in's end, or of the person's place in the workspace.
        """
        wanted = frozenset(list(topics)[:TOPICS_LIMIT])
        opened = _Stream(session_id, asyncio.Queue(QUEUE_LIMIT))
        streams = self._streams.setdefault(scope.org_id, set())
        streams.add(opened)
        try:
            yield b"retry: 2000\n\n"
            missed = await self._missed(scope, wanted, last_id)
            replayed = {event.id for event in missed}
            for event in missed:
                yield event.encode()
            while not self._closing.is_set():
                try:
                    async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                        heard = await opened.queue.get()
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if heard is None:
                    return
                if is_heard(heard.topic, wanted) and heard.id not in replayed:
                    yield heard.encode()
        finally:
            streams.discard(opened)

    async def _missed(self, scope: Scope, topics: frozenset[str], last_id: int | None) -> list[LiveEvent]:
        if last_id is None:
            return []
        async with self._db.session(scope) as session:
            rows = await session.fetch(
                """select id, topic, kind, ids from app.live_event
                    where (id > $1 or (id > $1 - $4 and created_at > now() - make_interval(secs => $5)))
                      and (topic = any($2) or split_part(topic, '/', 1) = any($2))
                    order by id limit $3""",
                last_id,
                list(topics),
                REPLAY_LIMIT,
                REPLAY_OVERLAP,
                REPLAY_OVERLAP_SECONDS,
            )
        return [LiveEvent(row["id"], row["topic"], row["kind"], json.loads(row["ids"])) for row in rows]
