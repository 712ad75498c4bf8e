"""The verbs of the search by meaning. What is measured of it is in `measuring`, its work in `jobs`."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import structlog

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.inference import service as inference
from gptagent.features.inference.budgets.service import BudgetExhausted
from gptagent.features.inference.masking.model import Masking
from gptagent.features.inference.masking.service import get_masking, hidden
from gptagent.features.inference.model import Embedder, EmbeddingModel, Embeddings, Use, Witness
from gptagent.features.knowledge.vectors import store
from gptagent.features.knowledge.vectors.model import (
    FAILURES,
    Benefit,
    Meaning,
    Progress,
    Standing,
    VectorIndex,
)
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import SYSTEM, Scope

log = structlog.get_logger(__name__)

EMBED_JOB = "knowledge.embed"
LIVE_TOPIC = "vectors"
LEASE = timedelta(seconds=120)  # longer than a request with all its attempts
PAUSE = timedelta(minutes=5)  # until what failed is tried again
MOST_AT_ONCE = 50  # workspaces queued by one look

# A customer waits: what has not come by then would delay the answer more than it betters it.
QUESTION_SECONDS = 1.5
QUESTION_MAX_CHARS = 2_000
PROBE = "How many dimensions are there?"
REST_SECONDS = 30.0  # after a failure the provider is not asked: each question would wait in vain


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Whose a question is, who is told what it came to, and whether nobody waits for its answer."""

    use: Use
    witness: Witness | None
    is_measured: bool


@dataclass(slots=True)
class Understanding:
    """Questions by their meaning, where the workspace's index is worth it. One for each process."""

    embedder: Embedder | None
    clock: Callable[[], float] = time.monotonic
    _rests_until: float = field(default=0.0, repr=False)

    async def understand(
        self,
        db: Database,
        scope: Scope,
        question: str,
        *,
        is_measured: bool = False,
        use: Use | None = None,
        witness: Witness | None = None,
    ) -> Meaning | None:
        """Return what the question means; None if no index is used here, the provider does not answer in
        time or the budget is used up: retrieval goes on by words alone. Holds no transaction meanwhile.

        Where it `is_measured` nobody waits: the provider is given its time, and its failure is raised.
        It is the workspace's `use` unless another is named; `witness` is told what it came to.
        """
        if self.embedder is None or not question.strip():
            return None
        async with db.session(scope) as session:
            index = await self.find_index(session)
            masking = await get_masking(session) if index is not None else Masking()
        if index is None or index.benefit is None:
            return None
        [plain] = hidden([question[:QUESTION_MAX_CHARS]], masking.kinds)
        wanted = _Wanted(use or Use(scope), witness, is_measured)
        vector = await self._ask(db, wanted, index, plain)
        if vector is None:
            return None
        return Meaning(index.id, vector, index.benefit.weight, index.benefit.lowest)

    async def find_index(self, session: Session) -> VectorIndex | None:
        """Return the index that questions are put to here; None if none is."""
        if self.embedder is None or not await store.has_vectors(session):
            return None
        index = await store.fetch_serving(session)
        is_ours = index is not None and index.model.base_url == self.embedder.model.base_url
        return index if index is not None and is_ours and index.benefit is not None else None

    async def _ask(
        self, db: Database, wanted: _Wanted, index: VectorIndex, question: str
    ) -> Sequence[float] | None:
        if self.embedder is None or (self.clock() < self._rests_until and not wanted.is_measured):
            return None
        use, witness = wanted.use, wanted.witness
        deadline = None if wanted.is_measured else QUESTION_SECONDS
        try:
            answer = await inference.embed(
                db, use, self.embedder, [question], model=index.model, deadline=deadline
            )
        except AppError as error:
            if wanted.is_measured:
                raise
            log.warning("question_without_vector", error=error.code)
            if witness is not None:
                witness.failed("embedding", index.model.name, error.code)
            if isinstance(error, BudgetExhausted):  # of this workspace, agent or contact alone
                return None
            self._rests_until = self.clock() + REST_SECONDS
            async with db.session(use.scope) as session:
                await store.note_missed(session, index.id)
            return None
        async with db.session(use.scope) as session:
            used = await inference.record_embedding(session, index.model, answer, use.turn_id)
            if witness is not None:
                witness.called("embedding", used)
            if len(answer.vectors[0]) != index.size:
                log.warning("question_without_vector", error="embedding_size")
                await store.doubt_index(session, index.id)
                await session.enqueue(EMBED_JOB, {})
        if len(answer.vectors[0]) == index.size:
            return answer.vectors[0]
        if wanted.is_measured:
            raise Invalid("embedding_size", FAILURES["embedding_size"])
        return None


async def check_embedder(embedder: Embedder | None) -> None:
    """Say at the start if the provider that is set cannot be used, and why."""
    if embedder is None:
        return
    try:
        answer = await embedder.embed([PROBE])
    except AppError as error:
        log.warning("embedder_unusable", error=error.code)
    else:
        log.info("embedder_ready", dimensions=len(answer.vectors[0]))


async def note_changed(session: Session) -> None:
    """Queue the embedding of what this transaction changes of the base, if there is an index."""
    if await store.has_index(session):
        await session.enqueue(EMBED_JOB, {})


async def begin_anew(session: Session) -> None:
    """Have all passages embedded anew if there is an index; what is there serves until that is done."""
    if await store.has_index(session):
        await store.outdate_indexes(session)
        await session.enqueue(EMBED_JOB, {})


async def queue_due(db: Database, model: EmbeddingModel, *, most: int = MOST_AT_ONCE) -> int:
    """Queue the work of workspaces whose index has to be made, mended or looked at. Returns how many."""
    async with db.installation() as session:
        due = await store.fetch_due(session, model, PAUSE, most)
    for org_id in due:
        async with db.session(Scope(org_id, SYSTEM)) as session:
            await store.open_index(session, model, (await get_masking(session)).kinds, new_id())
            await session.enqueue(EMBED_JOB, {})
    return len(due)


async def get_standing(session: Session) -> Standing:
    """Return the workspace's index, the one that is to follow it, and how far that is."""
    indexes = await store.fetch_indexes(session)
    serving = next((index for index in indexes if index.ready_at is not None), None)
    following = next((index for index in indexes if index.ready_at is None), None)
    worked_at = following or serving
    if worked_at is None or not await store.has_vectors(session):
        return Standing(serving, following, Progress(0, await store.count_chunks(session)))
    return Standing(serving, following, await store.count_progress(session, worked_at.id))


async def measure_again(session: Session, *, is_set: bool = True) -> None:
    """Queue a new measurement of what the vectors are worth. Raises NotFound, Conflict until they serve."""
    standing = await get_standing(session)
    if standing.shown is None or not is_set:
        raise NotFound("no_vector_index", "There is no index by meaning yet.")
    if standing.serving is None:
        raise Conflict("vectors_not_ready", "The index by meaning is still being made.")
    await store.want_measuring(session)
    await session.enqueue(EMBED_JOB, {})
    await audit.record(session, Entry("vectors.measured", "vector_index", str(standing.serving.id)))
    await _announce(session)


async def claim_index(session: Session, model: EmbeddingModel, job_id: int) -> VectorIndex | None:
    """Take the model's index for a while, made if it is missing; None if another job has it.

    It is one of the texts as the provider may be told them now: if what is hidden has changed, the index
    before serves until another one is whole. Whoever adds passages queues a job, and whoever has the index
    looks again under its lock before letting it go, so that no passage is left.
    """
    kinds = (await get_masking(session)).kinds
    await store.open_index(session, model, kinds, new_id())
    index = await store.claim_index(session, model, kinds, job_id, LEASE)
    if index is not None and not await store.has_vectors(session):
        await store.release_index(session, index, "no_pgvector")
        return None
    return index


async def record_vectors(
    session: Session, index: VectorIndex, chunk_ids: Sequence[int], answer: Embeddings
) -> None:
    """Store a batch. Raises Conflict if the index was taken over."""
    await hold(session, index)
    stored = await store.insert_vectors(session, index, chunk_ids, answer.vectors)
    await store.count_vectors(session, index, len(answer.vectors[0]), stored, answer.tokens)
    await inference.record_embedding(session, index.model, answer)
    await _announce(session)


async def release(session: Session, index: VectorIndex) -> None:
    """Let the next job go on where this one stops."""
    if await store.release_index(session, index, None):
        await session.enqueue(EMBED_JOB, {})


async def complete(session: Session, index: VectorIndex, benefit: Benefit | None) -> bool:
    """Let the index serve, in one step with what it was measured to be worth (None: as before).

    False if passages have come meanwhile: the work goes on. Raises Conflict if the index was taken over.
    """
    await hold(session, index)
    if await store.missing_pieces(session, index.id, 1):
        return False
    if benefit is not None:
        await store.save_benefit(session, index, benefit, await store.count_chunks(session))
    await store.make_ready(session, index)
    await store.release_index(session, index, None)
    await _announce(session)
    return True


async def fail(session: Session, index: VectorIndex, error_code: str) -> None:
    """Let the index go and show why it is not brought up."""
    if await store.release_index(session, index, error_code):
        await _announce(session)


async def bury(session: Session, job_id: int) -> None:
    """Show that the job that had the index died."""
    if await store.bury_job(session, job_id, "internal"):
        await _announce(session)


async def empty(session: Session, index: VectorIndex) -> None:
    """Forget the vectors of a model that answers with others now. Raises Conflict if it was taken over."""
    await hold(session, index)
    await store.empty_index(session, index)


async def pieces_to_embed(session: Session, index_id: UUID, limit: int) -> list[tuple[int, str]]:
    """Return passages that have no vector yet: id and text."""
    return await store.missing_pieces(session, index_id, limit)


async def sign_vectors(session: Session, index: VectorIndex, limit: int) -> int:
    """Give up to `limit` vectors their signs that the release before has stored; return to how many.

    Raises Conflict if the index was taken over.
    """
    await hold(session, index)
    return await store.sign_vectors(session, index.id, limit)


async def hold(session: Session, index: VectorIndex) -> None:
    """Renew the lease. Raises Conflict if the index was taken over."""
    if not await store.hold_index(session, index, LEASE):
        raise Conflict("vectors_taken_over", "The index by meaning is being made by another job.")


async def _announce(session: Session) -> None:
    await session.publish(LIVE_TOPIC, "changed", {})
