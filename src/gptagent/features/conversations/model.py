"""Conversations and messages."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

TOPIC = "conversations"
Author = Literal["customer", "agent", "human", "bot"]
DeliveryStatus = Literal["sent", "delivered", "read", "failed"]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A customer's chat. `talk_id` is the CRM's current session inside it and changes.

    `resume_at` is when a held chat is given back by itself, as the workspace's rule is now; None: it is not.
    """

    id: UUID
    connection_id: UUID
    chat_id: str
    talk_id: int | None
    contact_id: int | None
    lead_id: int | None
    customer_name: str
    channel: str
    last_seq: int
    last_text: str
    last_message_at: datetime
    taken_over_at: datetime | None
    taken_over_by: str | None
    created_at: datetime
    assignee_id: UUID | None
    resume_at: datetime | None

    @property
    def held_by_person(self) -> bool:
        return self.taken_over_at is not None


@dataclass(frozen=True, slots=True)
class Message:
    """`seq` counts from 1 within its conversation."""

    seq: int
    author: Author
    author_name: str
    text: str
    attachment_type: str | None
    turn_id: UUID | None
    sent_at: datetime
    delivery_status: DeliveryStatus | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of the message `seq`. It can be opened once its state is `stored`; `refused` is for good."""

    id: UUID
    seq: int
    kind: str
    name: str
    state: Literal["pending", "stored", "refused", "failed"]
    size_bytes: int | None


def topic_of(conversation_id: UUID) -> str:
    """Live topic of one conversation; a listener of TOPIC hears it as well."""
    return f"{TOPIC}/{conversation_id}"
