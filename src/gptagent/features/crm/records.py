"""Records of a CRM's account, as its port hands them out. Times are aware, money is whole units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from gptagent.features.crm.values import FieldValue

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """One page of a list."""

    items: tuple[T, ...]
    has_more: bool


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Page `number` (from 1) of what changed at or after `since`; without it, of everything.

    `filtered`: whether the account's plan lets lists be filtered. Where it does not, the adapter reads the
    latest changes first and ends the list by itself.
    """

    number: int = 1
    since: datetime | None = None
    filtered: bool = True


@dataclass(frozen=True, slots=True)
class FieldEnum:
    id: int
    value: str
    sort: int = 0
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A custom field of an entity kind. Of an unknown `type` its values are read and never written.

    `catalogs`: the lists that a chain of lists goes through. `links_to`: what a link may point to,
    `contacts`, `companies`, `contacts_and_companies` or the number of a list; None: to anything.
    """

    id: int
    name: str
    type: str
    code: str | None
    sort: int
    enums: tuple[FieldEnum, ...] = ()
    is_api_only: bool = False
    is_known: bool = True
    catalogs: tuple[int, ...] = ()
    links_to: str | None = None


@dataclass(frozen=True, slots=True)
class CrmUser:
    """A person with a log-in to the CRM. `rights` as the CRM lists them (A all, G group, M own, D none)."""

    id: int
    name: str = field(repr=False)
    is_active: bool
    is_admin: bool
    group_id: int | None = None
    rights: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tag:
    id: int
    name: str
    color: str | None = None


@dataclass(frozen=True, slots=True)
class Salesbot:
    id: int
    name: str
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Channel:
    """Where customers write from: the kind of messenger, and the CRM's number of the connected one."""

    origin: str
    source_id: int | None = None


@dataclass(frozen=True, slots=True)
class ContactRecord:
    id: int
    name: str = field(repr=False)
    first_name: str = field(repr=False)
    last_name: str = field(repr=False)
    phones: tuple[str, ...] = field(repr=False)
    emails: tuple[str, ...] = field(repr=False)
    responsible_user_id: int | None
    fields: tuple[FieldValue, ...] = field(repr=False)
    tags: tuple[Tag, ...]
    lead_ids: tuple[int, ...]
    company_ids: tuple[int, ...]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class CompanyRecord:
    id: int
    name: str
    phones: tuple[str, ...] = field(repr=False)
    emails: tuple[str, ...] = field(repr=False)
    responsible_user_id: int | None
    fields: tuple[FieldValue, ...] = field(repr=False)
    tags: tuple[Tag, ...]
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class LeadRecord:
    """`contact_ids` begin with the main one. `loss_reason` is only there where a deal was lost for one."""

    id: int
    name: str
    price: int | None
    pipeline_id: int | None
    stage_id: int | None
    responsible_user_id: int | None
    fields: tuple[FieldValue, ...] = field(repr=False)
    tags: tuple[Tag, ...]
    contact_ids: tuple[int, ...]
    company_ids: tuple[int, ...]
    loss_reason: str | None
    closed_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Catalog:
    """A list of the account: products, invoices, or one of its own making."""

    id: int
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class CatalogElement:
    id: int
    name: str
    fields: tuple[FieldValue, ...]


@dataclass(frozen=True, slots=True)
class UnsortedLead:
    """A request nobody has accepted yet; a chat's names the deal it will become."""

    uid: str
    category: str
    pipeline_id: int | None
    created_at: datetime
    lead_id: int | None = None
    contact_ids: tuple[int, ...] = ()
    chat_id: str | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What happened to a record, as the CRM's own log of events has it."""

    id: str
    type: str
    entity_type: str
    entity_id: int
    created_by: int
    created_at: datetime
    after: tuple[Mapping[str, object], ...] = ()
    before: tuple[Mapping[str, object], ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """What a record is linked to."""

    entity_type: str
    entity_id: int
    is_main: bool = False


@dataclass(frozen=True, slots=True)
class NoteRecord:
    id: int
    kind: str
    text: str = field(repr=False)
    created_by: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class DriveFile:
    """A file of the account's storage; `download_url` is the vendor's and not to be trusted unchecked."""

    uuid: str
    name: str
    size: int
    mime: str
    download_url: str
