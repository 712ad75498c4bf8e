"""The measurement: the base's questions asked without the model and with it."""

from dataclasses import dataclass
from typing import Protocol

import structlog

from gptagent.features.inference.masking.service import get_masking, hidden
from gptagent.features.inference.model import Use
from gptagent.features.knowledge.ports import Reranker
from gptagent.features.knowledge.questions.model import Asked
from gptagent.features.knowledge.questions.service import sample
from gptagent.features.knowledge.reranking import service, store
from gptagent.features.knowledge.reranking.model import SAMPLE, Worth, judge, reordered
from gptagent.features.knowledge.vectors.service import Understanding
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Invalid
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)

REFUSED_AT_FIRST = 3  # of the first questions, and none answered: the model is not to be had at all


class MeasureContext(Protocol):
    """What measuring needs of a job's context."""

    @property
    def db(self) -> Database: ...
    @property
    def scope(self) -> Scope: ...


@dataclass(frozen=True, slots=True)
class RerankingJobs:
    reranker: Reranker | None
    understanding: Understanding

    async def measure(self, ctx: MeasureContext) -> None:
        """Tell what the model is worth in this base. Nothing if no measurement is queued any more: another
        job has made it.
        """
        if self.reranker is None:
            return
        async with ctx.db.session(ctx.scope) as session:
            if not await store.is_queued(session):
                return
            await store.begin(session, self.reranker.model)
            asked = await sample(session, SAMPLE)
        try:
            worth = await self._measure(ctx, self.reranker, asked)
        except AppError as error:
            async with ctx.db.session(ctx.scope) as session:
                await service.fail(session, error.code)
            log.warning("reranker_not_measured", error=error.code)
            return  # the schedule begins another one later
        async with ctx.db.session(ctx.scope) as session:
            await service.record_worth(session, self.reranker.model, worth)

    async def give_up(self, ctx: MeasureContext) -> None:
        """Show that the job died."""
        async with ctx.db.session(ctx.scope) as session:
            await service.fail(session, "internal")

    async def _measure(self, ctx: MeasureContext, reranker: Reranker, asked: list[Asked]) -> Worth:
        """Raise AppError also if the meaning of a question is not to be had: what turns put into another
        order is found by that as well.
        """
        before, after, refused = list[int](), list[int](), 0
        for one in asked:
            meaning = await self.understanding.understand(ctx.db, ctx.scope, one.text, is_measured=True)
            async with ctx.db.session(ctx.scope) as session:
                found = await service.candidates(session, one.text, meaning=meaning)
                masking = await get_masking(session)
            ids = [passage.chunk_id for passage in found]
            right = {p.chunk_id for p in found if one.is_answered_by(p.chunk_id, p.source_id)}
            order = ids
            if len(found) > 1:
                question, *texts = hidden([one.text, *service.texts_of(found)], masking.kinds)
                try:
                    ranking = await service.rank(
                        ctx.db,
                        Use(ctx.scope),
                        reranker,
                        question,
                        texts,
                        deadline=service.MEASURING_SECONDS,
                    )
                except Invalid:
                    # This question or its passages may be what the model does not take; not all of them.
                    refused += 1
                    if refused >= REFUSED_AT_FIRST and not before:
                        raise
                    continue
                async with ctx.db.session(ctx.scope) as session:
                    await service.record_usage(session, reranker.model, ranking)
                order = reordered(ids, [ids[place] for place in ranking.order])
            before.append(_rank(ids, right))
            after.append(_rank(order, right))
        return judge(before, after, refused)


def _rank(ids: list[int], right: set[int]) -> int:
    return next((place for place, chunk_id in enumerate(ids, start=1) if chunk_id in right), 0)
