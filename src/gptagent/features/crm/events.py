"""Facts the CRM feature publishes, always within the transaction that stored them."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gptagent.features.crm.model import InboundMessage, Talk
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
