"""What is remembered of a customer, what is alike in it, and what of it a turn is told."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, get_args
from uuid import UUID

Kind = Literal["fact", "preference", "commitment", "context"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MemoryAuthor = Literal["model", "pattern", "person"]

TEXT_MAX_CHARS = 300
TOPIC_MAX_CHARS = 80
KEPT_MAX = 100  # of one customer; the oldest that no person wrote goes
TOLD_MAX = 20  # to the model with one question
TOLD_MAX_CHARS = 1_500  # they are paid for with every answer
ALWAYS_TOLD = frozenset({"name"})
SAME_SHARE = 0.75  # of the words in common, from which two are one
STEM_CHARS = 5  # endings do not count
STEM_MIN_CHARS = 3

WORDS = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Found:
    """What a message says. `quote` are the customer's own words in it; `expires_on` is the last day."""

    kind: Kind
    topic: str
    text: str
    quote: str
    confidence: float
    seq: int
    said_at: datetime
    expires_on: date | None = None
    replaces: UUID | None = None


@dataclass(frozen=True, slots=True)
class NewMemory:
    """What a person writes. `expires_on` is the last day; None leaves it to the workspace's period."""

    kind: Kind
    text: str
    expires_on: date | None = None


@dataclass(frozen=True, slots=True)
class Memory:
    """One thing that is remembered, from the message `seq` of its conversation, or written by a person.

    `said_at` is when it was said, or when a person last wrote it. `expires_on` is the last day, by its own
    date or the workspace's period, whichever is sooner.
    """

    id: UUID
    conversation_id: UUID
    seq: int | None
    kind: Kind
    topic: str
    text: str
    quote: str
    confidence: float
    author: MemoryAuthor
    said_at: datetime
    expires_on: date | None
    version: int
    created_at: datetime
    updated_at: datetime

    @property
    def own_words(self) -> str:
        """What may vouch for a reply: what the customer said, or a person of the company wrote."""
        return self.text if self.author == "person" else self.quote


@dataclass(frozen=True, slots=True)
class Reading:
    """How far a conversation has been read. `error_code`: why the last was by patterns only."""

    read_seq: int = 0
    error_code: str | None = None


def stems(text: str) -> frozenset[str]:
    """Return the beginnings of the words: two forms of a word mostly share theirs."""
    found = WORDS.findall(text.casefold().replace("ё", "е"))
    return frozenset(word[:STEM_CHARS] for word in found if len(word) >= STEM_MIN_CHARS or word.isdigit())


def topic_of_text(text: str) -> str:
    """Return what tells a text without a topic from others."""
    return " ".join(sorted(stems(text)))[:TOPIC_MAX_CHARS] or text[:TOPIC_MAX_CHARS]


def known_as(found: Found, known: Iterable[Memory]) -> Memory | None:
    """Return what is remembered already of this: the same topic, or nearly the same words."""
    kept = list(known)
    if found.replaces is not None:
        return next((one for one in kept if one.id == found.replaces), None)
    alike = [one for one in kept if one.kind == found.kind]
    named = next((one for one in alike if one.topic == found.topic), None)
    return named or next((one for one in alike if _is_same(one.text, found.text)), None)


def _is_same(one: str, other: str) -> bool:
    mine, theirs = stems(one), stems(other)
    shared = len(mine & theirs)
    return bool(shared) and shared / len(mine | theirs) >= SAME_SHARE


def told(memories: Sequence[Memory], question: str) -> tuple[Memory, ...]:
    """Return what a turn is told: the name, then what shares words with the question, then the newest."""
    asked = stems(question)

    def weight(one: Memory) -> tuple[bool, int, float, datetime]:
        shared = len(asked & stems(f"{one.topic} {one.text} {one.quote}"))
        return (one.topic in ALWAYS_TOLD, shared, one.said_at.timestamp(), one.updated_at)

    chosen: list[Memory] = []
    room = TOLD_MAX_CHARS
    for one in sorted(memories, key=weight, reverse=True)[:TOLD_MAX]:
        room -= len(one.text)
        if room < 0:
            break
        chosen.append(one)
    return tuple(chosen)
