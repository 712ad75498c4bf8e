"""Values of custom fields in Kommo's forms: read from REST answers and from webhooks, written to REST.

A webhook has other shapes than REST for the same value (spec: kommo 2.6 and 3.2) and does not name the
field's type. Whatever does not look as documented becomes `Raw`, which is never written back.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal

from gptagent.adapters.kommo.tree import as_flag, as_id, as_int, as_list, as_map, as_text, checked
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
    Raw,
    Text,
    Value,
)
from gptagent.kernel.errors import Invalid

Entry = Mapping[str, object]

# More digits are no amount; an exponent could stand for gigabytes of zeros.
_NUMBER = re.compile(r"-?\d{1,30}(?:\.\d{1,20})?", re.ASCII)
_BIRTHDAY = re.compile(r"\d\d\.\d\d\.\d{4}", re.ASCII)  # as the vendor's sample of contacts[add] has it
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799  # years 1 to 9999


def clean(value: object) -> str:
    """Return a text without NUL, which PostgreSQL stores nowhere."""
    return as_text(value).replace("\0", "")


def read_fields(listed: object) -> tuple[FieldValue, ...]:
    """Read `custom_fields_values` of a REST answer."""
    found = (_rest_field(as_map(entry)) for entry in as_list(listed))
    return tuple(one for one in found if one is not None)


def read_hook_fields(listed: object, types: Mapping[int, str]) -> tuple[FieldValue, ...]:
    """Read `custom_fields` of a webhook; `types` are the fields' own, as the catalogue has them."""
    found = (_hook_field(as_map(entry), types) for entry in as_list(listed))
    return tuple(one for one in found if one is not None)


def write_fields(fields: Iterable[FieldValue]) -> list[dict[str, object]]:
    """Return `custom_fields_values` of a REST write. Raises Invalid for a field that is only read."""
    return [_written(one) for one in fields]


def _rest_field(entry: Entry) -> FieldValue | None:
    field_id, kind = as_id(entry.get("field_id")), as_text(entry.get("field_type"))
    if field_id is None:
        return None
    code = clean(entry.get("field_code")) or None
    values = tuple(_read(kind, one) for one in _entries(entry.get("values")))
    return FieldValue(field_id, kind, values, clean(entry.get("field_name")), code)


def _hook_field(entry: Entry, types: Mapping[int, str]) -> FieldValue | None:
    field_id = as_id(entry.get("id"))
    if field_id is None:
        return None
    kind = types.get(field_id, "")
    values = tuple(_read(kind, one) for one in _entries(entry.get("values")))
    return FieldValue(field_id, kind, values, clean(entry.get("name")), clean(entry.get("code")) or None)


def _entries(values: object) -> Iterator[Entry]:
    """Yield each value as an object: webhooks send dates bare, and a radio button without its list."""
    if isinstance(values, dict) and ("value" in values or "enum" in values):
        yield values
        return
    for one in as_list(values):
        yield one if isinstance(one, dict) else {"value": one}


def _read(kind: str, entry: Entry) -> Value:
    reader = _READERS.get(kind)
    found = None if reader is None else reader(entry)
    if found is not None:
        return found
    try:
        return Raw(checked(dict(entry), 1))
    except Invalid:  # nested deeper than anything the vendor sends
        return Raw(None)


def _text(entry: Entry) -> Text | None:
    value = entry.get("value")
    return Text(clean(value)) if isinstance(value, str | int | float) else None


def _number(entry: Entry) -> Number | None:
    value = entry.get("value")
    text = f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else as_text(value)
    if isinstance(value, bool) or not _NUMBER.fullmatch(text):
        return None
    return Number(Decimal(text))


def _flag(entry: Entry) -> Flag | None:
    flag = as_flag(entry.get("value"))
    return None if flag is None else Flag(flag)


def _moment(entry: Entry) -> Moment | None:
    """Read unix seconds, which may lie before 1970, a date with its time zone, or a webhook's birthday."""
    value = entry.get("value")
    seconds = as_int(value)
    if seconds is not None:
        in_range = _FIRST_SECOND <= seconds <= _LAST_SECOND
        return Moment(datetime.fromtimestamp(seconds, UTC)) if in_range else None
    text = as_text(value)
    try:
        written = "-".join(reversed(text.split("."))) if _BIRTHDAY.fullmatch(text) else text
        at = datetime.fromisoformat(written)
        return Moment(at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return None


def _choice(entry: Entry) -> Choice | None:
    label, (enum_id, code) = clean(entry.get("value")), _enum(entry)
    return Choice(label, enum_id, code) if label or enum_id else None


def _labelled(entry: Entry) -> Labelled | None:
    enum_id, code = _enum(entry)
    value = entry.get("value")
    if not isinstance(value, str | int):
        return None
    return Labelled(clean(value), code or clean(entry.get("subtype")) or None, enum_id)


def _enum(entry: Entry) -> tuple[int | None, str | None]:
    """Return id and code: a webhook's `enum` is the id, the documentation's samples print the code there."""
    loose = entry.get("enum")
    enum_id = as_id(entry.get("enum_id")) or as_id(loose)
    code = clean(entry.get("enum_code")) or ("" if as_id(loose) else clean(loose))
    return enum_id, code or None


def _legal_entity(entry: Entry) -> LegalEntity | None:
    value = entry.get("value")
    if not isinstance(value, dict):
        return None
    named = {"name", "entity_type", "vat_id", "address"}
    other = {
        clean(key): clean(one) if isinstance(one, str) else one
        for key, one in value.items()
        if key not in named and isinstance(one, str | int) and not isinstance(one, bool)
    }
    return LegalEntity(
        name=clean(value.get("name")),
        entity_type=as_int(value.get("entity_type")),
        vat_id=clean(value.get("vat_id")) or None,
        address=clean(value.get("address")) or None,
        other=other,
    )


def _linked(entry: Entry) -> Linked | None:
    value = as_map(entry.get("value"))
    entity_id, kind = as_id(value.get("entity_id")), clean(value.get("entity_type"))
    if entity_id is None or not kind:
        return None
    return Linked(clean(value.get("name")), entity_id, kind, as_id(value.get("catalog_id")))


def _chained(entry: Entry) -> Chained | None:
    step = as_map(entry.get("value")) or entry
    catalog_id, element_id = as_id(step.get("catalog_id")), as_id(step.get("catalog_element_id"))
    return None if catalog_id is None or element_id is None else Chained(catalog_id, element_id)


def _file(entry: Entry) -> File | None:
    value = as_map(entry.get("value"))
    uuid = clean(value.get("file_uuid"))
    if not uuid:
        return None
    version, name = clean(value.get("version_uuid")) or None, clean(value.get("file_name"))
    return File(uuid, version, name, as_int(value.get("file_size")))


_READERS: Mapping[str, Callable[[Entry], Value | None]] = {
    **dict.fromkeys(("text", "textarea", "url", "streetaddress", "tracking_data"), _text),
    **dict.fromkeys(("numeric", "price", "monetary"), _number),
    "checkbox": _flag,
    **dict.fromkeys(("date", "date_time", "birthday"), _moment),
    **dict.fromkeys(("select", "multiselect", "radiobutton", "category"), _choice),
    **dict.fromkeys(("multitext", "smart_address"), _labelled),
    "legal_entity": _legal_entity,
    "linked_entity": _linked,
    "chained_list": _chained,
    "file": _file,
}
KNOWN_TYPES = frozenset(_READERS)


def _written(one: FieldValue) -> dict[str, object]:
    if one.is_read_only or one.type not in KNOWN_TYPES:
        raise Invalid("crm_field_read_only", "This field of the CRM can only be read.")
    # Phones and e-mail addresses are named by their code: it is the same in every account.
    named: dict[str, object] = (
        {"field_code": one.code} if one.type == "multitext" and one.code else {"field_id": one.field_id}
    )
    return {**named, "values": [_entry(value) for value in one.values] or None}


def _entry(value: Value) -> dict[str, object]:
    if isinstance(value, Choice | Labelled):
        return _enumerated(value)
    if isinstance(value, Chained):
        return {"catalog_id": value.catalog_id, "catalog_element_id": value.element_id}
    return {"value": _plain(value)}


def _plain(value: Value) -> object:
    match value:
        case Text(text=text):
            return text
        case Number(number=number):
            return f"{number:f}"
        case Flag(flag=flag):
            return flag
        case Moment(at=at):
            return int(at.timestamp())
    return _object(value)


def _enumerated(value: Choice | Labelled) -> dict[str, object]:
    if isinstance(value, Labelled):
        named = {"enum_code": value.code} if value.code else {"enum_id": value.enum_id}
        return {"value": value.text, **{key: one for key, one in named.items() if one is not None}}
    if value.enum_id is not None:
        return {"enum_id": value.enum_id}
    return {"enum_code": value.code} if value.code else {"value": value.label}


def _object(value: Value) -> dict[str, object]:
    facts: dict[str, object] = {}
    match value:
        case LegalEntity():
            facts = {"name": value.name, "entity_type": value.entity_type, "vat_id": value.vat_id}
            facts |= {"address": value.address, **value.other}
        case Linked():
            facts = {"name": value.name, "entity_id": value.entity_id, "entity_type": value.entity_type}
            return {**facts, "catalog_id": value.catalog_id}
        case File():
            facts = {"file_uuid": value.uuid, "version_uuid": value.version, "file_name": value.name}
            facts |= {"file_size": value.size}
    return {key: one for key, one in facts.items() if one is not None}
