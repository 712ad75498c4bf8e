"""Values of custom fields as the platform knows them, whatever form the CRM sends them in.

A kind of value is a small struct, so that the mirror can keep it as JSON and read it back as what it was.
"""

from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

EntityKind = Literal["leads", "contacts", "companies"]
ENTITY_KINDS: tuple[EntityKind, ...] = ("leads", "contacts", "companies")


class Text(msgspec.Struct, frozen=True, tag="text"):
    text: str


class Number(msgspec.Struct, frozen=True, tag="number"):
    """Money and numbers; the CRM's own decimal digits, never rounded."""

    number: Decimal


class Flag(msgspec.Struct, frozen=True, tag="flag"):
    flag: bool


class Moment(msgspec.Struct, frozen=True, tag="moment"):
    """A date, a birthday or a time of day: aware, as the CRM keeps seconds for all of them."""

    at: datetime


class Choice(msgspec.Struct, frozen=True, tag="choice"):
    """One of the field's enumerated values."""

    label: str
    enum_id: int | None = None
    code: str | None = None


class Labelled(msgspec.Struct, frozen=True, tag="labelled"):
    """A phone, an e-mail address or a line of a postal address, with what kind it is of (WORK, city, ...)."""

    text: str
    code: str | None = None
    enum_id: int | None = None


class LegalEntity(msgspec.Struct, frozen=True, tag="legal_entity", omit_defaults=True):
    """`entity_type`: 1 a person, 2 a company. `other` keeps the numbers of countries we do not name."""

    name: str
    entity_type: int | None = None
    vat_id: str | None = None
    address: str | None = None
    other: dict[str, str | int] = msgspec.field(default_factory=dict)


class Linked(msgspec.Struct, frozen=True, tag="linked"):
    """A record of the CRM that the field points to."""

    name: str
    entity_id: int
    entity_type: str
    catalog_id: int | None = None


class Chained(msgspec.Struct, frozen=True, tag="chained"):
    """One step down a chain of lists."""

    catalog_id: int
    element_id: int


class File(msgspec.Struct, frozen=True, tag="file"):
    uuid: str
    version: str | None = None
    name: str = ""
    size: int | None = None


class Raw(msgspec.Struct, frozen=True, tag="raw"):
    """A kind the platform does not know: kept as it came, and never written."""

    value: object


Value = Text | Number | Flag | Moment | Choice | Labelled | LegalEntity | Linked | Chained | File | Raw


class FieldValue(msgspec.Struct, frozen=True):
    """What one record has in one field. No values: the field is empty."""

    field_id: int
    type: str
    values: tuple[Value, ...]
    name: str = ""
    code: str | None = None

    @property
    def is_read_only(self) -> bool:
        return any(isinstance(value, Raw) for value in self.values)

    @property
    def text(self) -> str:
        """Return the values in one line, for a person to read; moments are the screen's business."""
        return ", ".join(filter(None, map(text_of, self.values)))


def text_of(value: Value) -> str:
    match value:
        case Text(text=text) | Labelled(text=text) | Choice(label=text):
            return text
        case Number(number=number):
            return f"{number:f}"
        case LegalEntity(name=name):
            return name
        case Moment(at=at):
            return at.date().isoformat()
    return _reference(value)


def _reference(value: Value) -> str:
    """Return what a value points to: by its name, else by its number."""
    match value:
        case Linked(name=name):
            return name or f"{value.entity_type} {value.entity_id}"
        case File(name=name):
            return name or value.uuid
        case Chained():
            return f"{value.catalog_id}/{value.element_id}"
    return ""


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(tuple[FieldValue, ...])


def pack(fields: tuple[FieldValue, ...]) -> str:
    """Return the fields as the JSON the mirror keeps."""
    return _ENCODER.encode(fields).decode()


def unpack(text: str) -> tuple[FieldValue, ...]:
    return _DECODER.decode(text)


def coded(fields: tuple[FieldValue, ...], code: str) -> tuple[str, ...]:
    """Return the texts of the field with this code: PHONE, EMAIL."""
    return tuple(
        value.text
        for one in fields
        if one.code == code
        for value in one.values
        if isinstance(value, Labelled | Text) and value.text
    )
