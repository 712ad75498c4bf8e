"""Measuring what the graph's names add: every question of the sample in a transaction of its own."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

from gptagent.features.knowledge.naming import measuring, service, store
from gptagent.features.knowledge.naming.benefit import Benefit, judge
from gptagent.features.knowledge.questions.model import Asked
from gptagent.features.knowledge.vectors.model import SAMPLE
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.scope import Scope

BUSY = timedelta(seconds=20)
# One that waited here would hold a place and a connection of the worker's, which replies need.
_SLOT = asyncio.Semaphore(1)


class MeasureContext(Protocol):
    """What measuring needs of a job's context."""

    @property
    def db(self) -> Database: ...
    @property
    def scope(self) -> Scope: ...


async def measure(ctx: MeasureContext) -> None:
    """Ask the sample and record what the names add to it. Done again it measures again."""
    if _SLOT.locked():
        async with ctx.db.session(ctx.scope) as session:
            await session.enqueue(service.MEASURE_JOB, {}, delay=BUSY)
        return
    async with _SLOT:
        begun_at = utcnow()
        async with ctx.db.session(ctx.scope) as session:
            base_changes = await store.count_changes(session)
            asked = await measuring.sample(session, SAMPLE)
        benefit = await _ask(ctx, asked)
        async with ctx.db.session(ctx.scope) as session:
            await service.record(session, benefit, begun_at=begun_at, base_changes=base_changes)


async def give_up(ctx: MeasureContext) -> None:
    """Let the next look begin another measurement."""
    async with ctx.db.session(ctx.scope) as session:
        await service.give_up(session, now=utcnow())


async def _ask(ctx: MeasureContext, asked: Sequence[Asked]) -> Benefit:
    named = []
    for one in asked:
        async with ctx.db.session(ctx.scope) as session:
            named.append(await measuring.is_named(session, one))
    if not any(named):  # the most bases: nothing there has two names that anybody asks by
        return Benefit(False, len(asked), 0, 0.0, 0.0, 0.0, 0.0)
    trials = []
    for one, is_named in zip(asked, named, strict=True):
        async with ctx.db.session(ctx.scope) as session:
            trials.append(await measuring.try_question(session, one, named=is_named))
    return judge(trials)
