"""Conversations and messages."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid5

from gptagent.features.crm.model import MAIL, Letter

TOPIC = "conversations"
Author = Literal["customer", "agent", "human", "bot"]
DeliveryStatus = Literal["sent", "delivered", "read", "failed"]
# What a machine made of a file: the words of a voice message, what is on a picture or in a document.
Medium = Literal["voice", "picture", "document"]


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
    letter: Letter | None = None

    @property
    def is_letter(self) -> bool:
        """Whether it is by e-mail: of each letter only the beginning is known."""
        return self.channel == MAIL

    @property
    def held_by_person(self) -> bool:
        return self.taken_over_at is not None

    @property
    def customer(self) -> UUID:
        """The same for all conversations of a contact; without one, the conversation's own id."""
        return uuid5(self.connection_id, str(self.contact_id)) if self.contact_id else self.id


def conversation_of(values: dict[str, Any]) -> Conversation:
    """Return a conversation as it is stored."""
    subject, address, mailbox = (values.pop(f"mail_{name}") for name in ("subject", "address", "box"))
    letter = None if address is None else Letter(subject or "", address, mailbox or "")
    return Conversation(**values, letter=letter)


@dataclass(frozen=True, slots=True)
class Message:
    """`seq` counts from 1 within its conversation.

    `heard` are the words of a voice message, `seen` what is on its picture or in its document, as a machine
    told them; empty while that is not known, or if it never will be.
    """

    seq: int
    author: Author
    author_name: str
    text: str
    attachment_type: str | None
    turn_id: UUID | None
    sent_at: datetime
    delivery_status: DeliveryStatus | None = None
    heard: str = ""
    seen: str = ""

    @property
    def said(self) -> str:
        """What the customer has said, written or spoken."""
        return "\n".join(filter(None, (self.text.strip(), self.heard)))

    @property
    def told(self) -> str:
        """What the message tells one who can neither hear nor see."""
        return "\n".join(filter(None, (self.said, self.seen)))

    @property
    def is_unheard(self) -> bool:
        """Whether it came with a file of which nothing is known but that it is there.

        Words that the CRM shows to nobody are no file: nothing was sent that could not be opened.
        """
        return self.attachment_type not in {None, "unreadable"} and not self.heard and not self.seen


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of the message `seq`. It can be opened once its state is `stored`; `refused` is for good.

    `hearing` is `waiting` while a machine is to tell what is in a customer's file, `heard` once `words` hold
    it (`heard_by` which model, None for a document), `unheard` for `unheard_reason`; `none` for other files.
    """

    id: UUID
    seq: int
    kind: str
    name: str
    state: Literal["pending", "stored", "refused", "failed"]
    size_bytes: int | None
    hearing: Literal["none", "waiting", "heard", "unheard"] = "none"
    heard_as: Medium | None = None
    heard_by: str | None = None
    words: str = ""
    unheard_reason: str | None = None


def topic_of(conversation_id: UUID) -> str:
    """Live topic of one conversation; a listener of TOPIC hears it as well."""
    return f"{TOPIC}/{conversation_id}"
