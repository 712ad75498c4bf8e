"""The verbs of reranking: the order of a question's passages, and what the model is worth."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import structlog

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.inference import service as inference
from gptagent.features.inference.budgets.model import Amount
from gptagent.features.inference.budgets.service import BudgetExhausted
from gptagent.features.inference.masking.service import get_masking, hidden
from gptagent.features.inference.model import ModelReply, Use, Witness
from gptagent.features.knowledge import retrieval
from gptagent.features.knowledge.categories.model import Within
from gptagent.features.knowledge.model import Passage
from gptagent.features.knowledge.ports import Ranking, Reranker, RerankingModel
from gptagent.features.knowledge.reranking import store
from gptagent.features.knowledge.reranking.model import POOL, Order, Standing, Worth
from gptagent.features.knowledge.vectors.model import Meaning
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Invalid, NotFound
from gptagent.kernel.scope import SYSTEM, Scope

log = structlog.get_logger(__name__)

MEASURE_JOB = "knowledge.measure_reranker"
LIVE_TOPIC = "reranking"
PAUSE = timedelta(hours=1)  # until what failed, or is under way, is tried again
LOST_AFTER = timedelta(days=1)  # a job that has not ended by then is not waited for
MOST_AT_ONCE = 20  # workspaces queued by one look

# A customer waits: an order that has not come by then would delay the answer more than it betters it.
QUESTION_SECONDS = 1.0
MEASURING_SECONDS = 10.0  # where nobody waits
REST_SECONDS = 30.0  # the provider that does not answer is not asked: each question would wait in vain


@dataclass(slots=True)
class Reranking:
    """Passages in a better order, where it was measured to be one. One for each process."""

    reranker: Reranker | None
    clock: Callable[[], float] = time.monotonic
    _rests_until: float = field(default=0.0, repr=False)

    @property
    def model(self) -> RerankingModel | None:
        """The model that is set, if one is."""
        return self.reranker.model if self.reranker else None

    async def is_used(self, session: Session) -> bool:
        """Tell whether questions are put to the model here."""
        return self.reranker is not None and await store.is_used(session, self.reranker.model)

    async def order(
        self,
        db: Database,
        scope: Scope,
        question: str,
        *,
        meaning: Meaning | None = None,
        within: Within | None = None,
        is_measured: bool = False,
        use: Use | None = None,
        witness: Witness | None = None,
    ) -> Order | None:
        """Return the question's best passages, the best one first; None if the model is not used here, does
        not answer in time or the budget is used up: the order stays as it was. Holds no transaction
        meanwhile. The provider is told no personal data that the workspace hides.

        Where it `is_measured` nobody waits: the provider is given its time, and its failure is raised.
        It is the workspace's `use` unless another is named; `witness` is told what it came to.
        """
        if self.reranker is None or not question.strip():
            return None
        if self.clock() < self._rests_until and not is_measured:
            return None
        async with db.session(scope) as session:
            if not await store.is_used(session, self.reranker.model):
                return None
            found = await candidates(session, question, meaning=meaning, within=within)
            masking = await get_masking(session)
        if len(found) < 2:
            return None
        told = hidden([question, *texts_of(found)], masking.kinds)
        ranking = await self._ask(db, use or Use(scope), told, witness, is_measured=is_measured)
        if ranking is None:
            return None
        return Order(tuple(found[place].chunk_id for place in ranking.order), ranking.scores)

    async def _ask(
        self, db: Database, use: Use, told: Sequence[str], witness: Witness | None, *, is_measured: bool
    ) -> Ranking | None:
        """Ask for the order of what is `told`, the question first; None if it does not come in time."""
        assert self.reranker is not None
        asked, *texts = told
        try:
            seconds = MEASURING_SECONDS if is_measured else QUESTION_SECONDS
            ranking = await rank(db, use, self.reranker, asked, texts, deadline=seconds)
        except AppError as error:
            if is_measured:
                raise
            log.warning("question_without_reranking", error=error.code)
            if witness is not None:
                witness.failed("reranking", self.reranker.model.name, error.code)
            if isinstance(error, BudgetExhausted):  # of this workspace, agent or contact alone
                return None
            # What is refused may be this workspace's passages alone: the others' are asked all the same.
            if not isinstance(error, Invalid):
                self._rests_until = self.clock() + REST_SECONDS
            async with db.session(use.scope) as session:
                await store.note_missed(session)
            return None
        async with db.session(use.scope) as session:
            used = await record_usage(session, self.reranker.model, ranking, use.turn_id)
        if witness is not None:
            witness.called("reranking", used)
        return ranking


async def candidates(
    session: Session, question: str, *, meaning: Meaning | None = None, within: Within | None = None
) -> Sequence[Passage]:
    """Return the passages that are put in order, as they are found without that."""
    return await retrieval.candidates(session, question, limit=POOL, meaning=meaning, within=within)


def texts_of(passages: Sequence[Passage]) -> list[str]:
    """Return what the model reads of each passage."""
    return ["\n".join(filter(None, (one.source_title, one.heading, one.content))) for one in passages]


async def rank(
    db: Database, use: Use, reranker: Reranker, question: str, texts: Sequence[str], *, deadline: float
) -> Ranking:
    """Ask for the order within the budgets. Raises BudgetExhausted, and what `Reranker.rerank` raises.

    The question is read with each of the texts.
    """
    tokens = inference.tokens_of(*texts, *([question] * len(texts)))
    names, prices = (reranker.model.name,), reranker.prices
    costs = prices.cost(names, tokens, 0) or 0, prices.cost_of_searches(names, 1) or 0
    most = Amount(max(costs), tokens)
    return await inference.pay(
        db,
        use,
        most,
        lambda: reranker.rerank(question, texts, deadline=deadline),
        lambda ranking: inference.counted(ranking.cost_micro_usd, ranking.tokens, most),
    )


async def record_usage(
    session: Session, model: RerankingModel, ranking: Ranking, turn_id: UUID | None = None
) -> ModelReply:
    """Keep what an order cost, if the provider told it. Returns that."""
    cost = ranking.cost_micro_usd
    used = ModelReply("", model.name, ranking.tokens, 0, ranking.duration_ms, cost_micro_usd=cost)
    if ranking.tokens or cost is not None:
        await inference.record_usage(session, turn_id, used, "reranking")
    return used


async def queue_due(db: Database, model: RerankingModel, *, most: int = MOST_AT_ONCE) -> int:
    """Have the model measured where it is new, or the base has changed notably. Returns how many."""
    async with db.installation() as session:
        due = await store.fetch_due(session, model, PAUSE, most)
    queued = 0
    for org_id in due:
        async with db.session(Scope(org_id, SYSTEM)) as session:
            queued += await _queue(session, model)
    return queued


async def _queue(session: Session, model: RerankingModel) -> bool:
    """Queue a measurement; False if one is queued or under way: each question is paid for."""
    await store.begin(session, model)
    if not await store.queue(session, LOST_AFTER):
        return False
    await session.enqueue(MEASURE_JOB, {})
    return True


async def get_standing(session: Session, model: RerankingModel | None) -> Standing | None:
    """Return what is known of the model that is set; None if none is, or it was not looked at yet."""
    return await store.fetch_standing(session, model) if model else None


async def measure_again(session: Session, model: RerankingModel | None) -> None:
    """Queue a new measurement, unless one waits or is under way. Raises NotFound if no model is set."""
    if model is None:
        raise NotFound("no_reranker", "No reranking model is set.")
    await _queue(session, model)
    await store.want(session)
    await audit.record(session, Entry("reranker.measured", "reranker", model.name))
    await session.publish(LIVE_TOPIC, "changed", {})


async def record_worth(session: Session, model: RerankingModel, worth: Worth) -> None:
    """Use the model from now on, or no longer, as was measured. If another one is set by now nothing is
    known of that: its own measurement may be queued.
    """
    if await store.save_worth(session, model, worth):
        await session.publish(LIVE_TOPIC, "changed", {})
    else:
        await store.let_go(session)


async def fail(session: Session, error_code: str) -> None:
    """Show why it could not be measured; what was measured before counts on."""
    await store.note_failed(session, error_code)
    await session.publish(LIVE_TOPIC, "changed", {})
