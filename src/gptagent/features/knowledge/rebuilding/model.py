"""What a base finds before its search was made anew, and after. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gptagent.features.knowledge.ranks import mrr_of, recall_of

Way = Literal["words", "meaning", "fused"]
Verdict = Literal["kept", "more", "less"]

# How much less recall@5 and MRR may be. The words are counted and come out the same; a provider's vectors
# are not the same to the last digit from one request to the next.
TOLERANCE: dict[Way, float] = {"words": 0.0, "meaning": 0.01, "fused": 0.01}


@dataclass(frozen=True, slots=True)
class Found:
    """How many of so many questions find a right passage among the first five, and their mean 1 / rank."""

    asked: int
    recall: float
    mrr: float

    @classmethod
    def of(cls, ranks: Sequence[int]) -> "Found":
        """Of the places of the first right passages, from 1; 0: none was found."""
        return cls(len(ranks), recall_of(ranks), mrr_of(ranks))


@dataclass(frozen=True, slots=True)
class Leg:
    """What one way of finding found before, and after."""

    way: Way
    before: Found
    after: Found

    @property
    def verdict(self) -> Verdict:
        """Whether as much is found, more (then what is kept was not good), or less than is tolerated."""
        gains = (self.after.recall - self.before.recall, self.after.mrr - self.before.mrr)
        if min(gains) < -TOLERANCE[self.way]:
            return "less"
        return "more" if max(gains) > TOLERANCE[self.way] else "kept"


@dataclass(frozen=True, slots=True)
class Proof:
    """What each way of finding found before and after; words are always among them.

    `unproved` is the English reason why nothing is told of the vectors of a base that has some; None if they
    were asked, or there are none that serve.
    """

    legs: tuple[Leg, ...]
    unproved: str | None = None

    @property
    def words(self) -> Leg:
        return self.legs[0]

    @property
    def is_kept(self) -> bool:
        """Whether nothing that was asked finds less."""
        return all(leg.verdict != "less" for leg in self.legs)
