"""The work at an index of vectors: embed what has none, measure what it is worth, let it serve."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from gptagent.features.inference import service as inference
from gptagent.features.inference.budgets.service import BudgetExhausted
from gptagent.features.inference.masking.service import get_masking, hidden
from gptagent.features.inference.model import EMBEDDED_AT_ONCE, Embedder, Use
from gptagent.features.knowledge.renewing import service as renewing
from gptagent.features.knowledge.vectors import measuring, service, store
from gptagent.features.knowledge.vectors.model import SAMPLE, Benefit, VectorIndex, judge
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)

BATCHES_PER_JOB = 50  # then others' jobs come first
SIGNED_AT_ONCE = 1_000
TAKEN_AT_ONCE = 40  # their texts are looked through in the loop that other jobs share


class _HiddenOtherwiseError(Exception):
    """What providers are told has changed: the work goes on at another index."""


class VectorContext(Protocol):
    """What the work needs of a job's context."""

    @property
    def db(self) -> Database: ...
    @property
    def scope(self) -> Scope: ...
    @property
    def job_id(self) -> int: ...


@dataclass(frozen=True, slots=True)
class VectorJobs:
    embedder: Embedder | None

    async def embed(self, ctx: VectorContext) -> None:
        """Bring the workspace's index up to its base. One job works at it, others find it taken."""
        if self.embedder is None:
            return
        async with ctx.db.session(ctx.scope) as session:
            index = await service.claim_index(session, self.embedder.model, ctx.job_id)
        if index is None:
            return
        try:
            await self._bring_up(ctx, self.embedder, index)
        except Conflict:
            log.info("vectors_taken_over")
        except _HiddenOtherwiseError:
            async with ctx.db.session(ctx.scope) as session:
                await service.release(session, index)
        except AppError as error:
            async with ctx.db.session(ctx.scope) as session:
                await service.fail(session, index, error.code)
            log.warning("vectors_failed", error=error.code)
            # What has no money is looked at again by the schedule: it may be raised before the day is over.
            if error.retryable and not isinstance(error, BudgetExhausted):
                raise

    async def give_up(self, ctx: VectorContext) -> None:
        """Show that the job died; the schedule begins another one later."""
        async with ctx.db.session(ctx.scope) as session:
            await service.bury(session, ctx.job_id)

    async def _bring_up(self, ctx: VectorContext, embedder: Embedder, index: VectorIndex) -> None:
        if index.error_code == "embedding_size":
            index = await _look_at_size(ctx, embedder, index)
        index = await _take_over(ctx, index)
        for _ in range(BATCHES_PER_JOB):
            async with ctx.db.session(ctx.scope) as session:
                if await service.sign_vectors(session, index, SIGNED_AT_ONCE):
                    continue
                batch = await service.pieces_to_embed(session, index.id, EMBEDDED_AT_ONCE)
            if batch:
                index = await _embed_batch(ctx, embedder, index, batch)
            elif await self._complete(ctx, embedder, index):
                return
        async with ctx.db.session(ctx.scope) as session:
            await service.release(session, index)

    async def _complete(self, ctx: VectorContext, embedder: Embedder, index: VectorIndex) -> bool:
        async with ctx.db.session(ctx.scope) as session:
            current = await store.fetch_index(session, index.id)
            chunks = await store.count_chunks(session)
        benefit = None
        if current is not None and current.is_due(chunks):
            benefit = await _measure(ctx, embedder, index)
        async with ctx.db.session(ctx.scope) as session:
            return await service.complete(session, index, benefit)


async def _take_over(ctx: VectorContext, index: VectorIndex) -> VectorIndex:
    """Take what is the same to the provider from the index that serves; return the index as it is then."""
    is_more = True
    while is_more:
        async with ctx.db.session(ctx.scope) as session:
            is_more = await renewing.take_over(session, index, TAKEN_AT_ONCE)
    async with ctx.db.session(ctx.scope) as session:
        return await store.fetch_index(session, index.id) or index


async def _embed_batch(
    ctx: VectorContext, embedder: Embedder, index: VectorIndex, batch: Sequence[tuple[int, str]]
) -> VectorIndex:
    async with ctx.db.session(ctx.scope) as session:
        kinds = (await get_masking(session)).kinds
    if kinds != index.hidden:
        raise _HiddenOtherwiseError
    texts = hidden([text for _, text in batch], kinds)
    answer = await inference.embed(ctx.db, Use(ctx.scope), embedder, texts)
    size = len(answer.vectors[0])
    if index.size not in {None, size}:
        raise Invalid("embedding_size", "The embedding model answers with another number of dimensions.")
    async with ctx.db.session(ctx.scope) as session:
        await service.record_vectors(session, index, [chunk_id for chunk_id, _ in batch], answer)
    return replace(index, size=size)


async def _look_at_size(ctx: VectorContext, embedder: Embedder, index: VectorIndex) -> VectorIndex:
    """Embed everything anew if the model's vectors have another size than those that are kept."""
    answer = await inference.embed(ctx.db, Use(ctx.scope), embedder, [service.PROBE])
    if len(answer.vectors[0]) == index.size:
        return index
    log.warning("vectors_begun_anew", size=len(answer.vectors[0]), before=index.size)
    async with ctx.db.session(ctx.scope) as session:
        await service.empty(session, index)
    return replace(index, size=None, ready_at=None, error_code=None)


async def _measure(ctx: VectorContext, embedder: Embedder, index: VectorIndex) -> Benefit:
    """Ask the base's own questions by words alone and with the index. Holds no transaction meanwhile."""
    async with ctx.db.session(ctx.scope) as session:
        asked = await measuring.sample(session, SAMPLE)
    trials = []
    for start in range(0, len(asked), EMBEDDED_AT_ONCE):
        part = asked[start : start + EMBEDDED_AT_ONCE]
        async with ctx.db.session(ctx.scope) as session:
            await service.hold(session, index)
            masking = await get_masking(session)
        texts = hidden([one.text for one in part], masking.kinds)
        answer = await inference.embed(ctx.db, Use(ctx.scope), embedder, texts)
        async with ctx.db.session(ctx.scope) as session:
            await inference.record_embedding(session, index.model, answer)
            trials += await measuring.try_questions(session, index, part, answer.vectors)
    return judge(trials)
