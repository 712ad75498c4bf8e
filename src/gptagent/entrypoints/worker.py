"""The worker process: jobs, and the clock that wakes what nobody else wakes."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import asyncpg
import structlog

from gptagent.bootstrap import Platform, build_jobs
from gptagent.entrypoints.deletion import delete_due_workspaces
from gptagent.features.conversations.attaching.service import discard_files
from gptagent.features.conversations.resuming import sweep_resumes
from gptagent.features.crm.connecting.service import queue_renewals
from gptagent.features.crm.deliveries.jobs import forget_seen, look_after_hooks
from gptagent.features.crm.syncing.service import queue_due_syncs
from gptagent.features.dialog.delivery import sweep_deliveries
from gptagent.features.dialog.following.service import sweep_follow_ups
from gptagent.features.dialog.outgoing.service import sweep_outgoing
from gptagent.features.dialog.proposing.service import queue_due as queue_due_drafts
from gptagent.features.dialog.service import sweep_lanes
from gptagent.features.knowledge.checks.service import queue_due_checks
from gptagent.features.knowledge.naming.service import queue_due_measurements
from gptagent.features.knowledge.questions.service import queue_due_runs
from gptagent.features.knowledge.reranking.service import queue_due as queue_rerankings
from gptagent.features.knowledge.sites.service import queue_due_sites
from gptagent.features.knowledge.vectors.service import check_embedder, queue_due
from gptagent.features.privacy.service import apply_retention
from gptagent.kernel import installation
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import AppError
from gptagent.kernel.jobs import run_worker

log = structlog.get_logger(__name__)

LEADER_LOCK = 7202
LEADER_RETRY_SECONDS = 5.0
DRAIN_SECONDS = 10.0  # below the supervisor's patience; what is left is picked up by another worker
SWEEP_EVERY = timedelta(seconds=5)
CARE_EVERY = timedelta(seconds=5)
FOLLOW_UP_EVERY = timedelta(seconds=30)  # how often silent customers are looked at
RESUME_EVERY = timedelta(seconds=30)  # how often it is asked which chats their agents take back
DELIVERIES_EVERY = timedelta(seconds=10)
DISCARD_EVERY = timedelta(minutes=1)
FORGET_EVERY = timedelta(minutes=10)
DELETE_EVERY = timedelta(minutes=1)
MEASURE_EVERY = timedelta(minutes=1)  # how often it is asked which base has changed notably
NAMES_EVERY = timedelta(minutes=1)  # how often it is asked whose graph has changed since it was measured
SYNC_EVERY = timedelta(minutes=1)  # how often it is asked which connection was not read for a day
SITES_EVERY = timedelta(minutes=1)
CHECK_EVERY = timedelta(seconds=30)  # how often it is asked which base has changed since its last check
PROPOSE_EVERY = timedelta(minutes=1)  # how often it is asked which conversations people are done with
EMBED_EVERY = timedelta(minutes=1)  # how often it is asked whose index by meaning is not up to date
RERANK_EVERY = timedelta(minutes=1)  # how often it is asked where the reranking model is to be measured
RENEW_EVERY = timedelta(minutes=5)
TIDY_HOURS = range(5)  # several rounds: each is bounded
TIDY_EVERY = timedelta(hours=1)
LIVE_EVENT_AGE = timedelta(hours=1)
JOB_LOG_AGE = timedelta(days=2)

Tick = Callable[[Platform], Awaitable[None]]


async def run(platform: Platform) -> None:
    """Work until SIGTERM or SIGINT; running jobs get DRAIN_SECONDS to finish."""
    shutdown = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, shutdown.set)
    scheduler = asyncio.create_task(_lead(platform, shutdown))
    jobs = asyncio.create_task(run_worker(platform.db, platform.files, build_jobs(platform), shutdown))
    probe = asyncio.create_task(check_embedder(platform.embedder))
    log.info("worker_ready")
    await shutdown.wait()
    scheduler.cancel()
    probe.cancel()
    _done, late = await asyncio.wait({jobs}, timeout=DRAIN_SECONDS)
    for task in late:
        task.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(jobs, scheduler, probe, return_exceptions=True)
    await platform.close()


async def _lead(platform: Platform, shutdown: asyncio.Event) -> None:
    """Run the schedules in one process of all: the one that holds the lock. Ends when cancelled.

    A schedule that fails while it is being cancelled hides the cancelling in its group of errors, so that the
    event is looked at as well.
    """
    while not shutdown.is_set():
        try:
            connection = await asyncpg.connect(platform.db.dsn, timeout=5)
            try:
                if await connection.fetchval("select pg_try_advisory_lock($1)", LEADER_LOCK):
                    await _run_schedules(platform, connection)
            finally:
                connection.terminate()
        except Exception as error:  # noqa: BLE001 - the process edge: whatever broke, the lock is asked for again
            log.warning("scheduler_lost", error=type(error).__name__)
        await asyncio.sleep(LEADER_RETRY_SECONDS)


async def _run_schedules(platform: Platform, lock: "asyncpg.Connection[asyncpg.Record]") -> None:
    async with asyncio.TaskGroup() as group:
        for every, tick in _schedules():
            group.create_task(_repeat(every, tick, platform))
        while True:  # raises, and so ends the schedules, once the connection is gone
            await lock.execute("select 1")
            await asyncio.sleep(LEADER_RETRY_SECONDS)


async def _repeat(every: timedelta, tick: Tick, platform: Platform) -> None:
    while True:
        try:
            await tick(platform)
        except AppError as error:
            log.warning("schedule_failed", error=error.code)
        await asyncio.sleep(every.total_seconds())


async def _sweep(platform: Platform) -> None:
    woken = await sweep_lanes(platform.db)
    if woken:
        log.warning("lanes_woken", count=woken)
    if count := await sweep_outgoing(platform.db):
        log.warning("outgoing_woken", count=count)


async def _resume(platform: Platform) -> None:
    if count := await sweep_resumes(platform.db, platform.inbox):
        log.info("chats_resumed", count=count)


async def _follow_up(platform: Platform) -> None:
    await sweep_follow_ups(platform.db)


async def _look_after_hooks(platform: Platform) -> None:
    await look_after_hooks(platform.db)


async def _forget(platform: Platform) -> None:
    await forget_seen(platform.db)
    async with platform.db.installation() as session:
        await installation.forget_old(session, LIVE_EVENT_AGE, JOB_LOG_AGE)


async def _follow_deliveries(platform: Platform) -> None:
    await sweep_deliveries(platform.db)


async def _discard(platform: Platform) -> None:
    if count := await discard_files(platform.db, platform.files):
        log.info("files_discarded", count=count)


async def _delete(platform: Platform) -> None:
    gone = await delete_due_workspaces(platform)
    if gone:
        log.info("workspaces_deleted", count=gone)


async def _sync(platform: Platform) -> None:
    count = await queue_due_syncs(platform.db)
    if count:
        log.info("syncs_queued", count=count)


async def _read_sites(platform: Platform) -> None:
    count = await queue_due_sites(platform.db, now=utcnow())
    if count:
        log.info("sites_queued", count=count)


async def _check_bases(platform: Platform) -> None:
    count = await queue_due_checks(platform.db, now=utcnow())
    if count:
        log.info("checks_queued", count=count)


async def _renew(platform: Platform) -> None:
    count = await queue_renewals(platform.db)
    if count:
        log.info("renewals_queued", count=count)


async def _measure(platform: Platform) -> None:
    count = await queue_due_runs(platform.db)
    if count:
        log.info("bases_measured", count=count)


async def _measure_names(platform: Platform) -> None:
    if count := await queue_due_measurements(platform.db):
        log.info("graphs_measured", count=count)


async def _propose(platform: Platform) -> None:
    count = await queue_due_drafts(platform.db)
    if count:
        log.info("drafts_queued", count=count)


async def _embed(platform: Platform) -> None:
    if platform.embedder is not None and (count := await queue_due(platform.db, platform.embedder.model)):
        log.info("embeddings_queued", count=count)


async def _rerank(platform: Platform) -> None:
    model = platform.reranking.model
    if model is not None and (count := await queue_rerankings(platform.db, model)):
        log.info("rerankings_queued", count=count)


async def _tidy(platform: Platform) -> None:
    """At night only (UTC): deleting is work that nobody waits for."""
    if utcnow().hour in TIDY_HOURS and (count := await apply_retention(platform.db)):
        log.info("retention_applied", rows=count)


def _schedules() -> tuple[tuple[timedelta, Tick], ...]:
    """Return every schedule."""
    return (
        (SWEEP_EVERY, _sweep),
        (CARE_EVERY, _look_after_hooks),
        (RESUME_EVERY, _resume),
        (FOLLOW_UP_EVERY, _follow_up),
        (DELIVERIES_EVERY, _follow_deliveries),
        (DISCARD_EVERY, _discard),
        (FORGET_EVERY, _forget),
        (DELETE_EVERY, _delete),
        (SYNC_EVERY, _sync),
        (SITES_EVERY, _read_sites),
        (CHECK_EVERY, _check_bases),
        (RENEW_EVERY, _renew),
        (MEASURE_EVERY, _measure),
        (NAMES_EVERY, _measure_names),
        (PROPOSE_EVERY, _propose),
        (EMBED_EVERY, _embed),
        (RERANK_EVERY, _rerank),
        (TIDY_EVERY, _tidy),
    )
