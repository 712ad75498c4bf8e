"""A run: what is answered, how far it is, what it came to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, get_args
from uuid import UUID

from gptagent.features.agents.model import Agent, Settings
from gptagent.features.conversations.model import Message
from gptagent.features.dialog.model import Outcome, Source
from gptagent.features.dialog.scenarios.model import Failure, Play, Reply, Where
from gptagent.kernel.errors import UpstreamUnavailable

Kind = Literal["scenarios", "replay"]
Target = Literal["draft", "published"]
TARGETS: tuple[Target, ...] = get_args(Target)
# `stopped`: its budget is used up. Only a run that is done can have passed.
State = Literal["queued", "running", "done", "stopped", "cancelled", "failed"]
Verdict = Literal["same", "differs", "now_not_found", "now_answered", "failed"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

MICRO = 1_000_000  # of a US dollar
BUDGET_MICRO_USD = 1 * MICRO
BUDGET_MAX_MICRO_USD = 100 * MICRO
# Where a model has no known price its tokens are counted as this, so that every run has an end.
UNPRICED_MICRO_USD_PER_TOKEN = Decimal("0.5")
RUNS_KEPT = 50  # of an agent
REPLAY_DAYS_MAX = 28
REPLAY_TURNS_MAX = 50
LOST_AFTER = timedelta(minutes=20)  # a run that has not moved for so long has lost its worker for good


@dataclass(frozen=True, slots=True)
class Wanted:
    """One message to be answered without any effect, in a talk so far.

    Deal and contact are the mirror's by their numbers, or `lead` and `contact` as a turn has frozen them.
    """

    agent: Agent
    history: tuple[Message, ...]
    text: str
    where: Where = field(default_factory=Where)
    lead_id: int | None = None
    contact_id: int | None = None
    customer_name: str = ""
    lead: Mapping[str, Any] | None = None
    contact: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """`micro_usd` is None where a call has no known price."""

    micro_usd: int | None = 0
    tokens_in: int = 0
    tokens_out: int = 0
    millis: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        known = self.micro_usd is not None and other.micro_usd is not None
        return Cost(
            (self.micro_usd or 0) + (other.micro_usd or 0) if known else None,
            self.tokens_in + other.tokens_in,
            self.tokens_out + other.tokens_out,
            self.millis + other.millis,
        )

    @property
    def weight(self) -> int:
        """What it counts for a budget, in millionths of a US dollar."""
        if self.micro_usd is not None:
            return self.micro_usd
        return int((self.tokens_in + self.tokens_out) * UNPRICED_MICRO_USD_PER_TOKEN)


class Unanswered(UpstreamUnavailable):
    """The model was away; `cost` is what was used all the same."""

    def __init__(self, cost: Cost) -> None:
        super().__init__("llm_unavailable", "The model does not answer.")
        self.cost = cost


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """How the agent would have answered. `actions` and `fields` are planned, nothing of them is done.

    Where it works in another channel or at other stages the outcome is `refused`, and nothing is said.
    """

    text: str
    outcome: Outcome
    reason: str | None = None
    sources: tuple[Source, ...] = ()
    actions: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    cost: Cost = field(default_factory=Cost)

    @property
    def reply(self) -> Reply:
        titles = tuple(source.title for source in self.sources)
        return Reply(self.text, self.outcome, self.actions, self.fields, titles)


@dataclass(frozen=True, slots=True)
class Planned:
    """A scenario as it was when the run was asked for."""

    id: UUID
    version: int
    name: str
    play: Play


@dataclass(frozen=True, slots=True)
class Run:
    """`total`, `done` and `passed` count attempts, or turns. `weight`: what counts for the budget so far.

    `left_out` of a replay that has ended: turns that were erased before they were answered anew.
    `cost_micro_usd` is only a part of the cost unless `is_priced`.
    """

    id: UUID
    kind: Kind
    agent_id: UUID
    target: Target
    fingerprint: str
    suite_fingerprint: str
    is_whole: bool
    since: datetime | None
    until: datetime | None
    repeats: int
    state: State
    total: int
    done: int
    passed: int
    budget_micro_usd: int
    cost_micro_usd: int
    is_priced: bool
    tokens_in: int
    tokens_out: int
    asked_at: datetime
    began_at: datetime | None
    ended_at: datetime | None

    @property
    def is_going_on(self) -> bool:
        return self.state in {"queued", "running"}

    @property
    def left_out(self) -> int:
        return self.total - self.done if self.kind == "replay" and self.state == "done" else 0

    @property
    def is_passed(self) -> bool:
        """pass^k: every scenario passed every time."""
        return self.kind == "scenarios" and self.state == "done" and self.passed == self.total

    @property
    def weight(self) -> int:
        if self.is_priced:
            return self.cost_micro_usd
        return Cost(None, self.tokens_in, self.tokens_out).weight

    @property
    def progress(self) -> int:
        """Per cent."""
        return 100 * self.done // self.total if self.total else 100


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker needs of a run it has taken."""

    run: Run
    claim: int
    agent: Agent
    suite: tuple[Planned, ...]
    turns: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a transcript; what is beside the text is the agent's only."""

    author: Literal["customer", "agent"]
    text: str
    outcome: Outcome | None = None
    reason: str | None = None
    actions: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    position: int
    number: int
    is_passed: bool
    failures: tuple[Failure, ...]
    transcript: tuple[Line, ...]
    cost: Cost = field(default_factory=Cost)


@dataclass(frozen=True, slots=True)
class Tally:
    """A scenario of a run. `passed` of `tried` attempts did; it has passed if all `repeats` did."""

    position: int
    scenario_id: UUID
    name: str
    repeats: int
    tried: int
    passed: int
    attempts: tuple[Attempt, ...] = ()

    @property
    def is_passed(self) -> bool:
        return self.passed == self.repeats

    @property
    def is_failed(self) -> bool:
        return self.passed < self.tried


@dataclass(frozen=True, slots=True)
class Candidate:
    """The agent as it would be run, and a name for exactly these settings."""

    agent: Agent
    fingerprint: str

    @property
    def settings(self) -> Settings:
        return self.agent.settings


# Why publishing waits, to be translated and filled; the keys are the reasons of `scenarios_not_passed`.
REASONS: Mapping[str, str] = {
    "none": "There are no scenarios yet that it could pass.",
    "never": "Its scenarios were not run against this draft yet. Save it as a draft and run them.",
    "changed": "The draft or its scenarios changed since the latest run.",
    "few": "The latest run tried each scenario {repeats} times; {wanted} are asked for.",
    "going_on": "A run against this draft is still going on.",
    "failed": "In the latest run against this draft {passed} of {total} attempts passed.",
    "unfinished": "The latest run against this draft was not carried to its end.",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: str
    params: Mapping[str, object] = field(default_factory=dict)
    run_id: UUID | None = None

    @property
    def sentence(self) -> str:
        return REASONS[self.reason]
