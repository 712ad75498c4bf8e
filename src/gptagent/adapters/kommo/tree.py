"""Bodies as trees of dicts, lists and leaves: taken apart under limits, read without trust.

A webhook is a PHP form: bracket keys, every leaf a string; the same event may come as JSON with real types.
Any key may be missing or hold another shape than documented, so readers answer None or nothing instead.
"""

import re
from collections.abc import Mapping
from itertools import count

import msgspec

from gptagent.kernel.errors import Invalid

MAX_BODY_BYTES = 1_048_576
# A lead with 500 custom fields makes about 2,000.
MAX_PAIRS = 3_000
MAX_KINDS = 200  # a body was never seen to tell of more than one
MAX_STEPS = 20_000  # brackets of all keys together
MAX_STRAYS = 1_000  # percent signs that begin no escape: the vendor sends none
MAX_NODES = 10_000
# In JSON they stand in texts as well; more of them mean more nodes than anybody sends.
MAX_COMMAS = 50_000
MAX_DEPTH = 12
LARGEST_ID = 2**63 - 1

Tree = dict[str, object]

_PAIR, _SIGN = "\x1e", "\x1f"
_CONTROLS = re.compile(rb"[\x1e\x1f]|%1[eEfF]")
_STRAY = re.compile(rb"%(?![0-9a-fA-F]{2})")
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
    if body.count(b"&") >= MAX_PAIRS or sum(map(body.count, (b"[", b"%5B", b"%5b"))) > MAX_STEPS:
        raise malformed()
    root: Tree = {}
    for pair in _unquoted(body).split(_PAIR):
        key, sign, value = pair.partition(_SIGN)
        if not sign:
            raise malformed()
        _plant(root, _path(key), _clean(value.replace(_SIGN, "=")))
    if len(root) > MAX_KINDS:
        raise malformed()
    return {key: _with_lists(child) for key, child in root.items()}


def _unquoted(body: bytes) -> str:
    """Undo the form's escapes in one go, whatever their number: Python's own have an x for the percent sign.

    The separators that were no escapes become two control characters, which no text of a form has.
    """
    plain = _CONTROLS.sub(b"", body).replace(b"&", b"\x1e").replace(b"=", b"\x1f").replace(b"+", b" ")
    mended = _STRAY.sub(b"%25", plain, count=MAX_STRAYS)
    if _STRAY.search(mended):
        raise malformed()
    escaped = mended.replace(b"\\", b"%5C").replace(b"%", b"\\x")
    return escaped.decode("unicode_escape").encode("latin-1").decode("utf-8", "replace")


def _path(key: str) -> list[str]:
    """Split `a[b][0]` into its steps. A key that is no bracket key is one step."""
    head, *steps = _clean(key).split("[")
    if len(steps) >= MAX_DEPTH:
        raise malformed()
    inner = [step[:-1] for step in steps if step.endswith("]")]
    if not head or len(inner) < len(steps) or "]" in head or any("]" in step for step in inner):
        return [_clean(key)]
    return [head, *inner]


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
    for key, child in node.items():
        if isinstance(child, dict):
            node[key] = _with_lists(child)
    if "0" in node and all(str(index) in node for index in range(len(node))):
        return [node[str(index)] for index in range(len(node))]
    return node


def _parse_json(body: bytes) -> Tree:
    if body.count(b",") > MAX_COMMAS:
        raise malformed()
    try:
        root = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise malformed() from error
    if not isinstance(root, dict) or len(root) > MAX_KINDS:
        raise malformed()
    return as_tree(checked(root, 1))


def checked(node: object, depth: int) -> object:
    """Return the node without NUL. Raises Invalid on one node too many, or one too deep."""
    return _checked(node, depth, count())


def as_tree(value: object) -> Tree:
    return value if isinstance(value, dict) else {}


def _checked(node: object, depth: int, seen: "count[int]") -> object:
    if isinstance(node, str):
        return _clean(node)
    if not isinstance(node, dict | list):
        return node
    if depth > MAX_DEPTH or next(seen) + len(node) > MAX_NODES:
        raise malformed()
    for _ in node:
        next(seen)
    if isinstance(node, list):
        return [_checked(child, depth + 1, seen) for child in node]
    return {_clean(key): _checked(child, depth + 1, seen) for key, child in node.items()}


def _clean(text: str) -> str:
    """Drop NUL: PostgreSQL stores it in no text."""
    return text.replace("\0", "")
