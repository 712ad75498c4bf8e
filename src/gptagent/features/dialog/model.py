"""Turns, lanes and the times that bound them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

Outcome = Literal["reply", "not_found", "handed_off", "refused"]

# A burst never waits longer than this or three times the agent's delay, whichever is larger (rulings).
BURST_MIN_CAP = timedelta(seconds=60)
BURST_CAP_FACTOR = 3
LEASE = timedelta(seconds=30)
LEASE_RENEWAL = timedelta(seconds=10)
# After a send whose outcome is unknown: how often to read back, when its absence is believed (the request's
# own deadline is 15 s, so it can no longer arrive), and when a person is asked.
READ_BACK_EVERY = timedelta(seconds=5)
ABSENCE_IS_CERTAIN_AFTER = timedelta(seconds=45)
UNKNOWN_GIVES_UP_AFTER = timedelta(minutes=2)
READ_BACK_SKEW = timedelta(minutes=2)
BROKEN_CONNECTION_RETRY = timedelta(seconds=60)
SEND_RETRY_FIRST = timedelta(seconds=2)
SEND_RETRY_CAP = timedelta(minutes=5)
SEND_ATTEMPTS_MAX = 40  # some three hours of an unreachable CRM; then a person is asked
OVERDUE_AFTER = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a sentence of the answer comes from; `quote` is the passage's own words."""

    kind: Literal["article", "document"]
    source_id: UUID
    title: str
    page: int | None
    heading: str
    quote: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the turn decided to say, recorded before it is sent. `by` is the model's name or 'extractive'."""

    text: str
    outcome: Outcome
    by: str
    sources: tuple[Source, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class LaneRow:
    """A lane as read under its lock. `seq`s count messages of the conversation; times are the database's."""

    epoch: int
    claim: int
    wanted: int
    done: int
    due_at: datetime | None
    leased_by_other: bool
    now: datetime


@dataclass(frozen=True, slots=True)
class Turn:
    """The claimed turn. `claim` is this worker's fence, `epoch` the state of the chat it speaks to."""

    id: UUID
    conversation_id: UUID
    epoch: int
    claim: int
    first_seq: int
    last_seq: int
    state: Literal["open", "sending"]
    answer: Answer | None = None
    provider_message_id: str | None = None
    send_attempts: int = 0
    send_started_at: datetime | None = None
    agent_id: UUID | None = None


def burst_deadline(started: datetime, delay: timedelta) -> datetime:
    """Return when a burst that began at `started` is answered at the latest."""
    return started + max(BURST_MIN_CAP, BURST_CAP_FACTOR * delay)


def send_retry_delay(attempts: int) -> timedelta:
    """Return how long to wait after so many sends that the CRM certainly did not carry out."""
    doublings = min(max(attempts - 1, 0), 20)
    return min(SEND_RETRY_FIRST * (1 << doublings), SEND_RETRY_CAP)


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """A past turn as the conversation's page shows it."""

    id: UUID
    outcome: Outcome
    reason: str | None
    answer: Answer | None
    first_seq: int
    last_seq: int
    ended_at: datetime | None = field(default=None)
