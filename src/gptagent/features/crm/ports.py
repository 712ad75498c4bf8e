"""What the platform asks of a CRM, by area. `CrmPort` is all of it.

Every call has a deadline and raises:
`Forbidden("crm_unauthorized")` token refused · `Forbidden("crm_scope")` scope or rights missing ·
`NotFound("crm_not_found")` · `Conflict("crm_talk_closed")` · `Invalid("crm_rejected")` ·
`Conflict("crm_payment_required")` plan or quota · `RateLimited` ·
`UpstreamUnavailable("crm_unavailable")` for certain not carried out ·
`OutcomeUnknown("crm_outcome_unknown")` the request left and no answer came (writes only).
"""

from datetime import datetime
from typing import Protocol

from gptagent.features.crm.model import (
    BotMessage,
    CallPriority,
    ChatMessage,
    Contact,
    CrmAccount,
    CrmLink,
    Download,
    FieldText,
    Lead,
    NamedId,
    NewTask,
    Pipeline,
    ReplyRoute,
    Talk,
    Webhook,
    WidgetRequest,
)
from gptagent.features.crm.replying.model import Reply, Sighting
from gptagent.kernel.db import Session


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

    async def find_task(self, link: CrmLink, lead_id: int, text: str, since: datetime) -> int | None:
        """Read back a task whose creation's outcome is unknown."""
        ...


class ChatsPort(Protocol):
    """The customers' chats."""

    async def find_open_talk(self, link: CrmLink, contact_id: int, chat_id: str) -> int | None: ...

    async def fetch_talk(self, link: CrmLink, talk_id: int) -> Talk:
        """Raises NotFound if there is none such."""
        ...

    async def list_messages(
        self, link: CrmLink, talk_id: int, since: datetime, priority: CallPriority = CallPriority.READ
    ) -> tuple[ChatMessage, ...]: ...

    async def send_message(
        self, link: CrmLink, talk_id: int, text: str, *, drive_uuid: str | None = None
    ) -> str:
        """Send into the customer's chat. Returns the CRM's message id (202: accepted, not yet delivered).

        The adapter has waited for its slot in `reserve_send` before; this call leaves at once.
        `drive_uuid` names a file that `upload_file` has put into the account's drive.
        """
        ...

    async def upload_file(self, link: CrmLink, name: str, content: bytes) -> str:
        """Put a file into the account's drive. Returns its uuid."""
        ...

    async def download_attachment(self, link: CrmLink, url: str, *, max_bytes: int) -> Download:
        """Fetch a file that came with a customer's message. `url` is the wire's word: only the vendor's own
        hosts pass. Raises Invalid("crm_host_refused"), TooLarge, UpstreamUnavailable.
        """
        ...

    async def reserve_send(self, link: CrmLink) -> None:
        """Wait for a slot of the account's rate, so that nothing stands between the fence and the send."""
        ...


class HooksPort(Protocol):
    """What the CRM tells us, and where to."""

    async def register_webhook(self, link: CrmLink, destination: str) -> None: ...

    async def unregister_webhook(self, link: CrmLink, destination: str) -> None:
        """Have the CRM send nothing there any more; an unknown destination is no error."""
        ...

    def read_webhook(self, content_type: str, body: bytes) -> Webhook:
        """Parse a delivery. Raises Invalid("crm_webhook_malformed") if it is no form or JSON at all."""
        ...


class BotsPort(Protocol):
    """Replies by way of the account's Salesbots: their field, their run, and the bot that waits for us."""

    async def list_bots(self, link: CrmLink) -> tuple[NamedId, ...]: ...

    async def list_text_fields(self, link: CrmLink) -> tuple[NamedId, ...]:
        """Return the deal's fields that hold long text."""
        ...

    async def create_text_field(self, link: CrmLink, name: str) -> NamedId: ...

    async def write_field(self, link: CrmLink, lead_id: int, field_id: int, text: str) -> datetime:
        """Write a deal's text field. Returns when that was, by the CRM's clock."""
        ...

    async def read_field(self, link: CrmLink, lead_id: int, field_id: int) -> FieldText:
        """Raises NotFound if there is no such deal."""
        ...

    async def run_bot(self, link: CrmLink, bot_id: int, lead_id: int) -> None:
        """Start a bot on a deal; it ends another that runs there. Its slot was waited for before."""
        ...

    async def continue_bot(self, link: CrmLink, return_url: str, reply: str, step: int) -> None:
        """Give a waiting bot its reply and the step to go on with.

        Raises NotFound("crm_slot_gone") if nothing waits there (any more), Invalid for another account's
        address.
        """
        ...

    async def list_bot_messages(self, link: CrmLink, lead_id: int, since: datetime) -> tuple[BotMessage, ...]:
        """Return what robots have sent to a deal's chats since then, oldest first."""
        ...

    def read_widget_request(self, content_type: str, body: bytes) -> WidgetRequest:
        """Raises Invalid("crm_webhook_malformed")."""
        ...


class ReplyTransport(Protocol):
    """One way for a reply. The dialog's fence stands between `prepare` and `send`, and `begin` within it."""

    @property
    def route(self) -> ReplyRoute: ...

    async def prepare(self, link: CrmLink, reply: Reply) -> datetime | None:
        """Do all that may be done before the fence, and see that `send` need not wait.

        Returns the CRM's own time, if it told it: no message older than that is the reply. Whatever is
        raised, the customer has seen nothing.
        """
        ...

    async def begin(self, session: Session, reply: Reply) -> None:
        """Take, in the fence's transaction, what only one reply can have. Raises if another was faster."""
        ...

    async def send(self, link: CrmLink, reply: Reply) -> str | None:
        """Make the one request the customer sees something of, at once.

        Returns the message's id; None: taken, and its id is found by `look`. Raises as CrmPort does.
        """
        ...

    async def look(self, link: CrmLink, reply: Reply, since: datetime) -> tuple[Sighting, ...]:
        """Return the outgoing messages since then among which the reply would be, oldest first."""
        ...


class CrmPort(RecordsPort, TasksPort, ChatsPort, HooksPort, BotsPort, Protocol):
    """Everything the platform asks of a CRM."""
