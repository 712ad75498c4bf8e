"""What the platform asks of a CRM, by area. `CrmPort` is all of it.

Every call has a deadline and raises:
`Forbidden("crm_unauthorized")` token refused · `Forbidden("crm_scope")` scope or rights missing ·
`NotFound("crm_not_found")` · `Conflict("crm_talk_closed")` · `Invalid("crm_rejected")` ·
`Conflict("crm_payment_required")` plan or quota · `RateLimited` ·
`UpstreamUnavailable("crm_unavailable")` for certain not carried out ·
`OutcomeUnknown("crm_outcome_unknown")` the request left and no answer came (writes only).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from gptagent.features.crm.actions.model import Create, Held, NewNote, WrittenKind
from gptagent.features.crm.connecting.model import Credentials, TokenFacts, TokenPair
from gptagent.features.crm.deliveries.model import HookSubscription, RecordKind, Seen, SeenLetter
from gptagent.features.crm.model import (
    BotMessage,
    Brand,
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
from gptagent.features.crm.records import (
    Batch,
    Catalog,
    CatalogElement,
    Channel,
    CompanyRecord,
    ContactRecord,
    CrmUser,
    DriveFile,
    Field,
    LeadRecord,
    Link,
    LogEntry,
    NoteRecord,
    PageRequest,
    Salesbot,
    Tag,
    UnsortedLead,
)
from gptagent.features.crm.replying.model import Reply, Sighting
from gptagent.features.crm.values import EntityKind, FieldValue
from gptagent.kernel.db import Session


class CallLimiter(Protocol):
    """Counts calls per account and per egress address over all processes."""

    async def wait(self, account_key: str, address_key: str, priority: CallPriority) -> None:
        """Return when the call may leave. Raise RateLimited if that is further off than the call may wait,
        UpstreamUnavailable if the account has failed so often that no call is worth trying.
        """
        ...

    async def block(self, account_key: str, address_key: str, seconds: float) -> None:
        """Let no call of this account leave for so long (429, or a block page)."""
        ...

    async def report(self, account_key: str, *, failed: bool) -> None:
        """Tell whether the account gave a proper answer, be it a refusal."""
        ...


class TokenSource(Protocol):
    """Renews the token of a connection that has a grant, once however many ask at the same time.

    Both return the connection as it is then, or None if there is nothing to be done about it.
    """

    async def renew(self, link: CrmLink) -> CrmLink | None:
        """The CRM refused this link's token. Raise UpstreamUnavailable if it cannot be renewed just now."""
        ...

    async def follow(self, link: CrmLink) -> CrmLink | None:
        """The CRM knows nothing at this link's address: perhaps the account was renamed."""
        ...


class GrantsPort(Protocol):
    """Consent to an integration, and the tokens that come of it."""

    def consent_url(self, brand: Brand, client_id: str, state: str) -> str:
        """Return where the browser goes to allow an integration in."""
        ...

    def account_host(self, referer: str, brand: Brand) -> str:
        """Return the host a consent came from. Raise Invalid("crm_host_refused") if it is not the brand's."""
        ...

    def read_token(self, token: str) -> TokenFacts:
        """Return what a token says of itself. Nothing is verified."""
        ...

    async def exchange_code(
        self, link: CrmLink, keys: Credentials, code: str, redirect_uri: str
    ) -> TokenPair:
        """Raise Forbidden("crm_grant_refused") if the CRM does not take the code or the keys."""
        ...

    async def renew_pair(
        self, link: CrmLink, keys: Credentials, refresh: str, redirect_uri: str
    ) -> TokenPair:
        """Use up a refresh token for the next pair. Raise Forbidden("crm_grant_refused")."""
        ...

    async def find_host(self, link: CrmLink, refresh: str) -> str | None:
        """Ask where a token's account is now; None if the CRM does not know the token."""
        ...

    async def has_moved(self, link: CrmLink) -> bool:
        """Whether no account answers at the link's address any more."""
        ...


class RecordsPort(Protocol):
    """The account, and the records in it."""

    async def fetch_account(
        self, link: CrmLink, priority: CallPriority = CallPriority.READ
    ) -> CrmAccount: ...

    async def fetch_pipelines(self, link: CrmLink) -> tuple[Pipeline, ...]: ...

    async def fetch_lead(self, link: CrmLink, lead_id: int) -> Lead | None: ...

    async def fetch_contact(self, link: CrmLink, contact_id: int) -> Contact | None: ...


class SettingsPort(Protocol):
    """How the account is set up."""

    async def fetch_fields(
        self, link: CrmLink, kind: EntityKind, priority: CallPriority = CallPriority.SYNC
    ) -> tuple[Field, ...]: ...

    async def fetch_users(self, link: CrmLink) -> tuple[CrmUser, ...]:
        """Return the people of the account; only an administrator's token may ask."""
        ...

    async def fetch_tags(self, link: CrmLink, kind: EntityKind, page: PageRequest) -> Batch[Tag]: ...

    async def fetch_salesbots(
        self, link: CrmLink, priority: CallPriority = CallPriority.SYNC
    ) -> tuple[Salesbot, ...]:
        """Raise NotFound("crm_not_found") where the brand has no list of them."""
        ...

    async def fetch_channels(self, link: CrmLink, page: PageRequest) -> Batch[Channel]:
        """Return where the chats of this page come from: the CRM has no list of channels."""
        ...


class EntitiesPort(Protocol):
    """Records page by page, with their custom fields. At the priority of a sync."""

    async def fetch_contacts(self, link: CrmLink, page: PageRequest) -> Batch[ContactRecord]: ...

    async def fetch_leads(self, link: CrmLink, page: PageRequest) -> Batch[LeadRecord]: ...

    async def fetch_companies(self, link: CrmLink, page: PageRequest) -> Batch[CompanyRecord]: ...


class ArchivePort(Protocol):
    """What else the account holds."""

    async def fetch_catalogs(self, link: CrmLink) -> tuple[Catalog, ...]: ...

    async def fetch_catalog_elements(
        self, link: CrmLink, catalog_id: int, page: PageRequest
    ) -> Batch[CatalogElement]: ...

    async def fetch_unsorted(self, link: CrmLink, page: PageRequest) -> Batch[UnsortedLead]: ...

    async def fetch_log(
        self, link: CrmLink, page: PageRequest, *, types: tuple[str, ...] = ()
    ) -> Batch[LogEntry]:
        """Return what happened, by the CRM's own names of events; `since` is when it happened."""
        ...

    async def fetch_links(self, link: CrmLink, kind: EntityKind, entity_id: int) -> tuple[Link, ...]: ...

    async def fetch_notes(
        self, link: CrmLink, kind: EntityKind, entity_id: int, page: PageRequest
    ) -> Batch[NoteRecord]: ...

    async def fetch_file(self, link: CrmLink, uuid: str) -> DriveFile | None: ...


class TasksPort(Protocol):
    async def create_task(self, link: CrmLink, task: NewTask) -> int: ...

    async def find_task(
        self,
        link: CrmLink,
        lead_id: int,
        text: str,
        since: datetime,
        *,
        kind: RecordKind = "lead",
        known: frozenset[int] = frozenset(),
    ) -> int | None:
        """Read back a task whose creation's outcome is unknown; those `known` are others."""
        ...


class ChangesPort(Protocol):
    """Writing deals and contacts. What was not confirmed is found by its name or text, as none of `known`."""

    async def fetch_values(
        self, link: CrmLink, kind: WrittenKind, record_id: int
    ) -> Mapping[str, Held] | None:
        """Return all that can be written of a record, as it is now; None if there is none such."""
        ...

    async def update_record(
        self,
        link: CrmLink,
        kind: WrittenKind,
        record_id: int,
        values: Mapping[str, Held],
        current: Mapping[str, Held],
    ) -> None:
        """Write these values and no others. `current` is what the record has: tags are written as steps."""
        ...

    async def create_record(self, link: CrmLink, kind: WrittenKind, made: Create) -> int: ...

    async def find_record(
        self, link: CrmLink, kind: WrittenKind, made: Create, since: datetime, known: frozenset[int]
    ) -> int | None:
        """Return the newest record of this name that is not older, none of those that are `known`, and has no
        other phone and no other e-mail than was written.

        No mark of ours could make it exact: `request_id` the CRM returns and does not keep, and a tag or a
        field of ours would stay in the customer's CRM.
        """
        ...

    async def link_contact(self, link: CrmLink, lead_id: int, contact_id: int) -> None:
        """Make the contact the deal's main one. Linked twice is linked once."""
        ...

    async def create_note(self, link: CrmLink, new: NewNote) -> int:
        """Leave a note on a record. The customer never sees it."""
        ...

    async def find_note(
        self, link: CrmLink, new: NewNote, since: datetime, known: frozenset[int]
    ) -> int | None: ...


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
        """Put a file into the account's drive. Returns its uuid.

        It may be repeated whatever has happened, and so never raises OutcomeUnknown: a file shows nowhere
        before a message names it, and what a broken attempt has left in the drive is named by none.
        """
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

    def read_hook_fields(self, listed: object, types: Mapping[int, str]) -> tuple[FieldValue, ...]:
        """Read custom fields in a delivery's form; `types` by the field's number, as the account lists them.

        A field without a type is kept as it came.
        """
        ...

    def read_stored(self, payload: Mapping[str, object]) -> Webhook:
        """Read a delivery again from what was kept of it."""
        ...


class BotsPort(Protocol):
    """Replies by way of the account's Salesbots: their field, their run, and the bot that waits for us."""

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


# Whether the reply is still the caller's to send; asked in a transaction, it stays so until its end.
Still = Callable[[Session], Awaitable[bool]]


class ReplyTransport(Protocol):
    """One way for a reply. The dialog's fence stands between `prepare` and `send`, and `begin` within it."""

    @property
    def route(self) -> ReplyRoute: ...

    async def prepare(self, link: CrmLink, reply: Reply, still: Still) -> datetime | None:
        """Do all that may be done before the fence, and see that `send` need not wait.

        `still` is asked right before anything is written: who has lost the reply to another writes nothing.
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


class LogPort(Protocol):
    """What happened in the CRM by its own log, for what no webhook told."""

    async def list_seen(
        self, link: CrmLink, since: datetime, until: datetime
    ) -> tuple[tuple[Seen, ...], bool]:
        """Return messages and moved deals of these seconds, oldest first, and whether that is all."""
        ...

    async def list_letters(self, link: CrmLink, since: datetime, until: datetime) -> tuple[SeenLetter, ...]:
        """Return the letters of these seconds, of customers and colleagues, oldest first, those at deals
        before those at contacts; of some thousands the latest. One may lie at several records.
        """
        ...

    async def fetch_letter(self, link: CrmLink, seen: SeenLetter) -> Mapping[str, object]:
        """Return a letter as a delivery `letter[add]` would have told it; empty if it is gone or none."""
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


class CrmPort(
    GrantsPort,
    RecordsPort,
    SettingsPort,
    EntitiesPort,
    ArchivePort,
    TasksPort,
    ChangesPort,
    ChatsPort,
    HooksPort,
    LogPort,
    BotsPort,
    Protocol,
):
    """Everything the platform asks of a CRM."""
