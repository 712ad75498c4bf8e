"""What a turn did, step by step: gathered by a `Trace` while it runs, kept as an `Explanation`."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from gptagent.features.agents.model import Settings
from gptagent.features.inference.model import ModelReply
from gptagent.features.knowledge.model import Passage

# What the model is told, in this order. What it is told of other things has a name of its own.
BlockKind = Literal[
    "instructions",
    "stage",
    "goal",
    "rules",
    "files",
    "company",
    "deal",
    "contact",
    "memory",
    "passage",
    "no_passages",
    "scripts",
    "script",
    "history",
    "question",
    "other",
]
# What a customer can have erased apart from their conversation is not kept a second time: its size alone.
UNKEPT: frozenset[BlockKind] = frozenset({"memory"})
LONGEST_DETAIL = 2_000  # characters of one argument, result or note


@dataclass(frozen=True, slots=True)
class Gate:
    """A check the turn came to, by its name; one that ended the turn is named by the reason it ended with."""

    name: str
    is_passed: bool = True
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of the prompt. `chars` is its size as it was told; `title` says of what it is, if of something.

    `text` is empty where it is not kept, see UNKEPT.
    """

    kind: BlockKind
    text: str
    title: str = ""
    chars: int = 0

    @classmethod
    def of(cls, kind: BlockKind, text: str, title: str = "") -> "Block":
        return cls(kind, text, title, len(text))

    @property
    def is_kept(self) -> bool:
        return bool(self.text) or not self.chars


@dataclass(frozen=True, slots=True)
class Found:
    """A passage the base gave. `by_words` and `by_meaning` are its places in the two searches, from 1.

    `support` and `coverage` are shares (0-1); `is_related` came along with what was found.
    """

    kind: str
    source_id: UUID
    title: str
    heading: str
    page: int | None
    score: float
    coverage: float
    support: float
    by_words: int | None = None
    by_meaning: int | None = None
    is_related: bool = False


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One question to a model. Tokens are the provider's own count; `error` is the code it failed with."""

    purpose: str
    model: str
    calls: int = 1
    tokens_in: int = 0
    tokens_out: int = 0
    tokens_cached: int = 0
    cost_micro_usd: int | None = None
    duration_ms: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ToolUse:
    """What the model asked to be done. `state`: done, planned, or refused (then `result` says why)."""

    name: str
    arguments: dict[str, Any]
    state: Literal["done", "planned", "refused"]
    result: str = ""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """The fact gate's objection: what had no source in `text`, and how it ended."""

    facts: tuple[str, ...]
    text: str
    outcome: Literal["rewritten", "blocked"]


@dataclass(frozen=True, slots=True)
class Note:
    """What else is to be known: a signal, what was masked, a source that failed. `kind` names it for code."""

    kind: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """How long a part took, and when after the beginning it began; both in milliseconds."""

    name: str
    at_ms: int
    took_ms: int


@dataclass(frozen=True, slots=True)
class Input:
    """What the turn was about, to play it again: messages by number, the deal and contact as they were."""

    connection_id: UUID
    channel: str
    history: tuple[int, ...] = ()
    unanswered: tuple[int, ...] = ()
    lead: dict[str, Any] | None = None
    contact: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """A trace as it is kept. What was written before a field existed has its default."""

    agent_id: UUID | None = None
    agent_name: str = ""
    agent_version: int | None = None
    settings: Settings | None = None
    input: Input | None = None
    gates: tuple[Gate, ...] = ()
    blocks: tuple[Block, ...] = ()
    passages: tuple[Found, ...] = ()
    calls: tuple[ModelCall, ...] = ()
    rewrites: tuple[Rewrite, ...] = ()
    tools: tuple[ToolUse, ...] = ()
    notes: tuple[Note, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def prompt_chars(self) -> int:
        return sum(block.chars for block in self.blocks)

    @property
    def tokens(self) -> tuple[int, int]:
        return sum(one.tokens_in for one in self.calls), sum(one.tokens_out for one in self.calls)

    @property
    def cost_micro_usd(self) -> int | None:
        """Millionths of a US dollar; None as soon as one call has no price."""
        costs = [one.cost_micro_usd for one in self.calls if one.error is None]
        return None if None in costs else sum(cost for cost in costs if cost is not None)


@dataclass(eq=False, slots=True)
class Trace:
    """Gathers what a turn does while it does it. Whoever does something says so here, in a line."""

    agent_id: UUID | None = None
    agent_name: str = ""
    agent_version: int | None = None
    settings: Settings | None = None
    input: Input | None = None
    gates: list[Gate] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    passages: list[Found] = field(default_factory=list)
    calls: list[ModelCall] = field(default_factory=list)
    rewrites: list[Rewrite] = field(default_factory=list)
    tools: list[ToolUse] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def passed(self, *names: str) -> None:
        """Note gates that were open."""
        self.gates += [Gate(name) for name in names]

    def closed(self, reason: str) -> None:
        """Note the gate that was closed, by the reason the turn ends with."""
        self.gates.append(Gate(reason, is_passed=False))

    def told(self, blocks: Sequence[Block]) -> None:
        """Note what a model is asked with, in its order; the last asking is the one that is kept."""
        self.blocks = list(blocks)

    def found(self, passages: Sequence[Passage], related: Sequence[Passage] = ()) -> None:
        self.passages = [
            *(_found(one, is_related=False) for one in passages),
            *(_found(one, is_related=True) for one in related),
        ]

    def called(self, purpose: str, reply: ModelReply) -> None:
        self.calls.append(
            ModelCall(
                purpose,
                reply.model,
                reply.calls,
                reply.tokens_in,
                reply.tokens_out,
                reply.tokens_cached,
                reply.cost_micro_usd,
                reply.duration_ms,
            )
        )

    def failed(self, purpose: str, model: str, error: str) -> None:
        """Note a question to a model that has no answer, by the code of its error."""
        self.calls.append(ModelCall(purpose, model, error=error))

    def rewrote(self, facts: Sequence[str], text: str, outcome: Literal["rewritten", "blocked"]) -> None:
        self.rewrites.append(Rewrite(tuple(facts), text, outcome))

    def used(
        self,
        name: str,
        arguments: Mapping[str, Any],
        state: Literal["done", "planned", "refused"],
        result: str = "",
    ) -> None:
        """Note a tool the model called."""
        self.tools.append(ToolUse(name, dict(arguments), state, result[:LONGEST_DETAIL]))

    def note(self, kind: str, detail: str = "") -> None:
        self.notes.append(Note(kind, detail[:LONGEST_DETAIL]))

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Note how long the block took, also if it fails."""
        begin = time.monotonic()
        try:
            yield
        finally:
            now = time.monotonic()
            self.steps.append(Step(name, _ms(begin - self.began), _ms(now - begin)))

    def explanation(self) -> Explanation:
        """Return what is kept of it."""
        return Explanation(
            agent_id=self.agent_id,
            agent_name=self.agent_name,
            agent_version=self.agent_version,
            settings=self.settings,
            input=self.input,
            gates=tuple(self.gates),
            blocks=tuple(_kept(one) for one in self.blocks),
            passages=tuple(self.passages),
            calls=tuple(self.calls),
            rewrites=tuple(self.rewrites),
            tools=tuple(self.tools),
            notes=tuple(self.notes),
            steps=tuple(self.steps),
        )


def _kept(block: Block) -> Block:
    return Block(block.kind, "", block.title, block.chars) if block.kind in UNKEPT else block


def _found(one: Passage, *, is_related: bool) -> Found:
    return Found(
        one.source_kind,
        one.source_id,
        one.source_title,
        one.heading,
        one.page,
        round(one.score, 4),
        round(one.coverage, 4),
        round(one.support, 4),
        one.by_words,
        one.by_meaning,
        is_related,
    )


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
