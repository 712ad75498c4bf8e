"""What an emulated account holds. Plain records and the indexes that keep lookups flat."""

import itertools
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal
from uuid import uuid4

from gptagent.sandbox.faults import FaultBook
from gptagent.sandbox.kommo.knobs import Knobs, RestFault

WON, LOST = 142, 143
INCOMING_STAGE_TYPE = 1
LEDGER_ENTRIES = 200_000
LOG_ENTRIES = 20_000

AuthorType = Literal["external", "internal", "bot"]
EntityKind = Literal["leads", "contacts", "companies"]
ENTITY_KINDS: tuple[EntityKind, ...] = ("leads", "contacts", "companies")
FieldValues = list[dict[str, object]]


@dataclass(slots=True)
class User:
    id: int
    name: str
    email: str
    amojo_id: str
    is_admin: bool = False
    is_active: bool = True


@dataclass(slots=True)
class Stage:
    id: int
    name: str
    sort: int
    color: str
    type: int = 0


@dataclass(slots=True)
class Pipeline:
    id: int
    name: str
    sort: int
    is_main: bool
    stages: dict[int, Stage]
    is_archive: bool = False

    def first_open_stage(self) -> int:
        return next(stage.id for stage in self.stages.values() if stage.type != INCOMING_STAGE_TYPE)

    def incoming_stage(self) -> int:
        return next(stage.id for stage in self.stages.values() if stage.type == INCOMING_STAGE_TYPE)


@dataclass(slots=True)
class CustomField:
    id: int
    name: str
    type: str
    code: str | None
    sort: int
    enums: dict[int, tuple[str, str | None]] = field(default_factory=dict)
    is_api_only: bool = False
    currency: str | None = None
    # of chained_list: its lists in their order; of linked_entity: contacts, companies, or a list's number
    catalogs: list[int] = field(default_factory=list)
    search_in: str | None = None


@dataclass(slots=True)
class Tag:
    id: int
    name: str
    color: str | None = None


@dataclass(slots=True)
class Bot:
    """`text` is what a plain bot prints; a `widget` (salesbots.py) is asked when a customer writes."""

    id: int
    name: str
    text: str = ""
    widget: object | None = None


@dataclass(slots=True)
class Catalog:
    """A list of the account; its elements are records as leads are."""

    id: int
    name: str
    type: str
    fields: dict[int, CustomField] = field(default_factory=dict)
    elements: dict[int, "Entity"] = field(default_factory=dict)


@dataclass(slots=True)
class LogEntry:
    """A line of the account's log of events; `value_after` and `value_before` as the vendor shows them."""

    id: str
    type: str
    entity_type: str
    entity_id: int
    created_by: int
    created_at: int
    value_after: list[dict[str, object]]
    value_before: list[dict[str, object]]


@dataclass(slots=True)
class Entity:
    """What leads, contacts and companies share. Price, stage and `closed_at` are of leads only."""

    id: int
    name: str
    responsible_user_id: int
    created_by: int
    updated_by: int
    created_at: int
    updated_at: int
    price: int = 0
    pipeline_id: int = 0
    status_id: int = 0
    closed_at: int | None = None
    loss_reason_id: int | None = None
    first_name: str = ""
    last_name: str = ""
    values: dict[int, FieldValues] = field(default_factory=dict)
    tags: dict[int, str] = field(default_factory=dict)
    links: list[int] = field(default_factory=list)
    companies: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Task:
    id: int
    text: str
    complete_till: int
    task_type_id: int
    entity_type: str | None
    entity_id: int | None
    responsible_user_id: int
    created_by: int
    created_at: int
    updated_at: int
    duration: int = 0
    is_completed: bool = False
    result_text: str | None = None


@dataclass(slots=True)
class Note:
    id: int
    entity_id: int
    note_type: str
    params: dict[str, object]
    created_by: int
    created_at: int


@dataclass(slots=True)
class Message:
    """`seq` counts within the chat, `at` is the exact time; `created_at` is what the vendor shows."""

    id: str
    seq: int
    chat_id: str
    talk_id: int
    text: str
    at: float
    author_type: AuthorType
    author_id: str
    author_name: str
    user_id: int | None = None
    refused_by_channel: bool = False
    attachment: dict[str, str] | None = None

    @property
    def created_at(self) -> int:
        return int(self.at)


@dataclass(slots=True)
class Talk:
    id: int
    chat_id: str
    contact_id: int
    lead_id: int
    origin: str
    created_at: int
    updated_at: int
    is_open: bool = True
    is_read: bool = False
    messages: list[Message] = field(default_factory=list)


@dataclass(slots=True)
class Chat:
    id: str
    name: str
    origin: str
    contact_id: int
    lead_id: int
    talk_id: int
    client_id: str
    source_id: int
    messages: list[Message] = field(default_factory=list)


@dataclass(slots=True)
class Token:
    value: str
    scopes: frozenset[str]
    expires_at: int
    revoked: bool = False
    used: bool = False


@dataclass(slots=True)
class Subscription:
    id: int
    destination: str
    settings: list[str]
    sort: int
    created_by: int
    created_at: int
    updated_at: int
    disabled: bool = False
    invalid_answers: deque[float] = field(default_factory=deque)


@dataclass(slots=True)
class Ledger:
    """Everything the account accepted from the other side, in order; `n` of an entry never repeats."""

    entries: deque[dict[str, object]] = field(default_factory=lambda: deque(maxlen=LEDGER_ENTRIES))
    counter: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def record(self, kind: str, **facts: object) -> None:
        self.entries.append({"n": next(self.counter), "kind": kind, "at": time.time(), **facts})


@dataclass(slots=True)
class StoredFile:
    """A file of the drive, or one that came with a customer's message."""

    uuid: str
    name: str
    mime: str
    size: int
    content: bytes = b""


@dataclass(slots=True)
class Traffic:
    """Counts of the requests an account got, and the bucket that limits them."""

    requests: int = 0
    limited: int = 0
    peak_per_second: int = 0
    recent: deque[float] = field(default_factory=deque)
    tokens: float = 0.0
    filled_at: float = 0.0
    violations: deque[float] = field(default_factory=deque)
    blocked_until: float = 0.0


@dataclass(slots=True)
class Account:
    id: int
    subdomain: str
    name: str
    amojo_id: str
    created_at: int
    is_unsorted_on: bool
    users: dict[int, User]
    pipelines: dict[int, Pipeline]
    fields: dict[EntityKind, dict[int, CustomField]]
    tokens: dict[str, Token] = field(default_factory=dict)
    leads: dict[int, Entity] = field(default_factory=dict)
    contacts: dict[int, Entity] = field(default_factory=dict)
    companies: dict[int, Entity] = field(default_factory=dict)
    tags: dict[EntityKind, dict[int, Tag]] = field(
        default_factory=lambda: {kind: {} for kind in ENTITY_KINDS}
    )
    bots: dict[int, Bot] = field(default_factory=dict)
    catalogs: dict[int, Catalog] = field(default_factory=dict)
    loss_reasons: dict[int, str] = field(default_factory=dict)
    files: dict[str, "StoredFile"] = field(default_factory=dict)
    log: deque[LogEntry] = field(default_factory=lambda: deque(maxlen=LOG_ENTRIES))
    hidden: set[int] = field(default_factory=set)
    tasks: dict[int, Task] = field(default_factory=dict)
    tasks_by_entity: dict[tuple[str | None, int | None], list[Task]] = field(
        default_factory=lambda: defaultdict(list)
    )
    notes: dict[tuple[EntityKind, int], list[Note]] = field(default_factory=lambda: defaultdict(list))
    chats: dict[str, Chat] = field(default_factory=dict)
    talks: dict[int, Talk] = field(default_factory=dict)
    talks_by_contact: dict[int, list[Talk]] = field(default_factory=lambda: defaultdict(list))
    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    pipeline_hooks: dict[str, list[str]] = field(default_factory=dict)
    gone: dict[tuple[EntityKind, int], Entity] = field(default_factory=dict)
    sent: int = 0
    salesbots: object | None = None  # salesbots.py: it needs the desk, which needs this
    heard: Callable[[Chat, str], None] | None = None  # who listens to customers inside the CRM
    knobs: Knobs = field(default_factory=Knobs)
    faults: FaultBook[RestFault] = field(default_factory=FaultBook)
    ledger: Ledger = field(default_factory=Ledger)
    traffic: Traffic = field(default_factory=Traffic)

    @property
    def main_user(self) -> int:
        return next(iter(self.users))

    @property
    def main_pipeline(self) -> Pipeline:
        return next(pipeline for pipeline in self.pipelines.values() if pipeline.is_main)

    def entities(self, kind: EntityKind) -> dict[int, Entity]:
        tables = {"leads": self.leads, "contacts": self.contacts, "companies": self.companies}
        return tables[kind]


class Ids:
    """Numbers that grow over all accounts and do not start again with the process.

    A product that keeps its database over a restart of the emulator would else meet old numbers anew.
    """

    def __init__(self) -> None:
        start = 10_000_000 + int(time.time()) % 80_000_000
        self._counter = itertools.count(start)

    def next(self) -> int:
        return next(self._counter)


@dataclass(slots=True)
class World:
    accounts: dict[str, Account] = field(default_factory=dict)
    ids: Ids = field(default_factory=Ids)
    traffic: Traffic = field(default_factory=Traffic)
    default_knobs: Knobs = field(default_factory=Knobs)
    default_faults: list[RestFault] = field(default_factory=list)


def new_uuid() -> str:
    return str(uuid4())


def now() -> int:
    return int(time.time())
