"""Custom field values as they are written: checked and brought to the form in which they are read."""

from collections.abc import Mapping
from datetime import datetime

from gptagent.sandbox.kommo.rest.hal import invalid
from gptagent.sandbox.kommo.state import CustomField, FieldValues

CHOICE = "The value you selected is not a valid choice."
DATES = {"date", "date_time", "birthday"}
CHOICES = {"select", "multiselect", "radiobutton", "category"}
# Types whose value is an object, and what it must hold.
OBJECTS: Mapping[str, tuple[str, type]] = {
    "legal_entity": ("name", str),
    "linked_entity": ("entity_id", int),
    "file": ("file_uuid", str),
    "items": ("sku", str),
    "payer": ("name", str),
    "supplier": ("name", str),
}


def read_field(
    catalogue: Mapping[int, CustomField], entry: object, path: str, request_id: str
) -> tuple[int, FieldValues | None]:
    """Return the field's id and its values, None to clear it. Raises Refused with 400."""
    if not isinstance(entry, dict):
        raise invalid(path, "This value should be of type object.", code="InvalidType", request_id=request_id)
    custom = _find(catalogue, entry)
    if custom is None:
        raise invalid(f"{path}.field_id", CHOICE, request_id=request_id)
    values = entry.get("values")
    if values is None:
        return custom.id, None
    if not isinstance(values, list):
        raise invalid(f"{path}.values", "This value should be of type array.", code="InvalidType")
    return custom.id, [
        _value(custom, value, f"{path}.values.{i}", request_id) for i, value in enumerate(values)
    ]


def _find(catalogue: Mapping[int, CustomField], entry: dict[str, object]) -> CustomField | None:
    id_, code = entry.get("field_id"), entry.get("field_code")
    if isinstance(id_, int):
        return catalogue.get(id_)
    return next((custom for custom in catalogue.values() if code is not None and custom.code == code), None)


def _value(custom: CustomField, given: object, path: str, request_id: str) -> dict[str, object]:
    if not isinstance(given, dict):
        raise invalid(path, "This value should be of type object.", code="InvalidType", request_id=request_id)
    if custom.type in {"multitext", "smart_address"}:
        return _multitext(custom, given, path, request_id)
    if custom.type in CHOICES:
        return _choice(custom, given, path, request_id)
    checked = _chained(given) if custom.type == "chained_list" else _single(custom.type, given)
    if checked is None:
        detail = f"This value is not valid for a field of type {custom.type}."
        raise invalid(f"{path}.value", detail, code="InvalidType", request_id=request_id)
    return checked


def _multitext(
    custom: CustomField, given: dict[str, object], path: str, request_id: str
) -> dict[str, object]:
    value = given.get("value")
    if not isinstance(value, str):
        detail = "This value should be of type string."
        raise invalid(f"{path}.value", detail, code="InvalidType", request_id=request_id)
    wanted = given.get("enum_code") or (None if "enum_id" in given else next(iter(custom.enums.values()))[1])
    for enum_id, (_, code) in custom.enums.items():
        if wanted == code or given.get("enum_id") == enum_id:
            return {"value": value, "enum_id": enum_id, "enum_code": code}
    raise invalid(f"{path}.enum_code", CHOICE, request_id=request_id)


def _choice(custom: CustomField, given: dict[str, object], path: str, request_id: str) -> dict[str, object]:
    wanted = given.get("enum_code")
    for enum_id, (value, code) in custom.enums.items():
        is_named = wanted is not None and wanted == code
        if is_named or given.get("enum_id") == enum_id or given.get("value") == value:
            return {"value": value, "enum_id": enum_id, "enum_code": code}
    raise invalid(f"{path}.value", CHOICE, request_id=request_id)


def _chained(given: dict[str, object]) -> dict[str, object] | None:
    step = {key: given.get(key) for key in ("catalog_id", "catalog_element_id")}
    return dict(step) if all(isinstance(id_, int) for id_ in step.values()) else None


def _single(type_: str, given: dict[str, object]) -> dict[str, object] | None:
    value = given.get("value")
    checked = _object(type_, value) if type_ in OBJECTS else _plain(type_, value)
    return None if checked is None else {"value": checked}


def _object(type_: str, value: object) -> object:
    """Return an object that has what its type cannot be without."""
    if not isinstance(value, dict):
        return None
    name, kind = OBJECTS[type_]
    return value if isinstance(value.get(name), kind) else None


def _plain(type_: str, value: object) -> object:
    """Return the value as the vendor would show it, or None if it does not fit the type."""
    if type_ == "checkbox":
        return value if isinstance(value, bool) else None
    if type_ in DATES:
        return _moment(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if type_ in {"numeric", "price", "monetary"}:
        return str(value) if _is_number(str(value)) else None
    return str(value)


def _moment(value: object) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return int(datetime.fromisoformat(str(value)).timestamp())
    except ValueError:
        return None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
