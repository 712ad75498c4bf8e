"""Doing a run: one answer after the other, each recorded before the next, no transaction held meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Protocol
from uuid import UUID

from gptagent.features.dialog.replaying.jobs import replay_turn
from gptagent.features.dialog.replaying.service import open_turns
from gptagent.features.dialog.scenario_runs import service
from gptagent.features.dialog.scenario_runs.model import Cost, Planned, Run, Work
from gptagent.features.dialog.scenario_runs.playing import Goes, Interrupted, Stage, play_attempt
from gptagent.features.dialog.scenario_runs.ports import Rehearser
from gptagent.features.inference.model import LanguageModel
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.scope import Scope

BUSY = timedelta(seconds=20)
SLICE_SECONDS = 300.0  # of one job; what is left goes on in the next, behind whatever waits
# One that waited here would hold a place of the worker's, which replies need.
_SLOTS = asyncio.Semaphore(2)

Step = Callable[[Stage], Awaitable[Run | None]]  # None: the run is not this worker's any more


class RunContext(Protocol):
    """What a run needs of a job's context."""

    @property
    def db(self) -> Database: ...
    @property
    def scope(self) -> Scope: ...


@dataclass(frozen=True, slots=True)
class ScenarioJobs:
    """Handlers with who answers, and the model that plays customers, if there is one."""

    rehearser: Rehearser
    model: LanguageModel | None

    async def run(self, ctx: RunContext, /, run_id: str) -> None:
        """Go on with a run where it stands. Done again it changes nothing that is recorded."""
        if _SLOTS.locked():
            async with ctx.db.session(ctx.scope) as session:
                await service.queue(session, UUID(run_id), BUSY)
            return
        async with _SLOTS:
            is_over = await self.advance(ctx, UUID(run_id), SLICE_SECONDS)
        if not is_over:
            async with ctx.db.session(ctx.scope) as session:
                await service.queue(session, UUID(run_id))

    async def give_up(self, ctx: RunContext, /, run_id: str) -> None:
        """Show a run whose job died as failed."""
        async with ctx.db.session(ctx.scope) as session:
            await service.end_run(session, UUID(run_id), "failed", now=utcnow())

    async def advance(
        self,
        ctx: RunContext,
        run_id: UUID,
        seconds: float | None = None,
        told: Callable[[Run], None] | None = None,
    ) -> bool:
        """Do a run's steps until it ends or the time is over. Return False if there is more to do."""
        async with ctx.db.session(ctx.scope) as session:
            work = await service.take_run(session, run_id, now=utcnow())
        if work is None:
            return True
        until = None if seconds is None else monotonic() + seconds
        spent = work.run.weight
        try:
            async for step in self._steps(ctx, work):
                if until is not None and monotonic() > until:
                    return False
                stage = Stage(ctx.db, ctx.scope, self.rehearser, self.model, _goes(ctx, work, spent))
                run = await step(stage)
                if run is None:
                    return True
                spent = run.weight
                if told is not None:
                    told(run)
        except Interrupted:
            await _stop(ctx, work)
            return True
        async with ctx.db.session(ctx.scope) as session:
            if await service.is_wanted(session, work):
                await service.end_run(session, run_id, "done", now=utcnow())
        return True

    async def _steps(self, ctx: RunContext, work: Work) -> AsyncIterator[Step]:
        """Yield what is left to do, in order."""
        if work.run.kind == "replay":
            async with ctx.db.session(ctx.scope) as session:
                turns = await open_turns(session, work)
            for turn_id in turns:
                yield partial(replay_turn, work=work, turn_id=turn_id)
            return
        async with ctx.db.session(ctx.scope) as session:
            made = await service.made_attempts(session, work.run.id)
        for position, planned in enumerate(work.suite):
            for number in range(1, work.run.repeats + 1):
                if (position, number) not in made:
                    yield partial(_attempt, work=work, planned=planned, place=(position, number))


async def _attempt(stage: Stage, *, work: Work, planned: Planned, place: tuple[int, int]) -> Run | None:
    attempt = await play_attempt(stage, work.agent, planned.play, *place)
    async with stage.db.session(stage.scope) as session:
        return await service.keep_attempt(session, work, attempt, now=utcnow())


def _goes(ctx: RunContext, work: Work, spent: int) -> Goes:
    """Return what tells before each answer whether it may be given."""

    async def goes(more: Cost) -> bool:
        if spent + more.weight >= work.run.budget_micro_usd:
            return False
        async with ctx.db.session(ctx.scope) as session:
            return await service.is_wanted(session, work)

    return goes


async def _stop(ctx: RunContext, work: Work) -> None:
    """End a run whose budget is used up; one that was cancelled or taken over is not this worker's."""
    async with ctx.db.session(ctx.scope) as session:
        if await service.is_wanted(session, work):
            await service.end_run(session, work.run.id, "stopped", now=utcnow())
