"""The only way to the database: short transactions that carry their tenant.

The pool keeps no session state (its reset query is off, which PgBouncer needs too): a setting made with
plain SET would leak to the next user, so only `set local` is ever used, here.
"""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
from asyncpg.pool import PoolConnectionProxy

from gptagent.kernel.crypto import Vault
from gptagent.kernel.errors import UpstreamUnavailable
from gptagent.kernel.scope import Scope

POOL_MAX_CONNECTIONS = 20
LIVE_CHANNEL = "gptagent_live"
CONNECT_TIMEOUT_SECONDS = 5.0
IDLE_CONNECTION_SECONDS = 20.0  # a server process of PostgreSQL costs memory, a new one some milliseconds
STATEMENT_SECONDS = 30.0
# A process that is frozen within a transaction keeps its locks no longer. It is less than STATEMENT_SECONDS,
# so that who waits for one gets it; between two statements of a transaction nothing slow is done.
IDLE_TRANSACTION_SECONDS = 20.0
CONNECTION_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server's farewell was read between two statements
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,  # woken up after its transaction was ended
    ConnectionError,
    OSError,
    TimeoutError,
)

# The columns of PgQueuer's own enqueue query; the log row feeds its crash guard and statistics.
_ENQUEUE = """
with job as (
    insert into jobs.pgqueuer (priority, entrypoint, payload, execute_after, status, headers)
    select $1::integer, $2::text, payload, now() + $4::interval, 'queued', $5::jsonb
      from unnest($3::bytea[]) as given (payload)
    returning id, priority, entrypoint
)
insert into jobs.pgqueuer_log (job_id, status, entrypoint, priority)
select id, 'queued', entrypoint, priority from job
returning job_id
"""
_PUBLISH = """
with event as (
    insert into app.live_event (topic, kind, ids) values ($1, $2, $3) returning id
)
select pg_notify($4, jsonb_build_object('org', app.org(), 'id', id, 'topic', $1::text, 'kind', $2::text,
                                        'ids', $3::jsonb)::text)
from event
"""


class Session:
    """One open transaction, of one tenant or of none."""

    def __init__(
        self, connection: "PoolConnectionProxy[asyncpg.Record]", scope: Scope | None, vault: Vault | None
    ) -> None:
        self._connection = connection
        self._scope = scope
        self._vault = vault

    @property
    def has_scope(self) -> bool:
        """Whether there is a tenant; questions asked before it is known have none."""
        return self._scope is not None

    @property
    def scope(self) -> Scope:
        if self._scope is None:
            raise LookupError("this transaction has no tenant")
        return self._scope

    @property
    def vault(self) -> Vault:
        """Seals what may not lie in the database in clear."""
        if self._vault is None:
            raise LookupError("this database was opened without keys")
        return self._vault

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        return await self._connection.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        return await self._connection.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: object) -> Any:
        return await self._connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: object) -> str:
        return await self._connection.execute(sql, *args)

    async def executemany(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        await self._connection.executemany(sql, rows)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what the block did if it fails, and keep the transaction."""
        await self._connection.execute("savepoint attempt")
        try:
            yield
        except BaseException:
            await self._connection.execute("rollback to savepoint attempt; release savepoint attempt")
            raise
        await self._connection.execute("release savepoint attempt")

    async def enqueue(
        self,
        job: str,
        payload: Mapping[str, object],
        *,
        delay: timedelta = timedelta(0),
        priority: int = 0,
    ) -> int:
        """Enqueue a job that leaves with this transaction. The payload holds ids only; returns the job id."""
        (job_id,) = await self.enqueue_all(job, [payload], delay=delay, priority=priority)
        return job_id

    async def enqueue_all(
        self,
        job: str,
        payloads: Sequence[Mapping[str, object]],
        *,
        delay: timedelta = timedelta(0),
        priority: int = 0,
    ) -> list[int]:
        """Enqueue a job for each payload in one statement, as `enqueue` does."""
        headers: dict[str, str] = {}
        if self._scope is not None:
            headers = {"org": str(self._scope.org_id), "request_id": self._scope.request_id}
        rows = await self._connection.fetch(
            _ENQUEUE,
            priority,
            job,
            [msgspec.json.encode(payload) for payload in payloads],
            delay,
            msgspec.json.encode(headers).decode(),
        )
        return [row["job_id"] for row in rows]

    async def publish(self, topic: str, kind: str, ids: Mapping[str, str]) -> None:
        """Tell open browser tabs of this workspace, once the transaction commits, that something changed."""
        await self._connection.execute(_PUBLISH, topic, kind, msgspec.json.encode(ids).decode(), LIVE_CHANNEL)


async def keep_state(_connection: object) -> None:
    """No reset between users of a pooled connection (see the module's docstring)."""


class Database:
    """A pool of connections of the application's role."""

    def __init__(
        self,
        pool: "asyncpg.Pool[asyncpg.Record]",
        dsn: str,
        vault: Vault | None,
        idle_seconds: float = IDLE_TRANSACTION_SECONDS,
    ) -> None:
        self._pool = pool
        self.dsn = dsn
        self._vault = vault
        # Not a parameter of the connection: PgBouncer refuses one that it does not know.
        self._begin = f"begin; set local idle_in_transaction_session_timeout = {round(idle_seconds * 1000)}; "

    @classmethod
    async def connect(
        cls,
        dsn: str,
        vault: Vault | None = None,
        *,
        max_connections: int = POOL_MAX_CONNECTIONS,
        idle_seconds: float = IDLE_TRANSACTION_SECONDS,
    ) -> "Database":
        """Open the pool. Raises UpstreamUnavailable if PostgreSQL does not answer.

        `idle_seconds`: how long PostgreSQL waits for the next statement of a transaction before it ends it.
        """
        try:
            pool = await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=max_connections,
                reset=keep_state,
                timeout=CONNECT_TIMEOUT_SECONDS,
                command_timeout=STATEMENT_SECONDS,
                max_inactive_connection_lifetime=IDLE_CONNECTION_SECONDS,
            )
        except CONNECTION_LOST as error:
            raise _down() from error
        return cls(pool, dsn, vault, idle_seconds)

    async def close(self) -> None:
        await self._pool.close()

    def session(self, scope: Scope) -> AbstractAsyncContextManager[Session]:
        """Open a transaction that sees the scope's tenant, its acting person, and nothing else."""
        setting = f"set local app.org_id = '{scope.org_id}'"
        if scope.actor.kind == "person":
            setting += f"; set local app.person_id = '{scope.actor.id}'"
        return self._transaction(setting, scope)

    def installation(self, person_id: UUID | None = None) -> AbstractAsyncContextManager[Session]:
        """Open a transaction without a tenant: it sees no tenant's row, only what SECURITY DEFINER functions
        answer, and the one person's own rows if a person is named.
        """
        return self._transaction(f"set local app.person_id = '{person_id or ''}'", None)

    def single(self) -> AbstractAsyncContextManager[Session]:
        """Open what `installation` does for one statement: it is a transaction by itself, in one round trip
        instead of three.
        """
        return self._transaction(None, None)

    @asynccontextmanager
    async def _transaction(self, setting: str | None, scope: Scope | None) -> AsyncIterator[Session]:
        try:
            connection = await self._pool.acquire(timeout=CONNECT_TIMEOUT_SECONDS)
        except CONNECTION_LOST as error:
            raise _down() from error
        try:
            # One round trip instead of three: 1.08 x the bare transaction, set_config alone is 1.28 x.
            if setting is not None:
                await connection.execute(f"{self._begin}{setting}")
            yield Session(connection, scope, self._vault)
            if setting is not None:
                await connection.execute("commit")
        except BaseException as error:
            is_lost = await _end_failed(connection)
            if is_lost and isinstance(error, CONNECTION_LOST) and not isinstance(error, TimeoutError):
                raise _down() from error
            raise
        finally:
            await self._pool.release(connection)


async def _end_failed(connection: Any) -> bool:
    """Roll back. True if the connection cannot even do that: it is thrown away, never reused half-way."""
    try:
        await connection.execute("rollback")
    except (*CONNECTION_LOST, asyncpg.PostgresError):
        with suppress(asyncpg.InterfaceError):  # the pool has noticed first that it is dead
            connection.terminate()
        return True
    return False


def _down() -> UpstreamUnavailable:
    return UpstreamUnavailable(
        "database_unavailable", "The service is restarting. Try again in a moment.", retry_after=2
    )
