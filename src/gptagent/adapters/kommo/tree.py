"""Bodies as trees of dicts, lists and leaves: taken apart under limits, read without trust.

A webhook is a PHP form: bracket keys, every leaf a string; the same event may come as JSON with real types.
Any key may be missing or hold another shape than documented, so readers answer None or nothing instead.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl

import msgspec

from gptagent.kernel.errors import Invalid

MAX_BODY_BYTES = 1_048_576
# A lead with 500 custom fields makes about 2,000.
MAX_PAIRS = 10_000
MAX_DEPTH = 12
LARGEST_ID = 2**63 - 1

Tree = dict[str, object]

_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_INTEGER = re.compile(r"-?\d{1,19}", re.ASCII)


def malformed() -> Invalid:
    return Invalid("crm_webhook_malformed", "The CRM's message could not be read.")


def parse_body(content_type: str, body: bytes) -> Tree:
    """Return a form's or a JSON object's tree. Raises Invalid("crm_webhook_malformed")."""
    kind = content_type.partition(";")[0].strip().lower()
    if not body or len(body) > MAX_BODY_BYTES:
        raise malformed()
    if kind == "application/x-www-form-urlencoded":
        return _parse_form(body)
    if kind == "application/json":
        return _parse_json(body)
    raise malformed()


def as_map(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    """Return the elements of an array; PHP sends one with gaps in its numbering as a map."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict) and all(key.isdecimal() for key in value):
        return list(value.values())
    return [] if value is None else [value]


def as_text(value: object) -> str:
    if isinstance(value, bool):
        return str(int(value))
    return str(value) if isinstance(value, str | int | float) else ""


def as_int(value: object) -> int | None:
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST_ID:
        return value
    return None


def as_id(value: object) -> int | None:
    """Return an identifier; 0 is the vendor's way to say that there is none."""
    number = as_int(value)
    return number if number is not None and number > 0 else None


def as_flag(value: object) -> bool | None:
    return {"1": True, "true": True, "0": False, "false": False}.get(as_text(value).lower())


def _parse_form(body: bytes) -> Tree:
    try:
        pairs = parse_qsl(
            body.decode("utf-8", "replace"),
            keep_blank_values=True,
            strict_parsing=True,
            max_num_fields=MAX_PAIRS,
        )
    except ValueError as error:
        raise malformed() from error
    root: Tree = {}
    for key, value in pairs:
        _plant(root, _path(key), _clean(value))
    return {key: _with_lists(child) for key, child in root.items()}


def _path(key: str) -> list[str]:
    """Split `a[b][0]` into its steps. A key that is no bracket key is one step."""
    if key.count("[") >= MAX_DEPTH:
        raise malformed()
    matched = _KEY.fullmatch(_clean(key))
    if matched is None:
        return [_clean(key)]
    head, brackets = matched.groups()
    return [head, *(step.rstrip("]") for step in brackets.split("[")[1:])]


def _plant(root: Tree, path: list[str], value: str) -> None:
    """Set a leaf as PHP does: `[]` appends, and of two values for one place the later one stays."""
    *parents, leaf = path
    node = root
    for step in parents:
        name = step or str(len(node))
        child = node.get(name)
        if not isinstance(child, dict):
            child = node[name] = {}
        node = child
    node[leaf or str(len(node))] = value


def _with_lists(node: object) -> object:
    """Turn maps whose keys are exactly 0..n-1 into lists."""
    if not isinstance(node, dict):
        return node
    children = {key: _with_lists(child) for key, child in node.items()}
    numbers = [str(index) for index in range(len(children))]
    if numbers and all(number in children for number in numbers):
        return [children[number] for number in numbers]
    return children


def _parse_json(body: bytes) -> Tree:
    try:
        root = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise malformed() from error
    if not isinstance(root, dict):
        raise malformed()
    return dict(_checked_items(root, 1))


def _checked_items(node: Mapping[str, object], depth: int) -> Iterator[tuple[str, object]]:
    return ((_clean(key), checked(child, depth + 1)) for key, child in node.items())


def checked(node: object, depth: int) -> object:
    """Return the node without NUL in its texts. Raises Invalid where it is nested too deep."""
    if isinstance(node, dict | list) and depth > MAX_DEPTH:
        raise malformed()
    if isinstance(node, dict):
        return dict(_checked_items(node, depth))
    if isinstance(node, list):
        return [checked(child, depth + 1) for child in node]
    return _clean(node) if isinstance(node, str) else node


def _clean(text: str) -> str:
    """Drop NUL: PostgreSQL stores it in no text."""
    return text.replace("\0", "")
