"""Values of custom fields as they are asked for, by the field's type. Pure; refusals as in `checking`.

Not written are `items`, `payer` and `supplier`: only elements of the list of invoices have them
(amocrm.ru/developers, custom-fields), and no action writes those.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from gptagent.features.crm.actions.model import Known, WrittenKind
from gptagent.features.crm.mirror.model import MirroredField
from gptagent.features.crm.records import FieldEnum
from gptagent.features.crm.values import (
    Chained,
    Choice,
    FieldValue,
    File,
    Flag,
    Labelled,
    LegalEntity,
    Linked,
    Moment,
    Number,
    Text,
    Value,
)
from gptagent.kernel.errors import Invalid

NAME_MAX_CHARS = 255
TEXT_MAX_CHARS = 20_000
VALUES_MAX = 40
STEPS_MAX = 5  # of a chain of lists (amocrm.ru/developers, custom-fields)
LARGEST_ID = 2**63 - 1

ADDRESS_PARTS = ("address_line_1", "address_line_2", "city", "state", "zip", "country")
# What the vendor keeps of a company besides its name, kind, tax number and address.
LEGAL_FACTS = frozenset(
    {
        "real_address",
        "bank_account_number",
        "director",
        "tax_registration_reason_code",
        "kpp",
        "bank_code",
        "unp",
        "bin",
        "egrpou",
        "mfo",
        "oked",
        "external_uid",
    }
)
LINKED_KINDS = ("contacts", "companies", "catalog_elements")
_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,6})?", re.ASCII)
_TEXTS = {"text", "textarea", "url", "streetaddress", "tracking_data"}
_NUMBERS = {"numeric", "price", "monetary"}
_DATES = {"date", "date_time", "birthday"}
_ONE_OF = {"select", "radiobutton", "category"}
_MOST: Mapping[str, int] = {
    **dict.fromkeys(("multiselect", "multitext"), VALUES_MAX),
    "smart_address": len(ADDRESS_PARTS),
    "chained_list": STEPS_MAX,
}
# Types whose values a customer can say in words; the others are made of parts or of numbers of records.
SAID_TYPES = _TEXTS | _NUMBERS | _DATES | _ONE_OF | {"checkbox", "multiselect", "multitext"}
CHOOSING = _ONE_OF | {"multiselect"}
_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def check_text(pointer: str, text: str, most: int, *, required: bool = True) -> str:
    cleaned = text.replace("\0", "").strip()
    if required and not cleaned:
        raise Invalid.field(pointer, "This may not be empty.")
    if len(cleaned) > most:
        raise Invalid.field(pointer, "At most {most} characters.", most=most)
    return cleaned


def check_field(known: Known, kind: WrittenKind, field_id: int, value: object) -> FieldValue:
    """Return the value as the field's type keeps it. Texts name choices by their label or code."""
    pointer = f"fields/{field_id}"
    found = next((one for one in known.fields if one.id == field_id and one.entity == kind), None)
    if found is None:
        raise Invalid.field(pointer, "The CRM has no such field. Read the account again if it is new.")
    if found.removed_at is not None:
        raise Invalid.field(pointer, "The field “{name}” is gone from the CRM.", name=found.name)
    reader = _READERS.get(found.type)
    if not found.is_known or reader is None:
        raise Invalid.field(pointer, "The field “{name}” cannot be written from here.", name=found.name)
    values: tuple[Value, ...] = ()
    if value is not None:
        given = value if isinstance(value, list) else [value]
        most = _MOST.get(found.type, 1)
        if len(given) > most == 1:
            raise Invalid.field(pointer, "The field “{name}” takes one value.", name=found.name)
        if len(given) > most:
            raise Invalid.field(
                pointer, "The field “{name}” takes {most} values at most.", name=found.name, most=most
            )
        values = tuple(reader(found, pointer, one) for one in given)
        if found.type in {"smart_address", "chained_list"}:
            _check_once(found, pointer, values)
        values = tuple(_linked_to(known, pointer, one) for one in values)
    return FieldValue(found.id, found.type, values, found.name, found.code)


def contacts_in(fields: Mapping[int, object]) -> list[int]:
    """Return the contacts that values ask to link to, for `Known.contacts`."""
    links = (one for one in fields.values() if isinstance(one, dict) and one.get("entity_type") == "contacts")
    return [id_ for one in links if (id_ := _id(one.get("entity_id"))) is not None]


def _check_once(found: MirroredField, pointer: str, values: Sequence[Value]) -> None:
    """An address has each of its parts once, a chain goes through each of its lists once."""
    keys = [one.code if isinstance(one, Labelled) else getattr(one, "catalog_id", None) for one in values]
    if len(set(keys)) < len(keys):
        raise Invalid.field(pointer, "The field “{name}” takes each part once.", name=found.name)


def _linked_to(known: Known, pointer: str, value: Value) -> Value:
    """Return a link to a contact with the contact's name. Companies and elements of lists are not synced: the
    CRM itself refuses those it does not have.
    """
    if not isinstance(value, Linked) or value.entity_type != "contacts":
        return value
    if value.entity_id not in known.contacts:
        raise Invalid.field(pointer, "The CRM has no such contact. Read the account again if it is new.")
    name = value.name or known.contacts[value.entity_id]
    return Linked(name, value.entity_id, value.entity_type)


def _text(found: MirroredField, pointer: str, value: object) -> Value:
    if not isinstance(value, str):
        raise Invalid.field(pointer, "The field “{name}” takes text.", name=found.name)
    if found.type == "url" and not re.match(r"https?://\S+$", value):
        raise Invalid.field(pointer, "The field “{name}” takes a web address.", name=found.name)
    return Text(check_text(pointer, value, TEXT_MAX_CHARS, required=False))


def _number(found: MirroredField, pointer: str, value: object) -> Value:
    text = "" if isinstance(value, bool) else str(value)
    if not _NUMBER.fullmatch(text):
        raise Invalid.field(pointer, "The field “{name}” takes a number.", name=found.name)
    return Number(Decimal(text))


def _flag(found: MirroredField, pointer: str, value: object) -> Value:
    if not isinstance(value, bool):
        raise Invalid.field(pointer, "The field “{name}” takes yes or no.", name=found.name)
    return Flag(value)


def _moment(found: MirroredField, pointer: str, value: object) -> Value:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is not None and at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    if at is None or not _FIRST <= at <= _LAST:
        raise Invalid.field(pointer, "The field “{name}” takes a date like 2026-12-31.", name=found.name)
    return Moment(at.astimezone(UTC).replace(microsecond=0))


def _choice(found: MirroredField, pointer: str, value: object) -> Value:
    enum = _enum(found.enums, value)
    if enum is None:
        raise Invalid.field(pointer, "The field “{name}” has no such choice.", name=found.name)
    return Choice(enum.value, enum.id, enum.code)


def _labelled(found: MirroredField, pointer: str, value: object) -> Value:
    """Read a phone or an address of e-mail: a text, or with the code of its kind."""
    text, code = (value.get("value"), value.get("code")) if isinstance(value, dict) else (value, None)
    if not isinstance(text, str):
        raise Invalid.field(pointer, "The field “{name}” takes text.", name=found.name)
    first = found.enums[0].code if found.enums else None
    codes = [one.code for one in found.enums]
    if code is not None and code not in codes:
        raise Invalid.field(pointer, "The field “{name}” has no such choice.", name=found.name)
    return Labelled(check_text(pointer, text, NAME_MAX_CHARS), code or first)


def _address(found: MirroredField, pointer: str, value: object) -> Value:
    """Read a part of an address; a bare text is its first line."""
    given = value if isinstance(value, dict) else {"value": value, "code": ADDRESS_PARTS[0]}
    text, code = given.get("value"), given.get("code")
    if not isinstance(text, str) or code not in ADDRESS_PARTS:
        raise Invalid.field(
            pointer,
            "The field “{name}” takes parts of an address: value, and code ({codes}).",
            name=found.name,
            codes=", ".join(ADDRESS_PARTS),
        )
    return Labelled(check_text(pointer, text, NAME_MAX_CHARS), code)


def _legal_entity(found: MirroredField, pointer: str, value: object) -> Value:
    facts = _facts(value, {"name", "entity_type", "vat_id", "address", *LEGAL_FACTS}) or {}
    if not isinstance(facts.get("name"), str) or facts.get("entity_type") not in {None, 1, 2}:
        raise Invalid.field(
            pointer,
            "The field “{name}” takes a company: name, entity_type (1 person, 2 company), vat_id, address.",
            name=found.name,
        )
    said = {key: str(one) for key, one in facts.items() if one is not None}
    texts = {key: check_text(pointer, one, NAME_MAX_CHARS) for key, one in said.items()}
    kind = texts.pop("entity_type", None)
    return LegalEntity(
        name=texts.pop("name"),
        entity_type=int(kind) if kind else None,
        vat_id=texts.pop("vat_id", None),
        address=texts.pop("address", None),
        other={**texts},
    )


def _linked(found: MirroredField, pointer: str, value: object) -> Value:
    facts = _facts(value, {"name", "entity_id", "entity_type", "catalog_id"}) or {}
    kind, number, catalog_id = facts.get("entity_type"), _id(facts.get("entity_id")), facts.get("catalog_id")
    needs_list = kind == "catalog_elements"
    if kind not in LINKED_KINDS or number is None or needs_list != (_id(catalog_id) is not None):
        raise Invalid.field(
            pointer,
            "The field “{name}” takes a record: entity_type ({kinds}), entity_id, and for a list catalog_id.",
            name=found.name,
            kinds=", ".join(LINKED_KINDS),
        )
    where = str(catalog_id) if needs_list else str(kind)
    if found.links_to is not None and where not in found.links_to.split("_and_"):
        raise Invalid.field(pointer, "The field “{name}” does not point to such records.", name=found.name)
    name = check_text(pointer, str(facts.get("name") or ""), NAME_MAX_CHARS, required=False)
    return Linked(name, number, str(kind), _id(catalog_id))


def _chained(found: MirroredField, pointer: str, value: object) -> Value:
    facts = _facts(value, {"catalog_id", "catalog_element_id"}) or {}
    catalog_id, element_id = _id(facts.get("catalog_id")), _id(facts.get("catalog_element_id"))
    if catalog_id is None or element_id is None:
        raise Invalid.field(
            pointer,
            "The field “{name}” takes elements of lists: catalog_id and catalog_element_id.",
            name=found.name,
        )
    if catalog_id not in found.catalogs:
        raise Invalid.field(pointer, "The field “{name}” has no such list.", name=found.name)
    return Chained(catalog_id, element_id)


def _file(found: MirroredField, pointer: str, value: object) -> Value:
    facts = _facts(value, {"file_uuid", "version_uuid", "file_name", "file_size"}) or {}
    uuid, version, size = facts.get("file_uuid"), facts.get("version_uuid"), facts.get("file_size")
    if not _is_uuid(uuid) or not (version is None or _is_uuid(version)) or not (size is None or _id(size)):
        raise Invalid.field(
            pointer,
            "The field “{name}” takes a file of the CRM: file_uuid, version_uuid, file_name, file_size.",
            name=found.name,
        )
    name = check_text(pointer, str(facts.get("file_name") or ""), NAME_MAX_CHARS, required=False)
    return File(str(uuid), None if version is None else str(version), name, _id(size))


def _facts(value: object, known: set[str]) -> Mapping[str, object] | None:
    """Return an object of plain facts, None if it is none or has others than these."""
    if not isinstance(value, dict) or not value.keys() <= known:
        return None
    plain = all(isinstance(one, str | int | None) and not isinstance(one, bool) for one in value.values())
    return value if plain else None


def _id(value: object) -> int | None:
    is_id = isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_ID
    return value if is_id and isinstance(value, int) else None


def _is_uuid(value: object) -> bool:
    try:
        return isinstance(value, str) and str(UUID(value)) == value.lower()
    except ValueError:
        return False


def _enum(enums: Sequence[FieldEnum], value: object) -> FieldEnum | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return next((one for one in enums if one.id == value), None)
    wanted = str(value).casefold()
    exact = (one for one in enums if wanted in {one.value.casefold(), (one.code or "").casefold()})
    return next(exact, None) if wanted else None


_READERS: Mapping[str, Callable[[MirroredField, str, object], Value]] = {
    **dict.fromkeys(_TEXTS, _text),
    **dict.fromkeys(_NUMBERS, _number),
    "checkbox": _flag,
    **dict.fromkeys(_DATES, _moment),
    **dict.fromkeys((*_ONE_OF, "multiselect"), _choice),
    "multitext": _labelled,
    "smart_address": _address,
    "legal_entity": _legal_entity,
    "linked_entity": _linked,
    "chained_list": _chained,
    "file": _file,
}
