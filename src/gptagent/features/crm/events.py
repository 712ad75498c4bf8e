"""Facts the CRM feature publishes, always within the transaction that stored them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gptagent.features.crm.deliveries.model import (
    CatalogItemChanged,
    ContactChanged,
    CustomerChanged,
    IncomingLeadChanged,
    LeadTriggered,
    NoteAdded,
    TaskChanged,
)
from gptagent.features.crm.model import InboundMessage, LeadChanged, Talk
from gptagent.kernel.events import Event


@dataclass(frozen=True, slots=True)
class DeliveryOpened(Event):
    """A webhook is about to be stored that speaks of these chats and leads: whoever keeps rows of them locks
    them now, in one order, as two deliveries may name them in different ones.
    """

    connection_id: UUID
    chat_ids: tuple[str, ...]
    lead_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class MessageArrived(Event):
    """A chat message was reported by the CRM."""

    connection_id: UUID
    message: InboundMessage


@dataclass(frozen=True, slots=True)
class CustomerSaid(Event):
    """A bot of the CRM has passed on a customer's words, without their id. Mostly the message itself has been
    reported by now; `chat` describes where it belongs if nothing else is known of it.
    """

    connection_id: UUID
    slot_id: UUID
    lead_id: int
    talk_id: int | None
    text: str
    said_at: datetime
    chat: Talk | None


@dataclass(frozen=True, slots=True)
class LeadMoved(Event):
    """A lead changed its stage or pipeline."""

    connection_id: UUID
    lead_id: int


@dataclass(frozen=True, slots=True)
class TalkSeen(Event):
    """A talk was opened, closed or bound to a lead."""

    connection_id: UUID
    chat_id: str
    talk_id: int
    lead_id: int | None
    is_open: bool


@dataclass(frozen=True, slots=True)
class LeadReported(Event):
    """A lead was added, changed, moved, deleted or restored. Its name, place, price and person are stored
    already; late words are not told.
    """

    connection_id: UUID
    lead: LeadChanged


@dataclass(frozen=True, slots=True)
class ContactReported(Event):
    """A contact or company was added, changed, deleted or restored."""

    connection_id: UUID
    contact: ContactChanged


@dataclass(frozen=True, slots=True)
class CustomerReported(Event):
    """A customer record of amoCRM was added, changed or deleted."""

    connection_id: UUID
    customer: CustomerChanged


@dataclass(frozen=True, slots=True)
class NoteReported(Event):
    """A note, file or call was added to a record. Each is told once."""

    connection_id: UUID
    note: NoteAdded


@dataclass(frozen=True, slots=True)
class TaskReported(Event):
    """A task of the CRM was added, changed, done or deleted."""

    connection_id: UUID
    task: TaskChanged


@dataclass(frozen=True, slots=True)
class IncomingLeadReported(Event):
    """An incoming lead came, changed, or was accepted or declined."""

    connection_id: UUID
    incoming: IncomingLeadChanged


@dataclass(frozen=True, slots=True)
class CatalogItemReported(Event):
    """An element of a list, as a product is, was added, changed or deleted."""

    connection_id: UUID
    item: CatalogItemChanged


@dataclass(frozen=True, slots=True)
class TriggerFired(Event):
    """An automation of the CRM's own fired for a lead: it may rightly fire again."""

    connection_id: UUID
    trigger: LeadTriggered


@dataclass(frozen=True, slots=True)
class AccountConnected(Event):
    """An account was connected, or connected again: its token is new and works."""

    connection_id: UUID
