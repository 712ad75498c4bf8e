"""What the platform asks of a CRM, by area. `CrmPort` is all of it.

Every call has a deadline and raises:
`Forbidden("crm_unauthorized")` token refused · `Forbidden("crm_scope")` scope or rights missing ·
`NotFound("crm_not_found")` · `Conflict("crm_talk_closed")` · `Invalid("crm_rejected")` ·
`Conflict("crm_payment_required")` plan or quota · `RateLimited` ·
`UpstreamUnavailable("crm_unavailable")` for certain not carried out ·
`OutcomeUnknown("crm_outcome_unknown")` the request left and no answer came (writes only).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from gptagent.features.crm.deliveries.model import HookSubscription, RecordKind, Seen
from gptagent.features.crm.model import (
    CallPriority,
    ChatMessage,
    Contact,
    CrmAccount,
    CrmLink,
    Lead,
    NewTask,
    Pipeline,
    Webhook,
)


class CallLimiter(Protocol):
    """Counts calls per account and per egress address over all processes."""

    async def wait(self, account_key: str, address_key: str, priority: CallPriority) -> None:
        """Return when the call may leave. Raise RateLimited if that is further off than the call may wait."""
        ...

    async def block(self, account_key: str, address_key: str, seconds: float) -> None:
        """Let no call of this account leave for so long (429, or a block page)."""
        ...


class RecordsPort(Protocol):
    """The account, and the records in it."""

    async def fetch_account(self, link: CrmLink) -> CrmAccount: ...

    async def fetch_pipelines(self, link: CrmLink) -> tuple[Pipeline, ...]: ...

    async def fetch_lead(self, link: CrmLink, lead_id: int) -> Lead | None: ...

    async def fetch_contact(self, link: CrmLink, contact_id: int) -> Contact | None: ...


class TasksPort(Protocol):
    async def create_task(self, link: CrmLink, task: NewTask) -> int: ...

    async def find_task(
        self, link: CrmLink, lead_id: int, text: str, since: datetime, *, kind: RecordKind = "lead"
    ) -> int | None:
        """Read back a task whose creation's outcome is unknown."""
        ...


class ChatsPort(Protocol):
    """The customers' chats."""

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


class HooksPort(Protocol):
    """What the CRM tells us, and where to."""

    async def register_webhook(self, link: CrmLink, destination: str) -> tuple[str, ...]:
        """Have the CRM report all we listen to, as far as it knows it; return the codes it took."""
        ...

    async def fetch_webhook(self, link: CrmLink, destination: str) -> HookSubscription | None:
        """Return what the CRM has on record about this address, None if nothing."""
        ...

    def webhook_codes(self, link: CrmLink) -> frozenset[str]:
        """Return what an account of this brand is asked to report."""
        ...

    async def unregister_webhook(self, link: CrmLink, destination: str) -> None:
        """Have the CRM send nothing there any more; an unknown destination is no error."""
        ...

    def read_webhook(self, content_type: str, body: bytes) -> Webhook:
        """Parse a delivery. Raises Invalid("crm_webhook_malformed") if it is no form or JSON at all."""
        ...

    def read_stored(self, payload: Mapping[str, object]) -> Webhook:
        """Read a delivery again from what was kept of it."""
        ...


class LogPort(Protocol):
    """What happened in the CRM by its own log, for what no webhook told."""

    async def list_seen(
        self, link: CrmLink, since: datetime, until: datetime
    ) -> tuple[tuple[Seen, ...], bool]:
        """Return messages and moved deals of these seconds, oldest first, and whether that is all."""
        ...

    async def fetch_missed(self, link: CrmLink, talk_id: int, seen: Sequence[Seen]) -> Mapping[str, object]:
        """Return a talk's messages as webhooks would have told them; empty if they are gone.

        Where the CRM shows nobody the text, the message comes without it, as an attachment `unreadable`.
        """
        ...

    async def fetch_changed_leads(self, link: CrmLink, since: datetime) -> Mapping[str, object]:
        """Return deals changed since then as webhooks would have told them; empty if none was."""
        ...

    def tell_moved(self, seen: Sequence[Seen]) -> Mapping[str, object]:
        """Return moved deals as webhooks would have told them."""
        ...


class CrmPort(RecordsPort, TasksPort, ChatsPort, HooksPort, LogPort, Protocol):
    """Everything the platform asks of a CRM."""
