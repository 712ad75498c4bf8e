"""The schedules go on in one process after the connection that holds their lock was cut."""

import asyncio
from types import SimpleNamespace

import asyncpg

from gptagent.entrypoints import worker

HOLDER = "select pid from pg_locks where locktype = 'advisory' and objid = $1 and granted"


async def holder(connection, *, other_than=None):
    for _ in range(100):
        pid = await connection.fetchval(HOLDER, worker.LEADER_LOCK)
        if pid is not None and pid != other_than:
            return pid
        await asyncio.sleep(0.1)
    return None


async def test_a_lost_lock_is_taken_again(database, monkeypatch):
    monkeypatch.setattr(worker, "LEADER_RETRY_SECONDS", 0.2)
    connection = await asyncpg.connect(database.dsn)
    leading = asyncio.create_task(worker._lead(SimpleNamespace(db=database)))
    try:
        first = await holder(connection)
        await connection.execute("select pg_terminate_backend($1)", first)
        assert await holder(connection, other_than=first) is not None
    finally:
        leading.cancel()
        await connection.close()
