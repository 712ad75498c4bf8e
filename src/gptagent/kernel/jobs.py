"""Jobs: work that leaves with the transaction that caused it and is done at least once.

PgQueuer stands behind this module; nothing else knows it. Handlers are idempotent, take ids only, and
hold no transaction while they call out. Retry classes and time limits: docs/reference/jobs.md.
"""

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from typing import Any
from uuid import UUID

import asyncpg
import msgspec
import structlog
from pgqueuer import PgQueuer
from pgqueuer.adapters.drivers.asyncpg import AsyncpgPoolDriver
from pgqueuer.adapters.persistence.composer import ComposedQuery
from pgqueuer.adapters.persistence.qb import (
    QueryBuilderEnvironment,
    QueryQueueBuilder,
    QuerySchedulerBuilder,
)
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.executors import AbstractEntrypointExecutor, EntrypointExecutorParameters
from pgqueuer.domain.errors import RetryRequested
from pgqueuer.domain.models import Context, Job
from pgqueuer.domain.settings import DBSettings
from pgqueuer.domain.types import Channel
from pgqueuer.ports.driver import NotifyCallback

from gptagent.kernel import observe
from gptagent.kernel.db import IDLE_CONNECTION_SECONDS, Database, Session, keep_state
from gptagent.kernel.errors import AppError
from gptagent.kernel.files import FileStore
from gptagent.kernel.scope import SYSTEM, Scope

log = structlog.get_logger(__name__)

# A killed worker's jobs are picked up after heartbeat + dequeue time (9.7 s measured), see docs/decisions.
HEARTBEAT_TIMEOUT = timedelta(seconds=10)
DEQUEUE_TIMEOUT = timedelta(seconds=2)
BATCH_SIZE = 20
MAX_CONCURRENT_JOBS = 100
MAX_CRASHES = 3  # a job that took its worker down this often is held, else it would do so for ever
LISTENER_RESTART_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RetryProfile:
    """`attempts` is the number of executions; delays double from `first_delay` (s) up to `max_delay` (s)."""

    attempts: int
    first_delay: float
    max_delay: float
    timeout: float

    def delay_after(self, failures: int) -> float:
        """Return seconds to wait after so many failures, with up to 25 % jitter against herds."""
        delay = min(self.first_delay * 2.0 ** (failures - 1), self.max_delay)
        return delay * random.uniform(1.0, 1.25)  # noqa: S311 - jitter, not a secret


class JobClass(Enum):
    """Retry classes; the figures are the product's promise (docs/reference/jobs.md)."""

    DEFAULT = RetryProfile(attempts=5, first_delay=2, max_delay=300, timeout=60)
    CRITICAL = RetryProfile(attempts=10, first_delay=1, max_delay=300, timeout=120)
    FAST = RetryProfile(attempts=3, first_delay=1, max_delay=30, timeout=15)
    LONG = RetryProfile(attempts=3, first_delay=10, max_delay=300, timeout=1800)


@dataclass(frozen=True, slots=True)
class JobContext:
    """What a handler is given. `scope` carries the tenant of the transaction that enqueued the job."""

    db: Database
    files: FileStore
    scope: Scope
    job_id: int
    attempt: int


# Called with the context and the payload's ids as keyword arguments.
Handler = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True)
class JobSpec:
    """One kind of job. `on_dead` runs when it is given up, so that its row never stays half-way."""

    name: str
    handler: Handler
    job_class: JobClass = JobClass.DEFAULT
    on_dead: Handler | None = None


class _Poison(Exception):
    """The job took its worker down again and again."""


class _Driver(AsyncpgPoolDriver):
    """PgQueuer probes its listener at once. A probe sent before it listens is lost and ends the run."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        super().__init__(pool)
        self._listening = asyncio.Event()

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        await super().add_listener(channel, callback)
        self._listening.set()

    async def notify(self, channel: str, payload: str) -> None:
        await self._listening.wait()
        await super().notify(channel, payload)


_BY_ID = "ORDER BY candidate.priority DESC, candidate.id ASC"
_BY_TIME = "ORDER BY candidate.priority DESC, candidate.execute_after ASC, candidate.id ASC"


class _EarliestDueFirst(QueryQueueBuilder):
    """Takes jobs of one priority by the time they are due, which an index gives, instead of by their id.

    By id every look at the queue would read past all jobs that were scheduled long ago for days ahead.
    """

    def build_dequeue_query(self, **options: Any) -> ComposedQuery:
        query = super().build_dequeue_query(**options)
        if _BY_ID not in query.sql:
            raise LookupError("this release of PgQueuer takes jobs in another order")
        return replace(query, sql=query.sql.replace(_BY_ID, _BY_TIME))


def _pgqueuer(pool: "asyncpg.Pool[asyncpg.Record]") -> PgQueuer:
    settings = DBSettings(db_schema="jobs")
    driver = _Driver(pool)
    queries = Queries(
        driver,
        qbe=QueryBuilderEnvironment(settings),
        qbq=_EarliestDueFirst(settings),
        qbs=QuerySchedulerBuilder(settings),
    )
    return PgQueuer(connection=driver, channel=Channel(settings.channel), queries=queries)


class _Executor(AbstractEntrypointExecutor):
    """Runs one job: tenant restored from the envelope, deadline, retry policy, crash guard."""

    def __init__(
        self, parameters: EntrypointExecutorParameters, spec: JobSpec, db: Database, files: FileStore
    ) -> None:
        super().__init__(parameters)
        self._spec = spec
        self._db = db
        self._files = files

    async def execute(self, job: Job, context: Context) -> None:
        del context
        ctx = self._restore(job)
        with observe.job_context(self._spec.name, int(job.id), ctx.scope):
            payload = msgspec.json.decode(job.payload or b"{}", type=dict[str, Any])
            try:
                await self._guard_against_crashes(job)
                async with asyncio.timeout(self._spec.job_class.value.timeout):
                    await self._spec.handler(ctx, **payload)
            except RetryRequested:
                raise
            except Exception as error:
                await self._after_failure(ctx, payload, error)
                raise
            observe.JOBS.labels(self._spec.name, "done").inc()

    def _restore(self, job: Job) -> JobContext:
        headers = job.headers or {}
        org = headers.get("org")
        scope = Scope(
            org_id=UUID(str(org)) if org else UUID(int=0),
            actor=SYSTEM,
            request_id=str(headers.get("request_id", "")),
        )
        return JobContext(self._db, self._files, scope, int(job.id), job.attempts + 1)

    async def _guard_against_crashes(self, job: Job) -> None:
        async with self._db.single() as session:
            picked: int = await session.fetchval(
                "select count(*) from jobs.pgqueuer_log where job_id = $1 and status = 'picked'", int(job.id)
            )
        if picked - job.attempts > MAX_CRASHES:
            raise _Poison(f"took its worker down {MAX_CRASHES} times")

    async def _after_failure(self, ctx: JobContext, payload: Mapping[str, Any], error: Exception) -> None:
        """Raise RetryRequested if the job is to be tried again; otherwise run `on_dead` and return."""
        profile = self._spec.job_class.value
        permanent = isinstance(error, _Poison) or (isinstance(error, AppError) and not error.retryable)
        if not permanent and ctx.attempt < profile.attempts:
            delay = profile.delay_after(ctx.attempt)
            if isinstance(error, AppError) and error.retry_after:
                delay = max(delay, error.retry_after)
            observe.JOBS.labels(self._spec.name, "retried").inc()
            log.info("job_retry", error=type(error).__name__, attempt=ctx.attempt, delay_s=round(delay, 1))
            raise RetryRequested(delay=timedelta(seconds=delay), reason=type(error).__name__) from error
        observe.JOBS.labels(self._spec.name, "dead").inc()
        log.error("job_dead", error=type(error).__name__, attempt=ctx.attempt)
        if self._spec.on_dead is not None:
            await self._spec.on_dead(ctx, **payload)


async def run_worker(
    db: Database, files: FileStore, specs: Sequence[JobSpec], shutdown: asyncio.Event
) -> None:
    """Take jobs until `shutdown` is set, then let running ones finish; survives a lost database."""
    logging.getLogger("pgqueuer").setLevel(logging.CRITICAL)  # its lines repeat ours, with payloads
    while not shutdown.is_set():
        try:
            await _run_once(db, files, specs, shutdown)
        except Exception as error:  # noqa: BLE001 - the process edge: whatever broke, the queue is taken up again
            log.warning("worker_restarts", error=type(error).__name__)
            await asyncio.sleep(LISTENER_RESTART_SECONDS)


async def _run_once(
    db: Database, files: FileStore, specs: Sequence[JobSpec], shutdown: asyncio.Event
) -> None:
    # PgQueuer listens on one of these connections for ever. The others have nothing to forget: each of its
    # statements is a transaction by itself, and a reset after each would be as many statements again.
    pool = await asyncpg.create_pool(
        db.dsn,
        min_size=2,
        max_size=4,
        reset=keep_state,
        max_inactive_connection_lifetime=IDLE_CONNECTION_SECONDS,
    )
    try:
        queue = _pgqueuer(pool)
        for spec in specs:
            _register(queue, spec, db, files)
        stopper = asyncio.create_task(_forward(shutdown, queue.shutdown))
        try:
            await queue.run(
                dequeue_timeout=DEQUEUE_TIMEOUT,
                heartbeat_timeout=HEARTBEAT_TIMEOUT,
                batch_size=BATCH_SIZE,
                max_concurrent_tasks=MAX_CONCURRENT_JOBS,
                shutdown_on_listener_failure=True,
            )
        finally:
            stopper.cancel()
    finally:
        pool.terminate() if not shutdown.is_set() else await pool.close()


async def _forward(source: asyncio.Event, target: asyncio.Event) -> None:
    await source.wait()
    target.set()


def _register(queue: PgQueuer, spec: JobSpec, db: Database, files: FileStore) -> None:
    async def unused(job: Job) -> None:
        """Stand for the handler in PgQueuer's registry; the executor calls the real one."""

    queue.entrypoint(
        spec.name,
        on_failure="hold",
        executor_factory=lambda parameters: _Executor(parameters, spec, db, files),
    )(unused)


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as operators see it. `reason` is the last failure's type and text, without the payload."""

    id: int
    name: str
    status: str
    attempts: int
    org_id: str | None
    created_at: str
    due_at: str
    reason: str | None


async def list_jobs(session: Session, *, dead: bool, limit: int = 100) -> list[JobRow]:
    """Return queued and running jobs, or the dead ones, newest first."""
    rows = await session.fetch(
        """select j.id, j.entrypoint, j.status::text, j.attempts, j.headers, j.created, j.execute_after,
                  (select l.traceback from jobs.pgqueuer_log l
                    where l.job_id = j.id and l.traceback is not null order by l.id desc limit 1) as traceback
             from jobs.pgqueuer j where (j.status = 'failed') = $1 order by j.id desc limit $2""",
        dead,
        limit,
    )
    return [_job_row(row) for row in rows]


def _job_row(row: asyncpg.Record) -> JobRow:
    headers = json.loads(row["headers"] or "{}") or {}
    trace = json.loads(row["traceback"]) if row["traceback"] else None
    reason = f"{trace.get('exception_type')}: {trace.get('exception_message')}" if trace else None
    return JobRow(
        id=row["id"],
        name=row["entrypoint"],
        status="dead" if row["status"] == "failed" else row["status"],
        attempts=row["attempts"],
        org_id=headers.get("org"),
        created_at=row["created"].isoformat(),
        due_at=row["execute_after"].isoformat(),
        reason=reason,
    )


async def replay_job(session: Session, job_id: int) -> bool:
    """Queue a dead job again with its attempts at zero. False if no dead job has this id."""
    replayed = await session.fetchval(
        """update jobs.pgqueuer set status = 'queued', attempts = 0, execute_after = now(), updated = now()
            where id = $1 and status = 'failed' returning id""",
        job_id,
    )
    # The crash guard counts picks in the log: a replayed job starts with a clean sheet.
    if replayed is not None:
        await session.execute("delete from jobs.pgqueuer_log where job_id = $1 and status = 'picked'", job_id)
    return replayed is not None
