"""Jobs that do nothing: how many are done per second by one worker, by two, and beside 100,000 that are not
due for days. `python benchmarks/jobs.py`
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from figures import show
from gptagent.entrypoints.demo.stage import until
from gptagent.kernel.db import Database
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.ids import new_id
from gptagent.kernel.jobs import JobContext, JobSpec, run_worker
from gptagent.kernel.postgres import Postgres, prepare_database
from gptagent.kernel.scope import Scope
from gptagent.migrations.run import migrate

NOTHING = "bench.nothing"
OTHER_KINDS = ("bench.other", "bench.third")  # a worker looks for several kinds
JOBS = 4_000
WARM_UP_JOBS = 500
FAR_JOBS = 100_000
FAR_DAYS = 9
DONE_WITHIN_SECONDS = 120.0
LOOK_SECONDS = 0.02


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="gptagent-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        home.chmod(0o755)
        postgres = Postgres(home)
        try:
            roles = prepare_database(postgres.start(), home)
            migrate(roles.owner_dsn, roles.app_dsn)
            db = await Database.connect(roles.app_dsn)
            try:
                await measure(db, home)
            finally:
                await db.close()
        finally:
            postgres.stop()


async def measure(db: Database, home: Path) -> None:
    async with _workers(db, home, 2):
        await _rate(db, WARM_UP_JOBS)
        show("jobs/s", "2_workers", await _rate(db, JOBS))
    async with _workers(db, home, 1):
        alone = [await _rate(db, JOBS)]
        await _schedule_far(db)
        beside = [await _rate(db, JOBS), await _rate(db, JOBS)]
        await _forget_far(db)
        alone.append(await _rate(db, JOBS))
    show("jobs/s", "1_worker", max(alone))
    show("jobs/s", f"1_worker_beside_{FAR_JOBS}", max(beside))
    show("jobs_ratio", f"beside_{FAR_JOBS}", sum(beside) / sum(alone), 2)


async def _rate(db: Database, jobs: int) -> float:
    """Enqueue so many jobs in one transaction; return how many per second are done from its commit on."""
    async with db.session(Scope(new_id())) as session:
        for number in range(jobs):
            await session.enqueue(NOTHING, {"n": str(number)})
    started = time.perf_counter()

    async def done() -> bool:
        async with db.installation() as session:
            return not await session.fetchval(
                """select exists (select from jobs.pgqueuer
                                   where entrypoint = $1 and status = 'queued' and execute_after <= now())
                       or exists (select from jobs.pgqueuer where status = 'picked')""",
                NOTHING,
            )

    await until("all jobs are done", done, seconds=DONE_WITHIN_SECONDS, pause=LOOK_SECONDS)
    return jobs / (time.perf_counter() - started)


async def _schedule_far(db: Database) -> None:
    async with db.installation() as session:
        await session.execute(
            """insert into jobs.pgqueuer (priority, entrypoint, payload, execute_after, status, headers)
               select 0, $1, '{}', now() + make_interval(days => $3), 'queued', '{"org": null}'
                 from generate_series(1, $2)""",
            NOTHING,
            FAR_JOBS,
            FAR_DAYS,
        )


async def _forget_far(db: Database) -> None:
    async with db.installation() as session:
        await session.execute("delete from jobs.pgqueuer where status = 'queued'")


@asynccontextmanager
async def _workers(db: Database, home: Path, count: int) -> AsyncIterator[None]:
    """Run so many workers, each a process of its own."""
    async with AsyncExitStack() as stack:
        for _ in range(count):
            await stack.enter_async_context(_worker(db, home))
        yield


@asynccontextmanager
async def _worker(db: Database, home: Path) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(sys.executable, __file__, db.dsn, str(home))
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def _nothing(ctx: JobContext, /, n: str = "") -> None:
    """Do nothing: what remains is the price of the queue."""
    del ctx, n


async def _work(dsn: str, home: Path) -> None:
    db = await Database.connect(dsn)
    kinds = tuple(JobSpec(name, _nothing) for name in (NOTHING, *OTHER_KINDS))
    await run_worker(db, LocalFiles(home), kinds, asyncio.Event())


if __name__ == "__main__":
    if len(sys.argv) == 3:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_work(sys.argv[1], Path(sys.argv[2])))
    else:
        asyncio.run(main())
