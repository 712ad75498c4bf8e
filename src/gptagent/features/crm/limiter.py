"""Calls to a CRM, spaced over all processes: one row per account and per egress address."""

import asyncio
from datetime import timedelta

from gptagent.features.crm import store
from gptagent.features.crm.model import CallPriority
from gptagent.kernel.db import Database
from gptagent.kernel.errors import RateLimited

# Kommo allows 7 requests a second per address (spec: kommo limits); one is left as a margin for clocks.
CALLS_PER_SECOND = 6
SPACING = timedelta(seconds=1 / CALLS_PER_SECOND)
# Who may wait longer goes first: a sync gives way as soon as turns and replies queue up.
MAX_WAIT = {
    CallPriority.SEND: timedelta(seconds=10),
    CallPriority.READ: timedelta(seconds=5),
    CallPriority.SYNC: timedelta(seconds=1),
}


class PostgresCallLimiter:
    """Implements `CallLimiter` on `app.crm_call_slot`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def wait(self, account_key: str, address_key: str, priority: CallPriority) -> None:
        keys = sorted({account_key, address_key})
        async with self._db.installation() as session:
            seconds = await store.take_slot(session, keys, SPACING, MAX_WAIT[priority])
        if seconds < 0:
            raise RateLimited(
                "crm_busy",
                "The CRM is taking its requests one by one. Try again shortly.",
                retry_after=-seconds,
            )
        await asyncio.sleep(seconds)

    async def block(self, account_key: str, address_key: str, seconds: float) -> None:
        async with self._db.installation() as session:
            await store.block_calls(session, sorted({account_key, address_key}), seconds)
