"""A real turn beside how it would be answered now. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from typing import Any, Literal
from uuid import UUID

from gptagent.features.conversations.model import Message
from gptagent.features.dialog.model import Outcome
from gptagent.features.dialog.scenario_runs.model import Cost, Rehearsed, Verdict
from gptagent.features.dialog.scenarios.judging import words_of

SAME_FROM = 0.85  # of the words of two answers, in common; and no figure that only one of them has
DIFFED_WORDS_MAX = 600  # of an answer; longer ones stand side by side
_PIECE = re.compile(r"\s*\S+")
_FIGURE = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Original:
    """A turn as it was: the messages before, those it answered, and what it said."""

    turn_id: UUID
    conversation_id: UUID
    connection_id: UUID
    channel: str
    lead_id: int | None
    contact_id: int | None
    customer_name: str
    outcome: Outcome
    text: str
    history: tuple[Message, ...]
    question: str
    lead: dict[str, Any] | None = None
    contact: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class NowSaid:
    """What is kept of an answer given anew; `error` is the code of what kept the model from answering."""

    text: str
    outcome: Outcome | None
    reason: str | None = None
    sources: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    conversation_id: UUID
    verdict: Verdict
    now: NowSaid


@dataclass(frozen=True, slots=True)
class Replayed:
    """`question`, `then_text` and `then_outcome` are the conversation's and the turn's own.

    `then_cost` is what the turn used, if its models had a price and were asked.
    """

    turn_id: UUID
    conversation_id: UUID
    verdict: Verdict
    question: str
    then_text: str
    then_outcome: Outcome
    then_sources: tuple[str, ...]
    then_cost_micro_usd: int | None
    now: NowSaid
    cost: Cost
    asked_at: datetime
    created_at: datetime

    @property
    def pieces(self) -> list["Piece"]:
        return pieces_of(self.then_text, self.now.text)


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of words that both answers have, or that only the earlier or the new one has."""

    kind: Literal["both", "gone", "new"]
    text: str


def verdict_of(outcome: Outcome, text: str, now: Rehearsed) -> Verdict:
    """Return what became of an answer."""
    if (outcome, now.outcome) == ("not_found", "reply"):
        return "now_answered"
    if (outcome, now.outcome) == ("reply", "not_found"):
        return "now_not_found"
    return "same" if outcome == now.outcome and is_same(text, now.text) else "differs"


def is_same(one: str, other: str) -> bool:
    """Tell whether two answers say the same, as far as their words and figures tell it."""
    ours, theirs = words_of(one), words_of(other)
    if ours == theirs:
        return True
    if {word for word in ours if _FIGURE.search(word)} != {word for word in theirs if _FIGURE.search(word)}:
        return False
    left = list(theirs)
    shared = 0
    for word in ours:
        if word in left:
            left.remove(word)
            shared += 1
    return 2 * shared >= SAME_FROM * (len(ours) + len(theirs))


def pieces_of(then: str, now: str) -> list[Piece]:
    """Return both texts as one, with what is gone and what is new marked, word by word."""
    ours, theirs = _PIECE.findall(then), _PIECE.findall(now)
    if max(len(ours), len(theirs)) > DIFFED_WORDS_MAX:
        return [Piece("gone", then), Piece("new", now)]
    found: list[Piece] = []
    matcher = SequenceMatcher(None, [one.strip() for one in ours], [one.strip() for one in theirs], False)
    for kind, begin, end, other_begin, other_end in matcher.get_opcodes():
        if kind == "equal":
            found.append(Piece("both", "".join(theirs[other_begin:other_end])))
            continue
        if begin < end:
            found.append(Piece("gone", "".join(ours[begin:end])))
        if other_begin < other_end:
            found.append(Piece("new", "".join(theirs[other_begin:other_end])))
    return found
