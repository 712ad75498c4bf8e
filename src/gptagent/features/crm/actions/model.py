"""Actions in the CRM, and the values they write, as they are asked for, kept and shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

import msgspec

from gptagent.features.crm.mirror.model import (
    MirroredField,
    MirroredPipeline,
    MirroredSalesbot,
    MirroredUser,
)
from gptagent.features.crm.values import (
    Choice,
    FieldValue,
    File,
    Labelled,
    LegalEntity,
    Linked,
    Moment,
    Number,
    Value,
)

WrittenKind = Literal["leads", "contacts"]
ActionState = Literal["pending", "sending", "done", "failed", "unknown"]
ActionKind = Literal[
    "create_lead",
    "update_lead",
    "create_contact",
    "update_contact",
    "change_stage",
    "change_responsible",
    "add_tags",
    "create_task",
    "add_note",
    "create_call_note",
    "create_meeting_note",
    "run_salesbot",
    "send_email",
    "revert",
]
NoteKind = Literal["common", "call_in", "call_out", "meeting"]

# The CRM keeps the midnight of its own time zone of a date.
DATE_SLACK = timedelta(days=1)


class Plain(msgspec.Struct, frozen=True, tag="plain"):
    """A name, a price, the number of a person. None: empty."""

    value: str | int | None


class Place(msgspec.Struct, frozen=True, tag="place"):
    """Where a deal stands."""

    pipeline_id: int
    stage_id: int


class Tags(msgspec.Struct, frozen=True, tag="tags"):
    names: tuple[str, ...]


class Custom(msgspec.Struct, frozen=True, tag="custom"):
    field: FieldValue


Held = Plain | Place | Tags | Custom
Values = Mapping[str, Held]


class Update(msgspec.Struct, frozen=True, tag="update"):
    """Write these values. `expected`: only if the record still has them, which a revert insists on.

    `keep`: those of the values that are written only where the record has none.
    """

    values: dict[str, Held] = msgspec.field(default_factory=dict)
    tags_add: tuple[str, ...] = ()
    tags_remove: tuple[str, ...] = ()
    expected: dict[str, Held] = msgspec.field(default_factory=dict)
    reverts: UUID | None = None
    keep: tuple[str, ...] = ()


class Create(msgspec.Struct, frozen=True, tag="create"):
    """Make a record of this name; a deal may belong to a contact.

    `lead_id`: the deal that a contact is made for; it gets no second one.
    """

    name: str
    values: dict[str, Held] = msgspec.field(default_factory=dict)
    contact_id: int | None = None
    lead_id: int | None = None


class Task(msgspec.Struct, frozen=True, tag="task"):
    """`due_at` is aware; that the CRM wants seconds is the adapter's business."""

    text: str
    due_at: datetime
    type_id: int = 1
    responsible_user_id: int | None = None


class Note(msgspec.Struct, frozen=True, tag="note"):
    """`duration` in seconds, `phone` and `link` (of a recording) are of calls."""

    kind: NoteKind
    text: str = ""
    duration: int = 0
    phone: str = ""
    link: str = ""


class Email(msgspec.Struct, frozen=True, tag="email"):
    """Templates of subject and text, and what their places stand for; `lead_id`: the deal they may name."""

    subject: str
    text: str
    variables: dict[str, str] = msgspec.field(default_factory=dict)
    lead_id: int | None = None


class BotRun(msgspec.Struct, frozen=True, tag="bot_run"):
    bot_id: int


Request = Update | Create | Task | Note | Email | BotRun


@dataclass(frozen=True, slots=True)
class Known:
    """How the account is set up, as far as it was synced; what is gone from it is listed too.

    `contacts`: names of the contacts that are about to be linked to, as far as the account has them.
    """

    pipelines: Sequence[MirroredPipeline]
    fields: Sequence[MirroredField]
    users: Sequence[MirroredUser]
    salesbots: Sequence[MirroredSalesbot]
    contacts: Mapping[int, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class NewNote:
    """A note on a record. `uniq` names a call for the CRM and for us."""

    entity: WrittenKind
    entity_id: int
    note: Note
    uniq: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why something was done: the message or the turn of a conversation, or a reason in words."""

    conversation_id: UUID | None = None
    message_seq: int | None = None
    turn_id: UUID | None = None
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Promise:
    """An action as it is asked for. `record_id` is None for a record that is to be made."""

    connection_id: UUID
    kind: ActionKind
    entity: WrittenKind
    record_id: int | None
    request: Request
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Action:
    id: UUID
    connection_id: UUID
    kind: ActionKind
    entity: WrittenKind
    entity_id: int | None
    state: ActionState
    external_id: int | None
    error_code: str | None
    error_detail: str | None = field(repr=False)
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Change:
    """A line of the journal. `reverted_at`: when another line took it back."""

    id: UUID
    action_id: UUID
    entity: WrittenKind
    entity_id: int
    key: str
    before: Held | None = field(repr=False)
    after: Held = field(repr=False)
    reverts: UUID | None
    created_at: datetime
    written_at: datetime | None
    actor_kind: str
    actor_id: UUID | None
    evidence: Evidence
    state: ActionState
    error_code: str | None
    reverted_at: datetime | None
    is_being_reverted: bool

    @property
    def may_be_reverted(self) -> bool:
        return (
            self.before is not None
            and self.written_at is not None
            and self.reverted_at is None
            and not self.is_being_reverted
        )


def field_key(field_id: int) -> str:
    return f"field:{field_id}"


def field_id_of(key: str) -> int | None:
    return int(key.removeprefix("field:")) if key.startswith("field:") else None


def held_in(values: Values, key: str, like: Held | None = None) -> Held:
    """Return what a record has there. A custom field it does not list is empty, of the kind of `like`."""
    found = values.get(key)
    if found is not None:
        return found
    field_id = field_id_of(key)
    if isinstance(like, Custom):
        return Custom(msgspec.structs.replace(like.field, values=()))
    if field_id is not None:
        return Custom(FieldValue(field_id, "", ()))
    return Tags(()) if key == "tags" else Plain(None)


def same(one: Held | None, other: Held | None, *, slack: timedelta = timedelta(0)) -> bool:
    """Whether both say the same, however it is written. Dates may differ by less than `slack`."""
    match one, other:
        case Custom(field=a), Custom(field=b):
            return len(a.values) == len(b.values) and all(
                _alike(x, y, slack) for x, y in zip(a.values, b.values, strict=True)
            )
        case Tags(names=a_names), Tags(names=b_names):
            return {name.casefold() for name in a_names} == {name.casefold() for name in b_names}
        case Plain(value=x), Plain(value=y):
            return (x or None) == (y or None)
    return one == other


def _alike(one: Value, other: Value, slack: timedelta) -> bool:
    match one, other:
        case Choice(), Choice():
            if one.enum_id is not None and other.enum_id is not None:
                return one.enum_id == other.enum_id
            return one.label == other.label
        case Labelled(), Labelled():
            return (one.text, one.code) == (other.text, other.code)
        case Number(), Number():
            return one.number == other.number
        case Moment(), Moment():
            return one.at == other.at or abs(one.at - other.at) < slack
    return _meant(one) == _meant(other)


def _meant(value: Value) -> object:
    """Return what counts of an object: the CRM adds the name a record has by then, and empty facts."""
    match value:
        case Linked():
            return value.entity_id, value.entity_type, value.catalog_id
        case File():
            return value.uuid, value.version
        case LegalEntity():
            return _stated(value)
    return value


def _stated(one: LegalEntity) -> dict[str, str]:
    """Return what is filled in, as text: the CRM keeps some of its numbers as such."""
    named = {"name": one.name, "type": one.entity_type, "vat_id": one.vat_id, "address": one.address}
    return {key: str(fact) for key, fact in {**one.other, **named}.items() if fact not in {None, ""}}


_ENCODER = msgspec.json.Encoder()
_REQUEST = msgspec.json.Decoder(Request)


def pack(value: Request | Held) -> str:
    return _ENCODER.encode(value).decode()


def read_request(text: str) -> Request:
    found: Request = _REQUEST.decode(text)
    return found


def read_held(text: str | None) -> Held | None:
    return None if text is None else msgspec.json.decode(text, type=Held)
