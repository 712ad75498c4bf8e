"""The smallest value that a JSON schema accepts, with a given text where a text is asked for."""

from collections.abc import Mapping
from typing import cast

DEPTH = 12


def example(schema: object, text: str) -> object:
    root = schema if isinstance(schema, Mapping) else {}
    return _value(root, text, root, DEPTH)


def _value(schema: Mapping[str, object], text: str, root: Mapping[str, object], depth: int) -> object:
    schema = _resolved(schema, root)
    for fixed in ("const", "default"):
        if fixed in schema:
            return schema[fixed]
    if schema.get("enum"):
        return cast("list[object]", schema["enum"])[0]
    if depth == 0:
        return None
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        return _object(schema, text, root, depth)
    if kind == "array":
        return _array(schema, text, root, depth)
    plain: dict[object, object] = {"integer": schema.get("minimum", 0), "number": schema.get("minimum", 0.0)}
    return {**plain, "boolean": False, "null": None}.get(kind, text)


def _object(
    schema: Mapping[str, object], text: str, root: Mapping[str, object], depth: int
) -> dict[str, object]:
    properties = cast("Mapping[str, Mapping[str, object]]", schema.get("properties") or {})
    required = cast("list[str]", schema.get("required") or [])
    return {name: _value(properties[name], text, root, depth - 1) for name in required if name in properties}


def _array(schema: Mapping[str, object], text: str, root: Mapping[str, object], depth: int) -> list[object]:
    least, item = schema.get("minItems", 0), schema.get("items")
    wanted = least if isinstance(least, int) else 0
    return [_value(item, text, root, depth - 1) for _ in range(wanted)] if isinstance(item, Mapping) else []


def _resolved(schema: Mapping[str, object], root: Mapping[str, object]) -> Mapping[str, object]:
    """Follow a local `$ref` and take the first choice of `anyOf`, `oneOf`, `allOf`."""
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#/"):
        target: object = root
        for step in reference[2:].split("/"):
            target = target.get(step, {}) if isinstance(target, Mapping) else {}
        return _resolved(cast("Mapping[str, object]", target), root)
    for choice in ("anyOf", "oneOf", "allOf"):
        options = schema.get(choice)
        if isinstance(options, list) and options:
            return _resolved(options[0], root)
    return schema
