"""An index of vectors, what it is worth, and how two lists of passages become one. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from gptagent.features.inference.masking.model import Kind
from gptagent.features.inference.model import EmbeddingModel
from gptagent.features.knowledge.ranks import gained, mrr_of, recall_of

State = Literal["making", "ready", "failed"]

POOL = 50  # passages that each way of finding names before they are joined

# Cormack, Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning
# Methods" (2009): the share of a rank is 1 / (60 + rank).
RRF_RANK = 60

# Weights of the votes of meaning beside those of words, of which the best one in this base is taken.
WEIGHTS = (1.0, 0.5, 0.25)
SAMPLE = 200  # questions that measure it
SAMPLE_MIN = 10  # below that many nothing can be said, and the words are left alone
LOWEST_SHARE = 0.05  # of right passages that are less similar to their question than what counts
LOWEST_SLACK = 0.8  # customers ask in fewer words than a sample does
CHANGED_SHARE = 0.1  # of the base since it was measured: it is measured again
CHANGED_MIN = 10

# What a failed index says: its error code -> an English template, translated where it is shown.
FAILURES: Mapping[str, str] = {
    "embedding_unavailable": "The provider of embeddings does not answer. It is tried again soon.",
    "embedding_unauthorized": "The provider of embeddings does not accept the key.",
    "embedding_rejected": "The provider of embeddings refuses the request. Is the model's name right?",
    "embedding_size": "The model's vectors have another size than was asked for or can be kept.",
    "embedding_malformed": "What the provider of embeddings answers is no vectors.",
    "budget_exhausted": "The budget for AI models is used up. It goes on by itself once there is money.",
    "egress_refused": "The provider's address may not be called from here.",
    "no_pgvector": "The database has no pgvector.",
    "internal": "The passages could not be embedded. It is tried again soon.",
}


@dataclass(frozen=True, slots=True)
class Benefit:
    """What the vectors add, measured with `sample_size` questions: recall@5 and MRR of words, and of both.

    `weight` 0 means that they are not asked. `lowest` is the similarity from which on a passage counts.
    """

    sample_size: int
    recall_words: float
    recall_both: float
    mrr_words: float
    mrr_both: float
    weight: float
    lowest: float

    @property
    def helps(self) -> bool:
        return self.weight > 0


@dataclass(frozen=True, slots=True)
class VectorIndex:
    """`size` is None until the first vectors have come, `ready_at` until it was whole for the first time.

    `error_code` is a key of FAILURES. `claim` fences the jobs that worked on it before. `hidden` are the
    kinds of personal data that the provider was told the passages without, None if that is not known;
    `outdated` says that everything is embedded anew.
    """

    id: UUID
    model: EmbeddingModel
    size: int | None
    ready_at: datetime | None
    error_code: str | None
    claim: int
    tokens: int
    benefit: Benefit | None
    measured_at: datetime | None
    measured_chunks: int
    changed_chunks: int
    measure_wanted: bool
    missed_at: datetime | None
    hidden: tuple[Kind, ...] | None = None
    outdated: bool = False

    @property
    def failure(self) -> str | None:
        """The English template of the reason, for the reader's language."""
        return FAILURES.get(self.error_code, FAILURES["internal"]) if self.error_code else None

    def is_due(self, chunks: int) -> bool:
        """Whether so much of a base of `chunks` passages changed that the measurement says little."""
        if self.benefit is None or self.measure_wanted:
            return True
        removed = max(self.measured_chunks + self.changed_chunks - chunks, 0)
        return self.changed_chunks + removed >= max(CHANGED_MIN, self.measured_chunks * CHANGED_SHARE)


@dataclass(frozen=True, slots=True)
class Meaning:
    """A question's vector in an index that is used, with the weight and the lowest similarity there."""

    index_id: UUID
    vector: Sequence[float]
    weight: float
    lowest: float


@dataclass(frozen=True, slots=True)
class Near:
    """A passage and how similar it is to a question (-1 to 1)."""

    chunk_id: int
    source_id: UUID
    similarity: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How many of the base's passages have a vector in an index."""

    embedded: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What a workspace is told: the index that serves, and the one being built, if there are any."""

    serving: VectorIndex | None
    following: VectorIndex | None
    progress: Progress

    @property
    def shown(self) -> VectorIndex | None:
        """The index whose measurement counts now."""
        return self.serving or self.following

    @property
    def worked_at(self) -> VectorIndex | None:
        """The index that `progress` is of."""
        return self.following or self.serving

    @property
    def state(self) -> State:
        if self.worked_at is not None and self.worked_at.error_code:
            return "failed"
        is_whole = self.following is None and self.serving is not None
        return "ready" if is_whole and self.progress.embedded >= self.progress.chunks else "making"

    @property
    def is_renewed(self) -> bool:
        """Whether another index of the same model is to follow: its texts are told otherwise, or anew."""
        return bool(self.serving and self.following and self.serving.model == self.following.model)

    @property
    def is_used(self) -> bool:
        """Whether questions are put to it."""
        return self.serving is not None and self.serving.benefit is not None and self.serving.benefit.helps


def fuse(by_words: Sequence[int], by_meaning: Sequence[int], weight: float) -> list[int]:
    """Join two lists of passages, each best first, by reciprocal ranks; a tie goes to the words."""
    return list(fused(by_words, by_meaning, weight))


def fused(by_words: Sequence[int], by_meaning: Sequence[int], weight: float) -> dict[int, float]:
    """Return the passages of two lists as `fuse` joins them, each with its share."""
    scores: dict[int, float] = {}
    for share, ranked in ((1.0, by_words), (weight, by_meaning)):
        for rank, chunk_id in enumerate(ranked, start=1):
            scores[chunk_id] = scores.get(chunk_id, 0.0) + share / (RRF_RANK + rank)
    return dict(sorted(scores.items(), key=lambda one: -one[1]))  # stable: words came first


@dataclass(frozen=True, slots=True)
class Trial:
    """A question of the sample: passages by words, by meaning with their similarity, and the right ones."""

    by_words: tuple[int, ...]
    by_meaning: tuple[tuple[int, float], ...]
    right: frozenset[int]

    def rank(self, weight: float, lowest: float) -> int:
        """Return the place (from 1) of the first right passage among those that count; 0 if there is none."""
        near = [chunk_id for chunk_id, similarity in self.by_meaning if similarity >= lowest]
        ranked = fuse(self.by_words, near, weight) if weight else list(self.by_words)
        return next((n for n, chunk_id in enumerate(ranked[:POOL], start=1) if chunk_id in self.right), 0)


def judge(trials: Sequence[Trial]) -> Benefit:
    """Tell what the vectors add. They are used if, at some weight, they make neither measure worse and more
    questions better than worse; the best such weight is taken.
    """
    lowest = _lowest(trials)
    alone = [trial.rank(0, lowest) for trial in trials]
    recall, mrr = recall_of(alone), mrr_of(alone)
    best = Benefit(len(trials), recall, recall, mrr, mrr, 0.0, lowest)
    shown = None
    for weight in WEIGHTS:
        both = [trial.rank(weight, lowest) for trial in trials]
        one = replace(best, recall_both=recall_of(both), mrr_both=mrr_of(both), weight=weight)
        shown = shown or replace(one, weight=0.0)
        is_sound = len(trials) >= SAMPLE_MIN and one.recall_both >= recall and one.mrr_both > mrr
        if is_sound and gained(alone, both) > 0 and _worth(one) > _worth(best):
            best = one
    return best if best.helps else shown or best


def _worth(benefit: Benefit) -> tuple[float, float]:
    return benefit.recall_both, benefit.mrr_both


def _lowest(trials: Sequence[Trial]) -> float:
    """Return the similarity that nearly all right passages reach."""
    reached = sorted(
        max(similarity for chunk_id, similarity in trial.by_meaning if chunk_id in trial.right)
        for trial in trials
        if any(chunk_id in trial.right for chunk_id, _ in trial.by_meaning)
    )
    return reached[int(len(reached) * LOWEST_SHARE)] * LOWEST_SLACK if reached else 0.0
