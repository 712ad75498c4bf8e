"""What the graph's names add to the search of a base, and when that is enough to use them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gptagent.features.knowledge.ranks import gained, mrr_of, recall_of
from gptagent.features.knowledge.vectors.model import SAMPLE_MIN


@dataclass(frozen=True, slots=True)
class Trial:
    """The place (from 1, 0: none) of a question's first right passage without other names and with them.

    `is_named` tells whether the question calls something by one of several names.
    """

    is_named: bool
    without: int
    with_names: int


@dataclass(frozen=True, slots=True)
class Benefit:
    """Recall@5 and MRR of `sample_size` questions without the names and with them; `named` of them hold one.

    If none does, nothing is asked and all four are 0.
    """

    is_used: bool
    sample_size: int
    named: int
    recall_without: float
    recall_with: float
    mrr_without: float
    mrr_with: float


@dataclass(frozen=True, slots=True)
class GraphUse:
    """What the names were measured to add (None: never measured), when, and whether it is about to be.

    `failed_at` is when the last measurement failed, None if it did not.
    """

    benefit: Benefit | None = None
    measured_at: datetime | None = None
    is_queued: bool = False
    failed_at: datetime | None = None

    @property
    def is_used(self) -> bool:
        return self.benefit is not None and self.benefit.is_used


def judge(trials: Sequence[Trial]) -> Benefit:
    """Tell what the names add. They are used if they make neither measure worse, the mean reciprocal rank
    better, and more questions better than worse.
    """
    without = [trial.without for trial in trials]
    both = [trial.with_names for trial in trials]
    is_used = (
        len(trials) >= SAMPLE_MIN
        and recall_of(both) >= recall_of(without)
        and mrr_of(both) > mrr_of(without)
        and gained(without, both) > 0
    )
    named = sum(trial.is_named for trial in trials)
    return Benefit(
        is_used, len(trials), named, recall_of(without), recall_of(both), mrr_of(without), mrr_of(both)
    )
