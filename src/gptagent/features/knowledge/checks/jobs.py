"""A check of a base: what is new is read, then everything is compared. Nothing of it holds the event loop."""

import asyncio
from typing import Protocol

from gptagent.features.knowledge.checks import service
from gptagent.features.knowledge.checks.comparing import contradictions, old_prices, past_dates
from gptagent.features.knowledge.checks.extraction import told_in
from gptagent.features.knowledge.checks.model import Changed, Hit, Statement, Told
from gptagent.features.knowledge.checks.store import Passage, read_changed
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.scope import Scope

BATCH_PASSAGES = 100

# Extraction and comparison take a core and, of a large base, some 200 MB.
_SLOT = asyncio.Semaphore(1)


class CheckContext(Protocol):
    """What a check needs of a job's context."""

    @property
    def db(self) -> Database: ...
    @property
    def scope(self) -> Scope: ...


async def scan(ctx: CheckContext) -> None:
    """Check the workspace's base. Done again it goes on where it was."""
    async with _SLOT:
        async with ctx.db.session(ctx.scope) as session:
            if not await service.begin_check(session, now=utcnow()):
                return
        await _read(ctx)
        async with ctx.db.session(ctx.scope) as session:
            statements, left_out = await service.read_statements(session)
            changed = await read_changed(session)
        hits, more = await asyncio.to_thread(_compared, statements, changed)
        async with ctx.db.session(ctx.scope) as session:
            await service.keep_findings(session, statements, hits, left_out + more, now=utcnow())


async def give_up(ctx: CheckContext) -> None:
    """Show a check whose job died as failed."""
    async with ctx.db.session(ctx.scope) as session:
        await service.fail_check(session, now=utcnow())


async def _read(ctx: CheckContext) -> None:
    """Take the statements of passages that no check has read, and of the company's facts."""
    after = 0
    while True:
        async with ctx.db.session(ctx.scope) as session:
            passages = await service.unread_passages(session, after=after, limit=BATCH_PASSAGES)
        if not passages:
            break
        after = passages[-1].chunk_id
        told = await asyncio.to_thread(_told, passages)
        async with ctx.db.session(ctx.scope) as session:
            await service.keep_statements(session, told, [one.chunk_id for one in passages], now=utcnow())
    async with ctx.db.session(ctx.scope) as session:
        await service.keep_facts(session)


def _told(passages: list[Passage]) -> list[tuple[int, Told]]:
    return [(one.chunk_id, told) for one in passages for told in told_in(one.content, one.above)]


def _compared(statements: list[Statement], changed: Changed) -> tuple[list[Hit], int]:
    """Return what is found, the surest first, and how much of it is beyond the bounds of one check."""
    now = utcnow()
    pairs = contradictions(statements)
    stale = [*past_dates(statements, now.date()), *old_prices(statements, changed, now)]
    kept = [*pairs[: service.CONTRADICTIONS_MAX], *stale[: service.STALE_MAX]]
    return kept, len(pairs) + len(stale) - len(kept)
