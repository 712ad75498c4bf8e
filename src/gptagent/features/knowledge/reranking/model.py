"""What a reranking model is worth in a base. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gptagent.features.knowledge.vectors.model import FAILURES as EMBEDDING_FAILURES

POOL = 30  # passages put in order: a provider's time and price grow with them
SAMPLE = 100  # questions that measure it
SAMPLE_MIN = 10  # below that many nothing can be said, and the order stays as it is
MEASURED_AT = 5  # passages that are given to an answer

# Why it could not be measured: its error code -> an English template, translated where it is shown.
FAILURES: Mapping[str, str] = {
    **EMBEDDING_FAILURES,
    "reranker_unavailable": "The reranking provider does not answer. It is tried again soon.",
    "reranker_unauthorized": "The reranking provider does not accept the key.",
    "reranker_rejected": "The reranking provider refuses the request. Is the model's name right?",
    "reranker_malformed": "What the reranking provider answers is no order.",
    "budget_exhausted": "The budget for AI models is used up. It goes on by itself once there is money.",
    "egress_refused": "The provider's address may not be called from here.",
    "internal": "It could not be measured. It is tried again soon.",
}


@dataclass(frozen=True, slots=True)
class Worth:
    """Recall@5 and mean reciprocal rank of the same questions without the model and with it.

    `helps` tells whether it is asked: neither got worse, and more questions find a right passage earlier
    than later. `refused` questions the model would not take; they are not in the sample.
    """

    sample_size: int
    recall_before: float
    recall_after: float
    mrr_before: float
    mrr_after: float
    helps: bool
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What a workspace knows of its reranking model. `error_code` is a key of FAILURES.

    `missed_at`: when a question was last answered in the order as found, for the provider did not answer in
    time.
    """

    base_url: str
    model: str
    worth: Worth | None
    measured_at: datetime | None
    error_code: str | None
    missed_at: datetime | None

    @property
    def failure(self) -> str | None:
        """The English template of the reason, for the reader's language."""
        return FAILURES.get(self.error_code, FAILURES["internal"]) if self.error_code else None


@dataclass(frozen=True, slots=True)
class Order:
    """Passages as the model has put them, the best one first; `scores` are its own, of the first ones."""

    chunk_ids: tuple[int, ...]
    scores: tuple[float, ...] = ()

    @property
    def relevance(self) -> dict[int, float]:
        return dict(zip(self.chunk_ids, self.scores, strict=False))


def judge(before: Sequence[int], after: Sequence[int], refused: int = 0) -> Worth:
    """Tell what the model adds, from the place of each question's first right passage (from 1; 0 is none)."""
    recalls, mrrs = [_recall(ranks) for ranks in (before, after)], [_mrr(ranks) for ranks in (before, after)]
    gained = sum(
        (_reciprocal(new) > _reciprocal(old)) - (_reciprocal(new) < _reciprocal(old))
        for old, new in zip(before, after, strict=True)
    )
    is_sound = len(before) >= SAMPLE_MIN and recalls[1] >= recalls[0] and mrrs[1] > mrrs[0]
    return Worth(len(before), recalls[0], recalls[1], mrrs[0], mrrs[1], is_sound and gained > 0, refused)


def reordered(found: Sequence[int], order: Sequence[int]) -> list[int]:
    """Return the passages as the model has put them; those it has not seen follow as they were."""
    places = {chunk_id: place for place, chunk_id in enumerate(order)}
    return sorted(found, key=lambda chunk_id: places.get(chunk_id, len(places)))  # stable


def _recall(ranks: Sequence[int]) -> float:
    return sum(0 < rank <= MEASURED_AT for rank in ranks) / max(len(ranks), 1)


def _mrr(ranks: Sequence[int]) -> float:
    return sum(map(_reciprocal, ranks)) / max(len(ranks), 1)


def _reciprocal(rank: int) -> float:
    return 1 / rank if rank else 0.0
