"""Calls to a CRM, spaced over all processes: one row per account and per egress address.

Each process lines its calls up by egress address (`calling.lines`); only the first of a line asks the
database.
How far ahead of now a slot may be taken depends on the priority: what a send may take, a read cannot have
taken before it, and a sync takes a slot only when it is there. So a send waits for a few slots at most,
however many other calls wait in whatever process.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from gptagent.features.crm.calling import store
from gptagent.features.crm.calling.lines import Claim, Line, Ticket
from gptagent.features.crm.model import CallPriority
from gptagent.kernel.circuits import Circuit
from gptagent.kernel.db import CONNECTION_LOST, Database
from gptagent.kernel.errors import RateLimited, UpstreamUnavailable
from gptagent.kernel.observe import CRM_CIRCUITS, CRM_WAIT_SECONDS

# Kommo allows 7 requests a second per address (spec: kommo limits); one is left as a margin for clocks.
CALLS_PER_SECOND = 6
SPACING = timedelta(seconds=1 / CALLS_PER_SECOND)
# A call that leaves with the next slot's is the seventh within a second; later it is one too many.
MISSED_AFTER = SPACING
# How far ahead of now a call may take its slot.
HORIZON = {
    CallPriority.SEND: 3 * SPACING,
    CallPriority.READ: 1.5 * SPACING,
    CallPriority.SYNC: 0.5 * SPACING,
}
# Who may wait longer goes first: a sync gives way as soon as turns and replies queue up.
MAX_WAIT = {
    CallPriority.SEND: timedelta(seconds=10),
    CallPriority.READ: timedelta(seconds=5),
    CallPriority.SYNC: timedelta(seconds=1),
}
# One faulty answer in five, at random, breaks the circuit once in some thousand calls.
FAILURES_UNTIL_OPEN = 5
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=5)
# Longer than any call's deadline: whoever looks how the account is has told by then, or has died.
PROBE = timedelta(seconds=30)
CIRCUIT = Circuit(FAILURES_UNTIL_OPEN, FIRST_PAUSE, LONGEST_PAUSE, PROBE)


class PostgresCallLimiter:
    """Implements `CallLimiter` on `app.crm_call_slot`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lines: dict[str, Line] = {}
        self._troubled: set[str] = set()

    async def wait(self, account_key: str, address_key: str, priority: CallPriority) -> None:
        """A process that was held up and has missed its slot takes another: it would meet those of others."""
        clock = asyncio.get_running_loop().time
        asked = clock()
        ends = asked + MAX_WAIT[priority].total_seconds()
        while True:
            claim = await self._slot(address_key, Ticket(account_key, priority, HORIZON[priority], ends))
            await asyncio.sleep(claim.wait)
            if clock() - claim.due < MISSED_AFTER.total_seconds():
                break
        CRM_WAIT_SECONDS.labels(priority=priority.name.lower()).observe(clock() - asked)

    async def _slot(self, address_key: str, ticket: Ticket) -> Claim:
        """Return the slot that was taken. Raises what `wait` does."""
        account_key = ticket.account
        line = self._lines.setdefault(address_key, Line(self._claim, address_key))
        try:
            claim = await line.wait(ticket)
        finally:
            if line.is_empty and self._lines.get(address_key) is line:
                del self._lines[address_key]
        if claim.failures:
            self._troubled.add(account_key)
        if claim.open_for:
            raise UpstreamUnavailable(
                "crm_circuit_open",
                "The CRM has not answered for a while. It is tried again shortly.",
                retry_after=claim.open_for,
            )
        if not claim.granted:
            raise RateLimited(
                "crm_busy",
                "The CRM is taking its requests one by one. Try again shortly.",
                retry_after=max(claim.wait, SPACING.total_seconds()),
            )
        return claim

    async def block(self, account_key: str, address_key: str, seconds: float) -> None:
        async with self._db.installation() as session:
            await store.block_calls(session, sorted({account_key, address_key}), seconds)

    async def report(self, account_key: str, *, failed: bool) -> None:
        """Tell how a call ended. What it brought is not lost because the database does not answer."""
        if not failed and account_key not in self._troubled:
            return
        with suppress(UpstreamUnavailable, *CONNECTION_LOST):
            async with self._db.installation() as session:
                failures = await store.note_call(session, account_key, failed=failed, circuit=CIRCUIT)
            self._note(account_key, failures)

    def _note(self, account_key: str, failures: int) -> None:
        if failures:
            self._troubled.add(account_key)
        else:
            self._troubled.discard(account_key)
        if failures == FAILURES_UNTIL_OPEN:
            CRM_CIRCUITS.inc()

    async def _claim(self, account_key: str, address_key: str, horizon: timedelta) -> Claim:
        async with self._db.single() as session:
            asked = asyncio.get_running_loop().time()
            claim = await store.claim_slot(session, (account_key, address_key), SPACING, horizon, CIRCUIT)
        return replace(claim, due=asked + claim.wait)
