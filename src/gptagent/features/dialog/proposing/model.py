"""When a person is done with a conversation, and what was asked and answered in it. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gptagent.features.conversations.model import Message
from gptagent.features.dialog.model import TurnRecord
from gptagent.features.knowledge.model import Exchange

SILENT_FOR = timedelta(hours=2)  # since the person's last word: nothing more is to come
LEFT_FOR = timedelta(hours=24)  # since the customer's last word, often a thank-you, which nobody answers


def wait_for(messages: Sequence[Message], *, is_held: bool, now: datetime) -> timedelta | None:
    """Return how long to wait until the person is done; None if they are."""
    if not is_held or not messages:
        return None
    last = messages[-1]
    patience = LEFT_FOR if last.author == "customer" else SILENT_FOR
    left = last.sent_at + patience - now
    return left if left > timedelta(0) else None


@dataclass(slots=True)
class _Open:
    """A question that is being answered."""

    asked: list[Message] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)


def exchanges_of(messages: Iterable[Message], turns: Sequence[TurnRecord]) -> list[Exchange]:
    """Return what the customer asked and what a person answered to it.

    A question is what the customer wrote since it was the other side's turn, an agent's refusal not counting;
    where a person only added to what an agent had answered, it is the question of that answer.
    """
    return list(_exchanges(messages, turns))


def _exchanges(messages: Iterable[Message], turns: Sequence[TurnRecord]) -> Iterator[Exchange]:
    answered = {one.id for one in turns if one.outcome == "reply"}
    now, before = _Open(), _Open()
    for one in messages:
        text = one.said
        if not text or one.author == "bot":
            continue
        if one.author == "human":
            if not now.asked and not now.answers:
                now.asked = before.asked
            now.answers.append(text)
            continue
        if now.answers:
            yield from _closed(now, turns)
            now, before = _Open(), _Open()
        if one.author == "customer":
            now.asked.append(one)
        elif one.turn_id in answered:
            now, before = _Open(), now
    yield from _closed(now, turns)


def _closed(one: _Open, turns: Sequence[TurnRecord]) -> Iterator[Exchange]:
    if one.asked and one.answers:
        numbers = [said.seq for said in one.asked]
        tried = tuple(
            turn.id for turn in turns if any(turn.first_seq <= number <= turn.last_seq for number in numbers)
        )
        yield Exchange(" ".join(said.text for said in one.asked), tuple(one.answers), tried)
