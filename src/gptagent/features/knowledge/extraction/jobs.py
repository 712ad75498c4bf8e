"""Reading a source's passages: claim, ask without a connection, record."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from gptagent.features.inference.budgets.service import BudgetExhausted
from gptagent.features.inference.model import LanguageModel, ModelReply, Use
from gptagent.features.knowledge.extraction import service, store
from gptagent.features.knowledge.graph.model import Excerpt
from gptagent.features.knowledge.graph.patterns import read_passage
from gptagent.features.knowledge.graph.prompting import (
    BATCH,
    BadOutputError,
    fitting,
    read_answer,
    request_about,
)
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Invalid
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)

BATCHES_PER_RUN = 40  # a run ends long before its time limit, and others get their turn
PATTERN_BATCH = 25
BUSY = timedelta(seconds=20)
LOOK_AGAIN = timedelta(hours=1)  # whether a budget that is used up was raised
# One that waited here would hold a place and a connection of the worker's, which replies need.
_SLOTS = asyncio.Semaphore(3)


class ReadContext(Protocol):
    """What reading needs of a job's context."""

    @property
    def db(self) -> Database: ...
    @property
    def scope(self) -> Scope: ...


@dataclass(frozen=True, slots=True)
class GraphJobs:
    """By the model if there is one, else by patterns. `pause` in seconds lies between two calls."""

    model: LanguageModel | None
    pause: float = 1.0

    async def extract(self, ctx: ReadContext, source_id: str) -> None:
        """Read what is not read of an article or document. Done again it changes nothing."""
        source = UUID(source_id)
        if _SLOTS.locked():
            async with ctx.db.session(ctx.scope) as session:
                await service.queue_source(session, source, delay=BUSY)
            return
        async with _SLOTS:
            await self._extract(ctx, source)

    async def _extract(self, ctx: ReadContext, source: UUID) -> None:
        for _ in range(BATCHES_PER_RUN):
            batch = await self._claim(ctx, source)
            if not batch:
                return
            if self.model is None:
                async with ctx.db.session(ctx.scope) as session:
                    read = [(one, read_passage(one)) for one in batch]
                    await service.record_findings(session, read, "patterns", now=utcnow())
            else:
                try:
                    await self._ask(ctx, self.model, batch)
                except BudgetExhausted as spent:
                    await _queue_after(ctx, source, spent)
                    return
                await asyncio.sleep(self.pause)
        async with ctx.db.session(ctx.scope) as session:
            await service.queue_source(session, source)

    async def give_up(self, ctx: ReadContext, source_id: str) -> None:
        """Show what is not read of the source as failed, so that it can be tried again."""
        async with ctx.db.session(ctx.scope) as session:
            await store.fail_source(session, UUID(source_id), utcnow())

    async def _claim(self, ctx: ReadContext, source: UUID) -> list[Excerpt]:
        """Return passages to read now. If there are none yet, what is left is queued for later."""
        now = utcnow()
        async with ctx.db.session(ctx.scope) as session:
            if await store.is_held_off(session):  # what was found would wait, and hold a connection
                await service.queue_source(session, source, delay=BUSY)
                return []
            limit = PATTERN_BATCH if self.model is None else BATCH
            waiting = await store.next_passages(session, source, now, limit)
            if not waiting:
                if await store.is_being_read(session, source):  # by a run that may have been killed
                    await service.queue_source(session, source, delay=service.CLAIM)
                return []
            if self.model is None:
                return await service.claim_passages(session, waiting, now=now)
            if await service.is_spent(session, now=now):
                await service.queue_source(session, source, delay=_until_tomorrow(now))
                return []
            together = 1 if waiting[0].is_alone else fitting([one for one in waiting if not one.is_alone])
            return await service.claim_passages(session, waiting[:together], now=now)

    async def _ask(self, ctx: ReadContext, model: LanguageModel, batch: list[Excerpt]) -> None:
        """Read passages by the model. An answer that cannot be used parts them; each is then tried alone."""
        reply: ModelReply | None = None
        try:
            reply = await model.complete(replace(request_about(batch), use=Use(ctx.scope)))
            findings = read_answer(reply.text, batch)
        except BadOutputError:
            await self._set_back(ctx, batch, "bad_output", reply)
        except Invalid as refused:
            await self._set_back(ctx, batch, refused.code, None)
        except AppError as error:
            async with ctx.db.session(ctx.scope) as session:
                await store.release(session, batch, error.code, utcnow())
            raise
        else:
            async with ctx.db.session(ctx.scope) as session:
                await service.record_call(session, reply, now=utcnow())
                read = list(zip(batch, findings, strict=True))
                await service.record_findings(session, read, "model", now=utcnow())

    async def _set_back(
        self, ctx: ReadContext, batch: list[Excerpt], code: str, reply: ModelReply | None
    ) -> None:
        log.warning("graph_reading_refused", reason=code, passages=len(batch))
        now = utcnow()
        async with ctx.db.session(ctx.scope) as session:
            if reply is not None:
                await service.record_call(session, reply, now=now)
            await store.set_back(session, batch, code, now, give_up_after=service.TRIES)


async def _queue_after(ctx: ReadContext, source: UUID, spent: BudgetExhausted) -> None:
    """Read on when the budget begins anew; it may be raised before."""
    wait = min(timedelta(seconds=spent.retry_after or 0), LOOK_AGAIN)
    async with ctx.db.session(ctx.scope) as session:
        await service.queue_source(session, source, delay=wait)


def _until_tomorrow(now: datetime) -> timedelta:
    tomorrow = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
    return tomorrow - now
