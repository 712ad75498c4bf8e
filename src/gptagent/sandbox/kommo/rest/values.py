"""Custom field values as they are written: checked and brought to the form in which they are read."""

from collections.abc import Mapping
from datetime import datetime

from gptagent.sandbox.kommo.rest import objects
from gptagent.sandbox.kommo.rest.hal import invalid
from gptagent.sandbox.kommo.state import Account, CustomField, FieldValues

CHOICE = "The value you selected is not a valid choice."
DATES = {"date", "date_time", "birthday"}
CHOICES = {"select", "multiselect", "radiobutton", "category"}
MOST_STEPS = 5
# What the values of lists alone cannot be without.
OF_LISTS: Mapping[str, tuple[str, type]] = {
    "items": ("sku", str),
    "payer": ("name", str),
    "supplier": ("entity_id", int),
}


def read_field(
    account: Account, catalogue: Mapping[int, CustomField], entry: object, path: str, request_id: str
) -> tuple[int, FieldValues | None]:
    """Return the field's id and its values, None to clear it. Raises Refused with 400.

    What a value points to must be in the account, as the vendor's form shows nothing else to choose from.
    """
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
    if custom.type == "chained_list" and len(values) > MOST_STEPS:
        detail = f"This collection should contain {MOST_STEPS} elements or less."
        raise invalid(f"{path}.values", detail, code="TooMany", request_id=request_id)
    checked = [_value(custom, value, f"{path}.values.{i}", request_id) for i, value in enumerate(values)]
    for i, value in enumerate(checked):
        if not objects.exists(account, custom, value):
            raise invalid(f"{path}.values.{i}.value", CHOICE, request_id=request_id)
    return custom.id, checked


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
    wanted = given.get("enum_code")
    if wanted is None and "enum_id" not in given and custom.type == "multitext":
        wanted = next(iter(custom.enums.values()))[1]
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
    checked: object
    if type_ in OF_LISTS:
        name, kind = OF_LISTS[type_]
        checked = value if isinstance(value, dict) and isinstance(value.get(name), kind) else None
    else:
        checked = objects.read(type_, value) if type_ in objects.TYPES else _plain(type_, value)
    return None if checked is None else {"value": checked}


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
