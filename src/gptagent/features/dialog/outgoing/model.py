"""A message owed to a customer, and what becomes of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from gptagent.features.crm.model import ReplyRoute

Kind = Literal["reply", "handoff", "followup"]
OutgoingState = Literal["waiting", "sending", "sent", "not_sent", "unknown"]
TEXT_MAX_CHARS = 4_000  # what the widest of the channels takes in one message
LEASE = timedelta(seconds=75)  # longer than a run of the job may take (60 s)
OVERDUE_AFTER = timedelta(seconds=30)  # due for so long, and no job has come
FAILURES_MAX = 40  # with growing pauses some three hours of an unreachable CRM; then a colleague is asked


@dataclass(frozen=True, slots=True)
class Outgoing:
    """`seq` is its message's. `unknown_for`: since its send began; `accepted_for`: since the CRM took it.

    `sends` counts how often it has passed its fence, `claim` the runs that have had it.
    """

    id: UUID
    conversation_id: UUID
    seq: int
    kind: Kind
    agent_id: UUID | None
    text: str
    state: OutgoingState
    reason: str | None
    provider_message_id: str | None
    failures: int
    sends: int
    claim: int
    send_started_at: datetime | None
    send_talk_id: int | None
    send_route: ReplyRoute | None
    send_since: datetime | None
    unknown_for: timedelta
    accepted_for: timedelta | None

    @property
    def is_open(self) -> bool:
        """Whether it is not known yet what becomes of it."""
        return self.state in {"waiting", "sending"}

    @property
    def is_accepted(self) -> bool:
        return self.accepted_for is not None
