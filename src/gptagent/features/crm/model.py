"""The CRM as the platform sees it, whatever its vendor."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Literal, Protocol
from uuid import UUID


class CallPriority(IntEnum):
    """Who goes first when an account's calls are scarce."""

    SEND = 0
    READ = 1
    SYNC = 2


ConnectionStatus = Literal["connected", "broken"]


@dataclass(frozen=True, slots=True)
class Connection:
    """An account of the CRM this workspace is connected to, without its secrets."""

    id: UUID
    provider: str
    host: str
    account_id: int
    name: str
    status: str
    status_reason: str | None
    can_send_messages: bool
    last_webhook_at: datetime | None
    synced_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CrmLink:
    """What a call needs of a connection. `host` like `acme.kommo.com`; `token` is the opened bearer token."""

    org_id: UUID
    connection_id: UUID
    host: str
    token: str = field(repr=False)
    account_id: int | None = None


@dataclass(frozen=True, slots=True)
class CrmAccount:
    id: int
    subdomain: str
    name: str
    can_send_messages: bool


@dataclass(frozen=True, slots=True)
class Stage:
    id: int
    name: str
    sort: int
    kind: Literal["incoming", "open", "won", "lost"]


@dataclass(frozen=True, slots=True)
class Pipeline:
    id: int
    name: str
    sort: int
    is_main: bool
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Lead:
    id: int
    name: str
    price: int | None
    pipeline_id: int | None
    stage_id: int | None
    responsible_user_id: int | None
    contact_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Contact:
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class NewTask:
    """`due_at` is aware; the CRM's seconds are the adapter's business."""

    lead_id: int
    text: str
    due_at: datetime
    responsible_user_id: int | None = None


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message as the CRM lists it (read-back, reconciliation)."""

    id: str
    direction: Literal["incoming", "outgoing"]
    author: Literal["customer", "human", "bot"]
    text: str
    sent_at: datetime
    delivery_status: str | None = None


AuthorKind = Literal["customer", "human", "bot"]


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A chat message the CRM reported: the customer's, or one that a person or another bot wrote."""

    provider_id: str
    chat_id: str
    talk_id: int | None
    contact_id: int | None
    lead_id: int | None
    author: AuthorKind
    author_name: str
    text: str
    sent_at: datetime
    origin: str
    attachment_type: str | None = None
    attachment_url: str | None = None


@dataclass(frozen=True, slots=True)
class LeadChanged:
    """A lead was added, changed or moved. Absent values are None: the thin form carries few."""

    lead_id: int
    change: Literal["added", "updated", "moved", "deleted", "responsible"]
    pipeline_id: int | None
    stage_id: int | None
    name: str | None = None
    responsible_user_id: int | None = None


@dataclass(frozen=True, slots=True)
class TalkChanged:
    talk_id: int
    chat_id: str | None
    contact_id: int | None
    lead_id: int | None
    is_open: bool


@dataclass(frozen=True, slots=True)
class OtherEvent:
    """A kind we do not act on; it is stored and acknowledged."""

    kind: str
    payload: Mapping[str, object]


CrmEvent = InboundMessage | LeadChanged | TalkChanged | OtherEvent


@dataclass(frozen=True, slots=True)
class Webhook:
    """One parsed delivery. `account_id` is None when the CRM sent only a subdomain (2016 form)."""

    account_id: int | None
    subdomain: str | None
    events: tuple[CrmEvent, ...]


class CallLimiter(Protocol):
    """Counts calls per account and per egress address over all processes."""

    async def wait(self, account_key: str, address_key: str, priority: CallPriority) -> None:
        """Return when the call may leave. Raise RateLimited if that is further off than the call may wait."""
        ...

    async def block(self, account_key: str, address_key: str, seconds: float) -> None:
        """Let no call of this account leave for so long (429, or a block page)."""
        ...


class CrmPort(Protocol):
    """Everything the platform asks of a CRM.

    Every call has a deadline and raises:
    `Forbidden("crm_unauthorized")` token refused · `Forbidden("crm_scope")` scope or rights missing ·
    `NotFound("crm_not_found")` · `Conflict("crm_talk_closed")` · `Invalid("crm_rejected")` ·
    `Conflict("crm_payment_required")` plan or quota · `RateLimited` ·
    `UpstreamUnavailable("crm_unavailable")` for certain not carried out ·
    `OutcomeUnknown("crm_outcome_unknown")` the request left and no answer came (writes only).
    """

    async def fetch_account(self, link: CrmLink) -> CrmAccount: ...

    async def fetch_pipelines(self, link: CrmLink) -> tuple[Pipeline, ...]: ...

    async def fetch_lead(self, link: CrmLink, lead_id: int) -> Lead | None: ...

    async def fetch_contact(self, link: CrmLink, contact_id: int) -> Contact | None: ...

    async def create_task(self, link: CrmLink, task: NewTask) -> int: ...

    async def find_task(self, link: CrmLink, lead_id: int, text: str, since: datetime) -> int | None:
        """Read back a task whose creation's outcome is unknown."""
        ...

    async def find_open_talk(self, link: CrmLink, contact_id: int, chat_id: str) -> int | None: ...

    async def list_messages(
        self, link: CrmLink, talk_id: int, since: datetime
    ) -> tuple[ChatMessage, ...]: ...

    async def send_message(self, link: CrmLink, talk_id: int, text: str) -> str:
        """Send into the customer's chat. Returns the CRM's message id (202: accepted, not yet delivered).

        The adapter has waited for its slot in `reserve_send` before; this call leaves at once.
        """
        ...

    async def reserve_send(self, link: CrmLink) -> None:
        """Wait for a slot of the account's rate, so that nothing stands between the fence and the send."""
        ...

    async def register_webhook(self, link: CrmLink, destination: str) -> None: ...

    async def unregister_webhook(self, link: CrmLink, destination: str) -> None:
        """Have the CRM send nothing there any more; an unknown destination is no error."""
        ...

    def read_webhook(self, content_type: str, body: bytes) -> Webhook:
        """Parse a delivery. Raises Invalid("crm_webhook_malformed") if it is no form or JSON at all."""
        ...
