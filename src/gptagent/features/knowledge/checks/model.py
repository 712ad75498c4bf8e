"""What a check of a base knows and finds."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

SourceKind = Literal["article", "document", "company_facts"]
FindingKind = Literal["contradiction", "past_date", "old_price"]
CheckState = Literal["queued", "running", "done", "failed"]
Shown = Literal["contradictions", "stale", "dismissed"]
SHOWN: tuple[Shown, ...] = ("contradictions", "stale", "dismissed")

# How each unit is told to a reader, where its own sign does not do; translated where it is shown.
DATE, TIME = "date", "time"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a sentence stands; a fact that an earlier release found has no id."""

    kind: SourceKind
    id: UUID | None


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence's numbers of one unit. `subject` is the sentence without them, or what stands above it.

    An amount is all that it may mean, with bars between: 1,500 is `1500|1.5`. `promises`: it says until when
    something holds.
    """

    sentence: str
    unit: str
    amounts: tuple[str, ...]
    subject: str
    promises: bool


@dataclass(frozen=True, slots=True)
class Statement:
    """What is compared. `words` are the lexemes of the subject, each once; `stages` are those of a deal
    at which it is given, and `agents` those to whom, None for all.
    """

    id: int
    source: Source
    unit: str
    amounts: tuple[str, ...]
    words: tuple[str, ...]
    promises: bool
    stages: frozenset[str] | None = None
    agents: frozenset[UUID] | None = None

    def meets(self, other: "Statement") -> bool:
        """Whether the two are given at a stage in common, and to an agent."""
        return _meet(self.stages, other.stages) and _meet(self.agents, other.agents)


def _meet(ones: frozenset[Any] | None, others: frozenset[Any] | None) -> bool:
    """Tell whether two have something in common; None is all, nothing meets none."""
    if ones is None or others is None:
        return frozenset() not in {ones, others}
    return not ones.isdisjoint(others)


@dataclass(frozen=True, slots=True)
class Hit:
    """Statements by their ids. `rank` (0-1) is how much of their subjects two share."""

    kind: FindingKind
    rank: float
    statement: int
    other: int | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One sentence of a finding, as it stands in its source, which changed last at `changed_at`.

    `url` is where a site's page lies.
    """

    source: Source
    title: str
    sentence: str
    amounts: tuple[str, ...]
    changed_at: datetime | None
    url: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """A contradiction has two sides, what is stale one."""

    id: UUID
    kind: FindingKind
    unit: str
    side: Side
    other: Side | None
    is_dismissed: bool
    found_at: datetime


@dataclass(frozen=True, slots=True)
class Check:
    """The latest check. `left_out` counts what was beyond the bounds of one check."""

    state: CheckState
    asked_at: datetime
    ended_at: datetime | None
    passages: int
    passages_read: int
    statements: int
    left_out: int

    @property
    def is_going_on(self) -> bool:
        return self.state in {"queued", "running"}

    @property
    def progress(self) -> int:
        """Per cent of the passages that are read."""
        return 100 * self.passages_read // self.passages if self.passages else 0


Changed = Mapping[Source, datetime]
