"""Custom field values as they are written: checked and brought to the form in which they are read."""

from collections.abc import Mapping
from datetime import datetime

from gptagent.sandbox.kommo.rest.hal import invalid
from gptagent.sandbox.kommo.state import CustomField, FieldValues

CHOICE = "The value you selected is not a valid choice."
DATES = {"date", "date_time", "birthday"}


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
    if custom.type == "multitext":
        return _multitext(custom, given, path, request_id)
    if custom.enums:
        return _choice(custom, given, path, request_id)
    checked = _plain(custom.type, given.get("value"))
    if checked is None:
        detail = f"This value is not valid for a field of type {custom.type}."
        raise invalid(f"{path}.value", detail, code="InvalidType", request_id=request_id)
    return {"value": checked}


def _multitext(
    custom: CustomField, given: dict[str, object], path: str, request_id: str
) -> dict[str, object]:
    value = given.get("value")
    if not isinstance(value, str):
        detail = "This value should be of type string."
        raise invalid(f"{path}.value", detail, code="InvalidType", request_id=request_id)
    wanted = given.get("enum_code") or next(iter(custom.enums.values()))[1]
    for enum_id, (_, code) in custom.enums.items():
        if wanted == code or given.get("enum_id") == enum_id:
            return {"value": value, "enum_id": enum_id, "enum_code": code}
    raise invalid(f"{path}.enum_code", CHOICE, request_id=request_id)


def _choice(custom: CustomField, given: dict[str, object], path: str, request_id: str) -> dict[str, object]:
    for enum_id, (value, code) in custom.enums.items():
        if given.get("enum_id") == enum_id or given.get("value") == value:
            return {"value": value, "enum_id": enum_id, "enum_code": code}
    raise invalid(f"{path}.value", CHOICE, request_id=request_id)


def _plain(type_: str, value: object) -> object:
    """Return the value as the vendor would show it, or None if it does not fit the type."""
    if type_ == "checkbox":
        return value if isinstance(value, bool) else None
    if type_ in DATES:
        return _moment(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    if type_ == "numeric":
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
