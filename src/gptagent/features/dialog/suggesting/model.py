"""A suggested reply, and what it answers. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from gptagent.features.conversations.model import Message
from gptagent.features.dialog.model import Answer

SuggestionState = Literal["pending", "ready", "none", "failed"]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """It answers what was said up to `upto_seq`. `none`: the agent has nothing to say from its sources."""

    id: UUID
    upto_seq: int
    state: SuggestionState
    answer: Answer | None
    asked_at: datetime

    @property
    def text(self) -> str:
        return self.answer.text if self.answer is not None and self.state == "ready" else ""


def split(messages: Sequence[Message]) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """Return what was said before, and the customer's latest words, also those that were answered already."""
    last = max((place for place, one in enumerate(messages) if one.author == "customer"), default=None)
    if last is None:
        return tuple(messages), ()
    first = last
    while first > 0 and messages[first - 1].author == "customer":
        first -= 1
    return (*messages[:first], *messages[last + 1 :]), tuple(messages[first : last + 1])
