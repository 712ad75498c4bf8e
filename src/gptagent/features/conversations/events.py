"""Facts about conversations, published within the transaction that stored them."""

from dataclasses import dataclass
from uuid import UUID

from gptagent.kernel.events import Event


@dataclass(frozen=True, slots=True)
class CustomerWrote(Event):
    """A new message of the customer was stored under `seq`."""

    conversation_id: UUID
    seq: int
    text: str = ""
    has_file: bool = False


@dataclass(frozen=True, slots=True)
class HoldChanged(Event):
    """A person took the chat over, wrote in it, or gave it back: what is in the making is stale.

    Unless the agent is given a chat that it had: `outdates` is False then.
    """

    conversation_id: UUID
    is_given_back: bool = False
    outdates: bool = True


@dataclass(frozen=True, slots=True)
class StageChanged(Event):
    """The deal of this conversation moved."""

    conversation_id: UUID


@dataclass(frozen=True, slots=True)
class FileKept(Event):
    """A file of a customer is here."""

    attachment_id: UUID
