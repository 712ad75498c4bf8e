"""What a workspace keeps, for how long, and what belongs to one customer."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

RETENTION_MAX_DAYS = 3_650
# Shorter would reach into chats that are going on: a customer may answer after a week's holiday.
CONVERSATIONS_MIN_DAYS = 7
EVENTS_MIN_DAYS = 1
# A reply whose delivery is unknown is recognised by its recorded words for some minutes; a week is ample.
ANSWERS_MIN_DAYS = 7
MEMORIES_MIN_DAYS = 1


@dataclass(frozen=True, slots=True)
class Retention:
    """Days until each kind is deleted; None keeps it for ever.

    `conversations`: since the last message, with messages, turns, tasks, deals, contacts. `events`: what the
    CRM reported, word for word; never longer than conversations. `answers`: how past replies were made
    (recorded text and quoted sources); the reply itself stays among the messages. `memories`: what customers
    said of themselves, since they last said it; with their conversation at the latest.
    """

    conversations: int | None = None
    events: int | None = 30
    answers: int | None = None
    memories: int | None = None


MIN_DAYS = {
    "conversations": CONVERSATIONS_MIN_DAYS,
    "events": EVENTS_MIN_DAYS,
    "answers": ANSWERS_MIN_DAYS,
    "memories": MEMORIES_MIN_DAYS,
}


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer as the workspace knows them, named by one of their conversations (the latest)."""

    conversation_id: UUID
    contact_id: int | None
    name: str = field(repr=False)
    channel: str
    conversations: int
    messages: int
    last_message_at: datetime
