"""The schedules go on in one process after the connection that holds their lock was cut."""

import asyncio

import asyncpg

from gptagent.bootstrap import build_platform
from gptagent.entrypoints import worker
from gptagent.kernel.settings import Settings

HOLDER = "select pid from pg_locks where locktype = 'advisory' and objid = $1 and granted"


async def holder(connection, *, other_than=None):
    for _ in range(600):
        pid = await connection.fetchval(HOLDER, worker.LEADER_LOCK)
        if pid is not None and pid != other_than:
            return pid
        await asyncio.sleep(0.1)
    return None


async def test_a_lost_lock_is_taken_again(database, home, monkeypatch, capfd):
    monkeypatch.setattr(worker, "LEADER_RETRY_SECONDS", 0.2)
    platform = await build_platform(Settings(gptagent_home=home))
    connection = await asyncpg.connect(database.dsn)
    leading = asyncio.create_task(worker._lead(platform, asyncio.Event()))
    try:
        first = await holder(connection)
        await connection.execute("select pg_terminate_backend($1)", first)
        assert await holder(connection, other_than=first) is not None
    finally:
        leading.cancel()
        await asyncio.gather(leading, return_exceptions=True)
        await connection.close()
        await platform.close()
    assert capfd.readouterr().out.count("scheduler_lost") == 1  # no schedule ended them besides


async def test_a_schedule_that_fails_while_it_is_ended_keeps_no_worker_alive(database, home, monkeypatch):
    begun, shutdown = asyncio.Event(), asyncio.Event()

    async def fails_at_the_end(_platform):
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ConnectionError

    monkeypatch.setattr(worker, "LEADER_RETRY_SECONDS", 0.2)
    monkeypatch.setattr(worker, "_schedules", lambda: ((worker.SWEEP_EVERY, fails_at_the_end),))
    platform = await build_platform(Settings(gptagent_home=home))
    leading = asyncio.create_task(worker._lead(platform, shutdown))
    await begun.wait()
    shutdown.set()
    leading.cancel()
    done, _ = await asyncio.wait({leading}, timeout=30)
    await platform.close()
    assert done == {leading}
