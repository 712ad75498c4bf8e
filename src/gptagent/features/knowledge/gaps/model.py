"""What customers asked and what the base had for it; when two questions are about the same."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal
from uuid import UUID

from gptagent.features.knowledge.lexical import covered_share
from gptagent.features.knowledge.staging.model import At, StageKey

Kind = Literal["found", "weak", "not_found"]
Status = Literal["open", "dismissed", "answered"]
View = Literal["open", "not_found", "weak", "dismissed", "done"]
VIEWS: tuple[View, ...] = ("open", "not_found", "weak", "dismissed", "done")

QUESTION_MAX_CHARS = 500
# Between the refusal (0) and full support (1): an answer whose best passage answers less of the question than
# this counts as weak. With a refusal at 0.5 that is below 0.65.
WEAK_MARGIN = 0.3
# Two questions with more of their weighted words in common are about the same. At one half "what does
# delivery cost" and "what does repair cost" would be, in a base that knows neither word.
SAME_OVERLAP = 0.55
PERIODS = (7, 30, 90)  # days


@dataclass(frozen=True, slots=True)
class Asked:
    """A turn that ended. `customer` tells customers apart; `names` are those of the person who asked.

    `support` (0-1) is how far its best passage answers the question. `categories` are the part of the base it
    was asked of, None for all of it; `at` is where the deal was, None if that is not known.
    """

    turn_id: UUID
    conversation_id: UUID
    customer: UUID
    question: str = field(repr=False)
    is_answered: bool
    support: float
    asked_at: datetime
    names: tuple[str, ...] = field(default=(), repr=False)
    categories: tuple[UUID, ...] | None = None
    at: At | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """One that was asked, of these `categories` or (None) of the whole base, `at` a stage if that is known.

    `text` is without the names and numbers of people.
    """

    turn_id: UUID
    conversation_id: UUID
    kind: Kind
    support: float
    text: str = field(repr=False)
    asked_at: datetime
    categories: tuple[UUID, ...] | None
    at: At | None

    @property
    def stage(self) -> StageKey | None:
        return self.at.stage if self.at else None

    @property
    def is_without_deal(self) -> bool:
        return self.at is not None and self.at.stage is None


@dataclass(frozen=True, slots=True)
class Gap:
    """Questions about the same. `title` is the first; `article_id` was written for them, or answers them.

    `stages` are those at which they were asked, as far as that is known.
    """

    id: UUID
    title: str = field(repr=False)
    status: Status
    article_id: UUID | None
    article_title: str | None
    questions: int
    not_found: int
    weak: int
    customers: int
    stages: tuple[StageKey, ...]
    last_asked_at: datetime
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Share:
    """How many questions of a day (UTC) were found, weakly found, not found."""

    day: date
    found: int
    weak: int
    not_found: int

    @property
    def total(self) -> int:
        return self.found + self.weak + self.not_found


def kind_of(*, is_answered: bool, support: float, refusal: float) -> Kind:
    """Return what became of a question. `refusal` is the support below which the base has no answer."""
    if not is_answered:
        return "not_found"
    return "weak" if support < full_support(refusal) else "found"


def full_support(refusal: float) -> float:
    """Return the support from which on an answer is no weak one."""
    return refusal + WEAK_MARGIN * (1 - refusal)


def needed_support(kind: Kind, refusal: float) -> float:
    """Return the support with which a question of this kind counts as answered: with more than it had."""
    return full_support(refusal) if kind == "weak" else refusal


def overlap(weights: Mapping[str, float], one: Collection[str], other: Collection[str]) -> float:
    """Return the share (0-1) of the weighted words of both that the other has as well, kin in part."""
    ours = {word: weights[word] for word in one}
    theirs = {word: weights[word] for word in other}
    own, their = sum(ours.values()), sum(theirs.values())
    if not own + their:
        return 0.0
    return (covered_share(ours, other) * own + covered_share(theirs, one) * their) / (own + their)


def nearest(
    weights: Mapping[str, float], words: Collection[str], gaps: Mapping[UUID, Collection[str]]
) -> UUID | None:
    """Return the gap whose words are most like these, the older of equals; None if none is about the same."""
    scored = [(overlap(weights, words, own), gap_id) for gap_id, own in gaps.items()]
    near = [(-score, gap_id) for score, gap_id in scored if score >= SAME_OVERLAP]
    return min(near)[1] if near else None


def sums(days: Collection[Share], first: date, last: date) -> Share:
    """Return what became of the questions from one day to another, both included; `day` is the first."""
    chosen = [one for one in days if first <= one.day <= last]
    return Share(
        first,
        sum(one.found for one in chosen),
        sum(one.weak for one in chosen),
        sum(one.not_found for one in chosen),
    )
