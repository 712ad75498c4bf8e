"""Without Redis the limits on log-ins live in one process, so there may be only one web process."""

import asyncio
import os
import signal
from dataclasses import dataclass, field

import asyncpg
import structlog

from gptagent.kernel.db import CONNECTION_LOST
from gptagent.kernel.errors import Misconfigured

log = structlog.get_logger(__name__)

LOCK_KEY = 7203
WAIT_SECONDS = 12.0  # a web process that is being replaced may still be finishing its requests
RETRY_SECONDS = 0.5
CHECK_SECONDS = 5.0


@dataclass(slots=True)
class SoleWeb:
    """Holds a lock in the database for as long as this process serves."""

    dsn: str
    _connection: "asyncpg.Connection[asyncpg.Record] | None" = field(default=None)

    async def acquire(self) -> None:
        """Raise Misconfigured if another web process of this installation keeps running."""
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
        self._connection = await asyncpg.connect(self.dsn, timeout=5)
        while not await self._connection.fetchval("select pg_try_advisory_lock($1)", LOCK_KEY):
            if asyncio.get_running_loop().time() > deadline:
                raise Misconfigured(
                    "second_web_process",
                    "Another web process serves this installation. Set REDIS_URL to run several.",
                )
            await asyncio.sleep(RETRY_SECONDS)

    async def keep(self) -> None:
        """Take the lock again after the database was away; end this process if another has it by then."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                if self._connection is None or self._connection.is_closed():
                    await self.acquire()
                else:
                    await self._connection.execute("select 1")
            except CONNECTION_LOST:
                self._connection = None
            except Misconfigured as error:
                log.error("second_web_process", error=error.code)  # noqa: TRY400 - the sentence is enough
                os.kill(os.getpid(), signal.SIGTERM)

    def release(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
