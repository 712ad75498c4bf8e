"""Jobs on the real queue: done at least once, given up with a reason, never lost with their worker."""

import asyncio
import signal
import sys
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import Enum

import pytest
import worker_process

from gptagent.kernel import jobs
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Invalid, UpstreamUnavailable
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.ids import new_token
from gptagent.kernel.jobs import JobClass, JobSpec, list_jobs, replay_job, run_worker

WAIT_SECONDS = 40
LONGEST_PAUSE = jobs.DEQUEUE_TIMEOUT  # the product's own, before the tests shorten it


class Quick(Enum):
    """A retry class for tests: as the product's, only faster."""

    RETRIED = jobs.RetryProfile(attempts=3, first_delay=0.01, max_delay=0.02, timeout=5)
    SHORT = jobs.RetryProfile(attempts=2, first_delay=0.01, max_delay=0.02, timeout=0.05)


@pytest.fixture(autouse=True)
def quick_queue(monkeypatch):
    monkeypatch.setattr(jobs, "DEQUEUE_TIMEOUT", timedelta(seconds=0.1))
    monkeypatch.setattr(jobs, "LISTENER_RESTART_SECONDS", 0.05)


@pytest.fixture
def name():
    """A kind of job that nobody else has."""
    return f"test.{new_token(6)}"


@asynccontextmanager
async def working(database, folder, *specs):
    shutdown = asyncio.Event()
    worker = asyncio.create_task(run_worker(database, LocalFiles(folder), specs, shutdown))
    yield shutdown
    shutdown.set()
    await worker


async def enqueue(database, scope, name, payload=None, **options):
    async with database.session(scope) as session:
        return await session.enqueue(name, payload or {}, **options)


async def find(database, job_id):
    """Return the job as operators see it, or None once it is done."""
    async with database.installation() as session:
        rows = [
            *await list_jobs(session, dead=False, limit=500),
            *await list_jobs(session, dead=True, limit=500),
        ]
    return next((row for row in rows if row.id == job_id), None)


async def until(condition, *args):
    """Wait for a condition and return what it found."""
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            if found := await condition(*args):
                return found
            await asyncio.sleep(0.02)


async def done(database, job_id):
    return await find(database, job_id) is None


async def dead(database, job_id):
    row = await find(database, job_id)
    return row if row and row.status == "dead" else None


async def test_a_handler_gets_the_tenant_the_ids_and_its_attempt(database, scope, tmp_path, name):
    seen = []

    async def handler(ctx, /, article_id):
        async with ctx.db.session(ctx.scope) as session:
            seen.append(
                (article_id, await session.fetchval("select app.org()"), ctx.attempt, ctx.scope.actor.kind)
            )

    job_id = await enqueue(database, scope, name, {"article_id": "7"})
    async with working(database, tmp_path, JobSpec(name, handler)):
        await until(done, database, job_id)
    assert seen == [("7", scope.org_id, 1, "system")]


async def test_a_passing_failure_is_tried_again(database, scope, tmp_path, name):
    attempts = []

    async def handler(ctx, /):
        attempts.append(ctx.attempt)
        if ctx.attempt < 3:
            raise UpstreamUnavailable("crm_unavailable", "x", retry_after=0.02)

    job_id = await enqueue(database, scope, name)
    async with working(database, tmp_path, JobSpec(name, handler, Quick.RETRIED)):
        await until(done, database, job_id)
    assert attempts == [1, 2, 3]


async def test_what_fails_every_time_is_given_up_with_its_reason(database, scope, tmp_path, name):
    attempts, buried = [], []

    async def handler(ctx, /, row_id):
        attempts.append(ctx.attempt)
        raise ConnectionResetError("gone")

    async def on_dead(ctx, /, row_id):
        buried.append((row_id, ctx.scope.org_id))

    job_id = await enqueue(database, scope, name, {"row_id": "7"})
    async with working(database, tmp_path, JobSpec(name, handler, Quick.RETRIED, on_dead)):
        row = await until(dead, database, job_id)
    assert attempts == [1, 2, 3] and buried == [("7", scope.org_id)]
    assert (row.name, row.reason, row.org_id) == (name, "ConnectionResetError: gone", str(scope.org_id))


async def test_a_permanent_failure_is_not_tried_again(database, scope, tmp_path, name):
    attempts = []

    async def handler(ctx, /):
        attempts.append(ctx.attempt)
        raise Invalid("llm_rejected", "No such model.")

    job_id = await enqueue(database, scope, name)
    async with working(database, tmp_path, JobSpec(name, handler, Quick.RETRIED)):
        row = await until(dead, database, job_id)
    assert attempts == [1] and "llm_rejected" in row.reason


async def test_a_dead_job_is_replayed_from_its_first_attempt(database, scope, tmp_path, name):
    attempts, broken = [], True

    async def handler(ctx, /):
        attempts.append(ctx.attempt)
        if broken:
            raise OSError

    job_id = await enqueue(database, scope, name)
    async with working(database, tmp_path, JobSpec(name, handler, Quick.RETRIED)):
        await until(dead, database, job_id)
        broken = False
        async with database.installation() as session:
            assert await replay_job(session, job_id)
        await until(done, database, job_id)
        async with database.installation() as session:
            assert not await replay_job(session, job_id)
    assert attempts == [1, 2, 3, 1]


async def test_a_job_that_takes_too_long_is_stopped_and_tried_again(database, scope, tmp_path, name):
    stopped = []

    async def handler(ctx, /):
        try:
            await asyncio.sleep(WAIT_SECONDS)
        except asyncio.CancelledError:
            stopped.append(ctx.attempt)
            raise

    job_id = await enqueue(database, scope, name)
    async with working(database, tmp_path, JobSpec(name, handler, Quick.SHORT)):
        row = await until(dead, database, job_id)
    assert stopped == [1, 2] and row.reason.startswith("TimeoutError")


async def test_a_job_of_next_week_waits_while_others_run(database, scope, tmp_path, name):
    ran = []

    async def handler(_ctx, /, which):
        ran.append(which)

    later = await enqueue(database, scope, name, {"which": "later"}, delay=timedelta(days=9))
    now = await enqueue(database, scope, name, {"which": "now"})
    async with working(database, tmp_path, JobSpec(name, handler)):
        await until(done, database, now)
    assert ran == ["now"] and (await find(database, later)).status == "queued"


async def test_what_is_more_urgent_is_taken_first(database, scope, tmp_path, name, monkeypatch):
    async def handler(_ctx, /): ...

    monkeypatch.setattr(jobs, "BATCH_SIZE", 1)
    usual, urgent, idle, most_urgent = [
        await enqueue(database, scope, name, priority=level) for level in (0, 5, -5, 10)
    ]
    async with working(database, tmp_path, JobSpec(name, handler)):
        await until(done, database, idle)
    async with database.installation() as session:
        taken = await session.fetch(
            "select job_id from jobs.pgqueuer_log where entrypoint = $1 and status = 'picked' order by id",
            name,
        )
    assert [row["job_id"] for row in taken] == [most_urgent, urgent, usual, idle]


async def test_a_job_without_a_tenant_or_of_one_that_is_gone_sees_nothing(database, scope, tmp_path, name):
    counts = []

    async def handler(ctx, /):
        async with ctx.db.session(ctx.scope) as session:
            counts.append(await session.fetchval("select count(*) from app.organization"))

    async with database.installation() as session:
        ids = [await session.enqueue(name, {})]
    async with database.session(scope) as session:
        ids.append(await session.enqueue(name, {}))
        await session.execute("delete from app.organization")
    async with working(database, tmp_path, JobSpec(name, handler)):
        for job_id in ids:
            await until(done, database, job_id)
    assert counts == [0, 0]


@pytest.mark.parametrize(
    "envelope",
    [('{"org": "not-an-id"}', b"{}"), ("{}", b"[1]"), ("{}", b"{broken"), ("{}", b'{"unknown_argument": 1}')],
)
async def test_an_envelope_nobody_can_read_is_held_not_lost(database, scope, tmp_path, name, envelope):
    async def handler(_ctx, /): ...

    job_id = await enqueue(database, scope, name)
    async with database.installation() as session:
        await session.execute(
            "update jobs.pgqueuer set headers = $2, payload = $3 where id = $1", job_id, *envelope
        )
    async with working(database, tmp_path, JobSpec(name, handler, Quick.SHORT)):
        row = await until(dead, database, job_id)
    assert row.reason


async def test_a_worker_outlives_its_database(database, scope, tmp_path, name):
    ran = []

    async def handler(_ctx, /):
        ran.append(1)

    away = Database(database._pool, "postgresql://app@127.0.0.1:1/app", None)
    job_id = await enqueue(database, scope, name)
    async with working(away, tmp_path, JobSpec(name, handler)):
        await asyncio.sleep(0.2)
        away.dsn = database.dsn
        await until(done, database, job_id)
    assert ran == [1]


async def test_a_stopping_worker_lets_running_jobs_finish(database, scope, tmp_path, name):
    gate, finished = asyncio.Event(), []

    async def handler(_ctx, /):
        gate.set()
        await asyncio.sleep(0.2)
        finished.append(1)

    job_id = await enqueue(database, scope, name)
    async with working(database, tmp_path, JobSpec(name, handler)) as shutdown:
        await gate.wait()
        shutdown.set()
    assert finished == [1] and await done(database, job_id)


class Process:
    """A worker in a process of its own."""

    def __init__(self, process):
        self.process = process

    @classmethod
    async def start(cls, dsn, slow_seconds=0.5):
        command = (sys.executable, worker_process.__file__, dsn, str(slow_seconds))
        return cls(await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE))

    async def hear(self, word):
        async with asyncio.timeout(WAIT_SECONDS):
            while line := await self.process.stdout.readline():
                if line.decode().startswith(word):
                    return
        raise AssertionError(f"the worker ended without saying {word!r}")

    async def end(self, number=signal.SIGTERM):
        """Signal it and return its exit code."""
        self.process.send_signal(number)
        await self.process.stdout.read()
        return await self.process.wait()


async def test_a_job_that_kills_its_workers_is_held_after_the_third(database, scope, roles):
    job_id = await enqueue(database, scope, worker_process.KILLER)
    for _ in range(jobs.MAX_CRASHES):
        worker = await Process.start(roles.app_dsn)
        await worker.hear("picked")
        assert await worker.process.wait() == -signal.SIGKILL
    survivor = await Process.start(roles.app_dsn)
    await survivor.hear("buried")
    row = await until(dead, database, job_id)
    assert "took its worker down 3 times" in row.reason
    assert await survivor.end() == 0


async def test_a_killed_workers_job_is_done_by_another_and_sigterm_drains(database, scope, roles):
    job_id = await enqueue(database, scope, worker_process.SLOW)
    first = await Process.start(roles.app_dsn, slow_seconds=600)
    await first.hear("started")
    assert await first.end(signal.SIGKILL) == -signal.SIGKILL
    second = await Process.start(roles.app_dsn)
    await second.hear("started")
    second.process.send_signal(signal.SIGTERM)
    await second.hear("finished")
    await second.hear("ended")
    assert await second.process.wait() == 0
    assert await done(database, job_id)


def test_a_killed_workers_jobs_are_due_again_within_fifteen_seconds():
    assert timedelta(seconds=15) >= jobs.HEARTBEAT_TIMEOUT + LONGEST_PAUSE


@pytest.mark.parametrize(
    ("kind", "attempts", "timeout"),
    [
        (JobClass.DEFAULT, 5, 60),
        (JobClass.CRITICAL, 10, 120),
        (JobClass.FAST, 3, 15),
        (JobClass.LONG, 3, 1800),
    ],
)
def test_delays_double_up_to_their_limit_with_some_jitter(kind, attempts, timeout):
    profile = kind.value
    assert (profile.attempts, profile.timeout) == (attempts, timeout)
    for failures in range(1, 30):
        wanted = min(profile.first_delay * 2 ** (failures - 1), profile.max_delay)
        assert wanted <= profile.delay_after(failures) <= wanted * 1.25
