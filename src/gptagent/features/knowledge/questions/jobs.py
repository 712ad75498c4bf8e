"""A run: every question of the sample in a transaction of its own, then what they told."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import structlog

from gptagent.features.knowledge.questions import service
from gptagent.features.knowledge.questions.calibration import FAILURES, SAMPLE_MAX, Run
from gptagent.features.knowledge.questions.ways import Ways
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, NotFound
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)


class MeasureContext(Protocol):
    """What measuring needs of a job's context."""

    @property
    def db(self) -> Database: ...
    @property
    def scope(self) -> Scope: ...


@dataclass(frozen=True, slots=True)
class QuestionJobs:
    """`ways` are those of a turn."""

    ways: Ways

    async def measure(self, ctx: MeasureContext, run_id: str) -> None:
        """Ask the sample and record what it came to. A run that has ended, or is gone, is left alone.

        One of which a provider fails is shown as failed: asked without it, it would tell of another search.
        """
        try:
            await _measure(ctx, self.ways, UUID(run_id))
        except AppError as error:
            log.warning("run_failed", error=error.code)
            async with ctx.db.session(ctx.scope) as session:
                await service.fail_run(session, UUID(run_id), error.code, now=utcnow())


async def _measure(ctx: MeasureContext, ways: Ways, run_id: UUID) -> None:
    async with ctx.db.session(ctx.scope) as session:
        try:
            run = await service.get_run(session, run_id)
        except NotFound:
            return
        if run.state != "queued":
            return
        asked = await service.sample(session, SAMPLE_MAX)
    before = await ways.in_use(ctx.db, ctx.scope)
    outcomes = []
    for one in asked:
        way = await ways.find(ctx.db, ctx.scope, one.text)
        async with ctx.db.session(ctx.scope) as session:
            outcomes.append(await service.measure(session, one, way))
    if await ways.in_use(ctx.db, ctx.scope) != before:
        raise Conflict("ways_changed", FAILURES["ways_changed"])
    async with ctx.db.session(ctx.scope) as session:
        is_saved = bool(asked) and not asked[0].chunks
        await service.record_run(session, run.id, outcomes, is_saved=is_saved, legs=before.legs, now=utcnow())


@dataclass(frozen=True, slots=True)
class _Here:
    """Measuring outside of a worker."""

    db: Database
    scope: Scope


async def measure_now(db: Database, scope: Scope, ways: Ways) -> Run:
    """Measure a base and return what it came to. A run that waits for a worker is the one."""
    async with db.session(scope) as session:
        run_id = await service.queue_run(session, now=utcnow())
        if run_id is None:
            (latest,) = await service.list_runs(session, limit=1)
            run_id = latest.id
    await QuestionJobs(ways).measure(_Here(db, scope), str(run_id))
    async with db.session(scope) as session:
        return await service.get_run(session, run_id)


async def give_up(ctx: MeasureContext, run_id: str) -> None:
    """Show a run whose job died as failed."""
    async with ctx.db.session(ctx.scope) as session:
        await service.fail_run(session, UUID(run_id), now=utcnow())
