"""What a CRM reports besides chats, and a delivery of it as it is kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from gptagent.features.crm.records import Tag

RecordKind = Literal["lead", "contact", "company", "customer"]
RecordChange = Literal["added", "updated", "deleted", "restored"]
IncomingChange = Literal["added", "updated", "accepted", "declined", "deleted"]
TaskChange = Literal["added", "updated", "deleted"]
Trigger = Literal["mail_in", "call_in", "chat", "site_visit"]
NoteKind = Literal["text", "file", "call_in", "call_out", "other"]

DeliveryState = Literal["received", "processed", "failed", "dead", "ignored"]
DeliverySource = Literal["webhook", "poll"]
# After the first failure 5 minutes pass, then 10, and so on; after the last of them a delivery is dead.
RETRY_DELAYS = tuple(timedelta(minutes=minutes) for minutes in (5, 10, 20, 40, 60))


@dataclass(frozen=True, slots=True)
class RecordRef:
    """Which record something belongs to."""

    kind: RecordKind
    id: int


@dataclass(frozen=True, slots=True)
class ContactChanged:
    """A contact or a company, told apart by `record.kind`. Absent values are None; see `LeadChanged`."""

    record: RecordRef
    change: RecordChange
    name: str | None = None
    responsible_user_id: int | None = None
    old_responsible_user_id: int | None = None
    linked_lead_ids: tuple[int, ...] = ()
    company_id: int | None = None
    fields: object = field(default=None, repr=False)
    tags: tuple[Tag, ...] | None = None
    changed_at: datetime | None = None
    changed_by: int | None = None


@dataclass(frozen=True, slots=True)
class CustomerChanged:
    """A customer record of amoCRM."""

    customer_id: int
    change: RecordChange
    name: str | None = None
    responsible_user_id: int | None = None
    fields: object = field(default=None, repr=False)
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A call as its note tells of it. `seconds` is 0 where nobody spoke."""

    phone: str
    seconds: int
    is_missed: bool


@dataclass(frozen=True, slots=True)
class NoteAdded:
    """A note, a file, or a call; `call` is there for calls only."""

    note_id: int
    record: RecordRef
    kind: NoteKind
    text: str
    created_by: int | None = None
    responsible_user_id: int | None = None
    call: Call | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TaskChanged:
    """A task of the CRM. Of a deleted one only the id is known."""

    task_id: int
    change: TaskChange
    record: RecordRef | None = None
    kind: int | None = None
    text: str | None = None
    old_text: str | None = None
    is_done: bool | None = None
    result: str | None = None
    due_at: datetime | None = None
    responsible_user_id: int | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class IncomingLeadChanged:
    """An incoming lead nobody has sorted yet, or what became of it. `text`: the customer's first words."""

    uid: str
    change: IncomingChange
    category: str
    lead_ids: tuple[int, ...] = ()
    contact_ids: tuple[int, ...] = ()
    pipeline_id: int | None = None
    source: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class CatalogItemChanged:
    catalog_id: int
    item_id: int
    change: RecordChange
    name: str | None = None


@dataclass(frozen=True, slots=True)
class LeadTriggered:
    """An automation of the CRM's own fired: a letter or call came in, somebody wrote or visited the site."""

    lead_id: int
    trigger: Trigger
    pipeline_id: int | None
    stage_id: int | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as lists show it. `error`: the code of why it failed or was ignored."""

    id: UUID
    connection_id: UUID
    source: DeliverySource
    kind: str
    state: DeliveryState
    attempts: int
    error: str | None
    received_at: datetime
    processed_at: datetime | None
    retry_at: datetime | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """What is known of a delivery when it comes. `refs`: the ids and numbers of what it speaks of."""

    id: UUID
    connection_id: UUID
    source: DeliverySource
    kind: str
    refs: list[str]
    received_at: datetime


@dataclass(frozen=True, slots=True)
class End:
    """How an attempt ended. `retry_at`, `job_id`: when and by which job it is tried again."""

    state: DeliveryState
    attempts: int
    error: str | None
    processed_at: datetime | None = None
    retry_at: datetime | None = None
    job_id: int | None = None


@dataclass(frozen=True, slots=True)
class Merged:
    """What the mirror made of a deal's change. `is_news`: it was not known, and not older than what was."""

    is_news: bool
    has_moved: bool


@dataclass(frozen=True, slots=True)
class FullDelivery:
    """`payload` is None where it was not kept, or where the reader may not see it."""

    delivery: Delivery
    payload: Mapping[str, object] | None = field(repr=False)
    is_withheld: bool = False


@dataclass(frozen=True, slots=True)
class DeliveryCounts:
    """How many deliveries are kept. `ok` were acted on or need no action."""

    all: int
    ok: int
    waiting: int
    failed: int


@dataclass(frozen=True, slots=True)
class HookHealth:
    """Whether the CRM still reports to us.

    `state`: `unknown` (not looked yet), `subscribed`, `refused` (`error` has the code why). `restored_at`:
    when the subscription last had to be made anew; `failed_at`: when a delivery could not be acted on.
    """

    state: Literal["unknown", "subscribed", "refused"]
    error: str | None
    codes: tuple[str, ...]
    checked_at: datetime | None
    restored_at: datetime | None
    last_delivery_at: datetime | None
    failed_at: datetime | None


@dataclass(frozen=True, slots=True)
class HookSubscription:
    """What the CRM has on record about our address."""

    codes: frozenset[str]
    is_disabled: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """Something the CRM's log says happened: a message in a talk, or a deal that moved."""

    happened_at: datetime
    kind: Literal["incoming", "outgoing", "moved"]
    record: RecordRef | None
    by_user_id: int | None
    message_id: str = ""
    talk_id: int | None = None
    origin: str = ""
    pipeline_id: int | None = None
    stage_id: int | None = None
    old_pipeline_id: int | None = None
    old_stage_id: int | None = None


@dataclass(frozen=True, slots=True)
class SeenLetter:
    """A letter the CRM's log tells of, by the note it has left at a deal or a contact."""

    happened_at: datetime
    record: RecordRef
    note_id: int


def retry_delay(attempts: int) -> timedelta | None:
    """Return the pause after so many failed attempts; None when there are no more to come."""
    return RETRY_DELAYS[attempts - 1] if attempts <= len(RETRY_DELAYS) else None
