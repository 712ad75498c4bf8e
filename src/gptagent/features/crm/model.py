"""The CRM as the platform sees it, whatever its vendor."""

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import Literal
from uuid import UUID

from gptagent.features.crm.deliveries.model import (
    CatalogItemChanged,
    ContactChanged,
    CustomerChanged,
    IncomingLeadChanged,
    LeadTriggered,
    NoteAdded,
    RecordKind,
    TaskChanged,
)
from gptagent.features.crm.records import Tag
from gptagent.features.crm.values import FieldValue


class CallPriority(IntEnum):
    """Who goes first when an account's calls are scarce."""

    SEND = 0
    READ = 1
    SYNC = 2


ConnectionStatus = Literal["connected", "broken"]
Brand = Literal["kommo", "amocrm"]
# talk: straight into the talk. salesbot: a field of the deal, and the run of a bot that sends what it holds.
# widget: the answer to a bot of the account that waits for it.
# mail: a letter, by the platform's mail server, in answer to one of the customer's.
ReplyRoute = Literal["talk", "salesbot", "widget", "mail"]


def brand_of(host: str) -> Brand:
    """Return whose rules an account lives by: amocrm.ru has its own limits, prices and languages."""
    return "amocrm" if host.endswith((".amocrm.ru", ".amocrm.test")) else "kommo"


def same_words(one: str, other: str) -> bool:
    """CRMs trim, re-wrap and escape what they are given: compare the words only."""
    return html.unescape(one).split() == html.unescape(other).split()


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
    brand: Brand = "kommo"
    client_id: str | None = None  # of the integration the token belongs to, if the token says so
    access_kind: Literal["long_lived", "oauth"] = "long_lived"
    access_expires_at: datetime | None = None
    scopes: list[str] | None = None  # what the token allows; None: it does not say
    is_active: bool = True  # off: nothing is answered there, and nothing asked of it
    active_since: datetime | None = None  # what came before stays unanswered; None: it never was off
    reads_daily: bool = True
    currency: str | None = None  # ISO 4217, of the deals' values; None until the account has told


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
    """`currency` is the code of ISO 4217 in which deals are valued, None if the CRM does not say;
    `filters_lists`: whether its lists can be asked for what changed since some time.
    """

    id: int
    subdomain: str
    name: str
    can_send_messages: bool
    currency: str | None = None
    filters_lists: bool = True


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
    fields: tuple[FieldValue, ...] = ()
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    id: int
    name: str


@dataclass(frozen=True, slots=True)
class NewTask:
    """`due_at` is aware; the CRM's seconds are the adapter's business. `lead_id` is the id of its record."""

    lead_id: int
    text: str
    due_at: datetime
    responsible_user_id: int | None = None
    kind: RecordKind = "lead"
    type_id: int = 1  # 1 to follow up, 2 a meeting


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """A message as the CRM lists it (read-back, reconciliation)."""

    id: str
    direction: Literal["incoming", "outgoing"]
    author: Literal["customer", "human", "bot"]
    text: str
    sent_at: datetime
    delivery_status: str | None = None
    attachment_name: str | None = None
    attachment_url: str | None = None


AuthorKind = Literal["customer", "human", "bot"]

MAIL = "mail"  # the origin of conversations by e-mail


@dataclass(frozen=True, slots=True)
class Letter:
    """Where an e-mail conversation goes on: what the last letter was about, the customer's address, and the
    mailbox of the company it was written to or from.
    """

    subject: str
    address: str = field(repr=False)
    mailbox: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A message the CRM reported: the customer's, or one that a person or another bot wrote.

    `letter` is there for e-mail, of which the CRM tells only the beginning.
    """

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
    attachment_name: str | None = None
    letter: Letter | None = None


@dataclass(frozen=True, slots=True)
class LeadChanged:
    """A lead was added, changed or moved. Absent values are None: the thin form carries few.

    `changed_at` is the CRM's own time of the change; the thin form has none. `changed_by` 0 is a robot.
    `fields` are the custom fields in the delivery's own form, which does not name their types: see
    `HooksPort.read_hook_fields`.
    """

    lead_id: int
    change: Literal["added", "updated", "moved", "deleted", "restored", "responsible"]
    pipeline_id: int | None
    stage_id: int | None
    name: str | None = None
    responsible_user_id: int | None = None
    old_pipeline_id: int | None = None
    old_stage_id: int | None = None
    old_responsible_user_id: int | None = None
    price: int | None = None
    changed_at: datetime | None = None
    changed_by: int | None = None
    fields: object = field(default=None, repr=False)
    tags: tuple[Tag, ...] | None = None


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


CrmEvent = (
    InboundMessage
    | TalkChanged
    | LeadChanged
    | LeadTriggered
    | ContactChanged
    | CustomerChanged
    | NoteAdded
    | TaskChanged
    | IncomingLeadChanged
    | CatalogItemChanged
    | OtherEvent
)


@dataclass(frozen=True, slots=True)
class Webhook:
    """One parsed delivery. `account_id` is None when the CRM sent only a subdomain (2016 form).

    `payload` is its body as it is kept. `keys` has, for each event, what is the same in every copy of it, or
    None where a copy cannot be told from the same happening again.
    """

    account_id: int | None
    subdomain: str | None
    events: tuple[CrmEvent, ...]
    payload: Mapping[str, object] = field(default_factory=dict, repr=False)
    keys: tuple[bytes | None, ...] = ()
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Hook:
    """Where a webhook belongs, found by the secret of its path."""

    org_id: UUID
    connection_id: UUID
    account_id: int


@dataclass(frozen=True, slots=True)
class NamedId:
    """A Salesbot or a field of the account, to be chosen from a list."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class FieldText:
    """What a text field of a deal holds, and when the deal was changed last by the CRM's clock."""

    text: str | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class BotMessage:
    """An outgoing message as the event feed tells of it: without its words."""

    id: str
    talk_id: int | None
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class RobotMessage:
    """An outgoing message on a deal that the account's log tells of, without its words."""

    id: str
    lead_id: int
    sent_at: datetime


@dataclass(frozen=True, slots=True)
class WidgetRequest:
    """A bot of the account asks for a reply and waits. Nothing in it is believed before the token is."""

    token: str = field(repr=False)
    return_url: str = field(repr=False)
    lead_id: int | None
    talk_id: int | None
    text: str


@dataclass(frozen=True, slots=True)
class Download:
    """A file as the CRM handed it out; `mime` is its word, not to be trusted."""

    content: bytes = field(repr=False)
    mime: str


@dataclass(frozen=True, slots=True)
class Talk:
    """A session inside a chat, as the CRM describes it."""

    id: int
    chat_id: str
    contact_id: int | None
    lead_id: int | None
    origin: str
    is_open: bool
