"""From which support on a base answers, told by its questions. Pure.

docs/decisions/0015-calibrated-refusal.md says why.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from gptagent.features.knowledge.answering import REFUSAL_SUPPORT
from gptagent.features.knowledge.reranking.model import FAILURES as RERANKING_FAILURES
from gptagent.features.knowledge.vectors.model import FAILURES as EMBEDDING_FAILURES

SAMPLE_MAX = 200  # questions of one run
SAMPLE_MIN = 20  # fewer tell too little: the base keeps the threshold that holds for all
FALSE_ANSWERS_MAX = 0.05
ANSWERED_MIN = 0.85

# A base's own questions are asked without one passage while others on its subject stay, so more of them are
# answered falsely than of questions about something else: 0.10 and 0.12 (en, ru) where of those it is 0.04.
OWN_FALSE_ANSWERS_MAX = 0.125

# Saved questions are what customers ask. A base's own are easier to answer than theirs, so what these tell
# may move the threshold by little only.
SAVED_BOUNDS = (0.26, 0.56)
OWN_BOUNDS = (0.34, 0.42)
STEP = 0.01


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a question fared. `rank` of the first expected passage from 1, 0 if it was not found.

    `present` and `removed` are the best support with the expected passages there and taken out.
    """

    question: str
    rank: int
    present: float
    removed: float

    def is_answered(self, threshold: float) -> bool:
        """Tell whether it was found and would be answered."""
        return self.rank > 0 and self.present >= threshold


@dataclass(frozen=True, slots=True)
class Figures:
    """Shares (0-1) of the questions. `mrr` is the mean of 1/rank."""

    recall_1: float = 0.0
    recall_5: float = 0.0
    mrr: float = 0.0
    answered: float = 0.0
    false_answers: float = 0.0


RunState = Literal["queued", "done", "failed"]


# Why a run came to nothing: its error code -> an English template, translated where it is shown.
FAILURES: Mapping[str, str] = {
    **EMBEDDING_FAILURES,
    **RERANKING_FAILURES,
    "ways_changed": "What the base is searched by changed meanwhile. Run it again.",
    "internal": "The base could not be measured. Run it again.",
}


@dataclass(frozen=True, slots=True)
class Run:
    """`legs` are the ways by which its questions were asked, all of them as a turn asks: words, other names
    (graph), meaning, reranking. `error_code` says why one failed.
    """

    id: UUID
    state: RunState
    is_saved: bool
    questions: int
    threshold: float
    figures: Figures
    results: tuple[Outcome, ...]
    created_at: datetime
    ended_at: datetime | None
    legs: tuple[str, ...] = ("words",)
    error_code: str | None = None

    @property
    def failure(self) -> str | None:
        """The English template of why it came to nothing, for the reader's language."""
        return FAILURES.get(self.error_code or "", FAILURES["internal"]) if self.state == "failed" else None

    @property
    def failing(self) -> list[Outcome]:
        """The questions that would not be answered from where they should."""
        return [one for one in self.results if not one.is_answered(self.threshold)]


@dataclass(frozen=True, slots=True)
class Difference:
    """Questions of two runs that are answered in one of them only."""

    better: tuple[str, ...]
    worse: tuple[str, ...]


def choose_threshold(outcomes: Sequence[Outcome], *, is_saved: bool) -> float:
    """Return the support nearest to the usual one at which both promises hold, else the best trade-off."""
    if len(outcomes) < SAMPLE_MIN:
        return REFUSAL_SUPPORT
    low, high = SAVED_BOUNDS if is_saved else OWN_BOUNDS
    steps = [round(low + n * STEP, 2) for n in range(round((high - low) / STEP) + 1)]
    most = FALSE_ANSWERS_MAX if is_saved else OWN_FALSE_ANSWERS_MAX
    nearest = sorted(steps, key=lambda step: abs(step - REFUSAL_SUPPORT))
    for step in nearest:
        if _false(outcomes, step) <= most and _answered(outcomes, step) >= ANSWERED_MIN:
            return step
    return max(nearest, key=lambda step: _answered(outcomes, step) - _false(outcomes, step))


def figures_of(outcomes: Sequence[Outcome], threshold: float) -> Figures:
    """Return what a run came to."""
    count = len(outcomes)
    if not count:
        return Figures()
    return Figures(
        recall_1=sum(one.rank == 1 for one in outcomes) / count,
        recall_5=sum(1 <= one.rank <= 5 for one in outcomes) / count,
        mrr=sum(1 / one.rank for one in outcomes if one.rank) / count,
        answered=_answered(outcomes, threshold),
        false_answers=_false(outcomes, threshold),
    )


def compare(before: Run, after: Run) -> Difference:
    """Tell which of the questions that both were asked fare better now, and which worse."""
    old = {one.question: one.is_answered(before.threshold) for one in before.results}
    new = {one.question: one.is_answered(after.threshold) for one in after.results}
    both = [question for question in new if question in old]
    return Difference(
        better=tuple(question for question in both if new[question] and not old[question]),
        worse=tuple(question for question in both if old[question] and not new[question]),
    )


def _answered(outcomes: Sequence[Outcome], threshold: float) -> float:
    return sum(one.present >= threshold for one in outcomes) / len(outcomes)


def _false(outcomes: Sequence[Outcome], threshold: float) -> float:
    return sum(one.removed >= threshold for one in outcomes) / len(outcomes)
