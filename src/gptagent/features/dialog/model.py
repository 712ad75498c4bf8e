"""Turns, lanes and the times that bound them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from gptagent.features.crm.model import ReplyRoute
from gptagent.features.knowledge.model import Place, StageKey

Outcome = Literal["reply", "not_found", "handed_off", "refused"]
# How a turn ends: with its answer's outcome, or unsent by the word of a person.
Ending = Literal["reply", "not_found", "handed_off", "refused", "draft", "rejected"]

# A burst never waits longer than this or three times the agent's delay, whichever is larger (rulings).
BURST_MIN_CAP = timedelta(seconds=60)
BURST_CAP_FACTOR = 3
# A message older than this gets no answer any more, whatever kept it waiting, like a broken connection.
# WhatsApp lets a company answer freely for as long, and nobody waits for an answer to last week's question.
ANSWER_WINDOW = timedelta(hours=24)
OVERDUE_AFTER = timedelta(seconds=5)
# A send that has not left so long after its fence was passed is not begun: the process was frozen meanwhile,
# and another may be about to send. Well below `absence_certain_after`.
SEND_WINDOW_SECONDS = 5.0
# Why a turn ends with the not-found text though the model has spoken.
FACT_GATE = "fact_gate"
LEAK = "leak"
# As above, where all it said was a promise that nobody would keep.
PROMISE = "promise"
# Nothing is known of what the customer has sent: they are asked for words, or a person is asked.
NOT_HEARD = "not_heard"
# The customer is to be handed over, and nobody may answer customers.
NOBODY = "nobody_to_hand_over_to"
# Something newer happened before a further part of a reply was sent.
REST_OUTDATED = "rest_outdated"


@dataclass(frozen=True, slots=True)
class Pace:
    """The times of a turn. Tests of crashes and races shorten them; the proportions stay.

    After a send whose outcome is unknown it is read back every `read_back_every`. Its absence is believed
    after `absence_certain_after`: the request's own deadline (15 s) is long over. What cannot be read back at
    all within `unknown_gives_up_after` becomes a task for a person.

    A reply that was taken without an id is mostly settled by what the CRM reports anyway, at no call:
    Kommo's webhook comes within seconds or, tried again, after five minutes; amoCRM's log is looked at two
    or three times within `first_look_after`. Only then does the turn look for itself. Where the account
    reports nothing there is nothing to wait for: `unreported_look_after`.
    """

    lease: timedelta = timedelta(seconds=30)
    lease_renewal: timedelta = timedelta(seconds=10)
    read_back_every: timedelta = timedelta(seconds=5)
    absence_certain_after: timedelta = timedelta(seconds=45)
    unknown_gives_up_after: timedelta = timedelta(minutes=2)
    broken_connection_retry: timedelta = timedelta(seconds=60)
    first_look_after: timedelta = timedelta(seconds=15)
    unreported_look_after: timedelta = timedelta(seconds=1)
    busy_deal_retry: timedelta = timedelta(seconds=1)
    slot_retry: timedelta = timedelta(seconds=1)
    slot_waits_max: int = 30  # half a minute for the CRM's bot to ask for the reply
    replies_per_minute: int = 10  # in one chat; more is two robots talking
    crowded_retry: timedelta = timedelta(seconds=10)
    closed_retry: timedelta = timedelta(minutes=15)  # outside of working hours, which may be changed
    files_retry: timedelta = timedelta(seconds=1)  # a file of the customer is still to be heard
    files_wait: timedelta = timedelta(seconds=45)  # since it was noted; then the answer goes on without it
    deal_retry: timedelta = timedelta(seconds=15)  # the CRM did not tell where the deal is
    deal_gives_up_after: timedelta = timedelta(minutes=10)
    send_retry_first: timedelta = timedelta(seconds=2)
    send_retry_cap: timedelta = timedelta(minutes=5)
    send_attempts_max: int = 40  # some three hours of an unreachable CRM; then a person is asked

    def send_retry_delay(self, attempts: int) -> timedelta:
        """Return how long to wait after so many sends that the CRM certainly did not carry out."""
        doublings = min(max(attempts - 1, 0), 20)
        return min(self.send_retry_first * (1 << doublings), self.send_retry_cap)


READ_BACK_SKEW = timedelta(minutes=2)  # clocks of the CRM and ours


@dataclass(frozen=True, slots=True)
class Source:
    """Where a sentence of the answer comes from; `quote` is the passage's own words.

    `page` is the number of a page, sheet or slide, as `place` says. Turns recorded earlier have no `version`.

    `rank` tells how well the passage fits the question among all that were found, the best one lowest.
    """

    kind: Literal["article", "document", "script", "objection"]
    source_id: UUID
    title: str
    page: int | None
    heading: str
    quote: str
    place: Place = "page"
    version: int | None = None
    url: str | None = None  # of a site's page
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Promised:
    """A sentence of a reply that promises something, and in how many minutes it is to be kept."""

    text: str
    due_in_minutes: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What the turn decided to say, recorded before it is sent. `by` is the model's name or 'extractive'.

    `support` (0-1) is how far the best passage answers the question; None if nothing was searched. `rest` are
    the messages that follow this one, of a reply in parts. `stage` is where the deal was, if there was one.
    """

    text: str
    outcome: Outcome
    by: str
    sources: tuple[Source, ...] = ()
    reason: str | None = None
    support: float | None = None
    promises: tuple[Promised, ...] = ()
    rest: tuple[str, ...] = ()
    stage: StageKey | None = None

    @property
    def whole(self) -> str:
        """All of it, also where it goes out in parts."""
        return "\n\n".join((self.text, *self.rest))


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
    held_back: int = 0
    send_started_at: datetime | None = None
    send_talk_id: int | None = None
    agent_id: UUID | None = None
    unknown_for: timedelta = timedelta(0)  # since its send began, by the database's clock
    send_route: ReplyRoute | None = None
    send_since: datetime | None = None  # the CRM shows the reply with this time or a later one
    accepted_for: timedelta | None = None  # since the CRM has taken it without telling its id
    is_approved: bool = False  # it was a draft, and a person wants it to be sent
    part: int = 0  # of a reply in parts, which one; 0 the first, or the only one

    @property
    def is_accepted(self) -> bool:
        return self.accepted_for is not None


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a turn's draft, and by whose word. `note` says why it was rejected."""

    state: Literal["waiting", "approved", "rejected", "outdated"]
    by: str | None
    note: str | None
    is_edited: bool


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """A past turn as the conversation's page shows it."""

    id: UUID
    outcome: Ending
    reason: str | None
    answer: Answer | None
    first_seq: int
    last_seq: int
    ended_at: datetime | None = field(default=None)
    draft: Decision | None = None
