"""What providers say a call has used, held against what a call can have used.

A count that is none - negative, huge, a word - counts as if the provider had told nothing: what was held for
the call is counted then, and neither an answer nor the accounts are lost over it.
"""

import json
import math
from collections.abc import Mapping

import msgspec

COUNT_MAX = 20_000_000  # tokens of one call: twice what the longest window of a model takes
DIGITS_MAX = 12
_SUMS = ("prompt_tokens", "completion_tokens")


def count_of(value: object, most: int = COUNT_MAX) -> int | None:
    """Return the whole number that a provider means, however it writes it; None if it means none."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= DIGITS_MAX:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return math.ceil(value) if 0 <= value <= most else None


def counts_in(usage: object, *names: str) -> tuple[int, ...]:
    """Return these counts of a call; one that is not told is 0, and so are all if one of them is none."""
    told = usage if isinstance(usage, Mapping) else {}
    counts = [count_of(told.get(name) or 0) for name in names]
    return tuple(0 if None in counts else count or 0 for count in counts)


def sound(told: bytes) -> bytes:
    """Return an answer, or an event of one, whose `usage` has counts and nothing else."""
    if b'"usage"' not in told:
        return told
    head, body = (b"data: ", told[5:]) if told.startswith(b"data:") else (b"", told)
    try:
        answer = json.loads(body)  # takes NaN and infinities too, as whoever reads the answer does
    except ValueError:  # what is no JSON is somebody else's to tell
        return told
    if not isinstance(answer, dict) or answer.get("usage") is None:
        return told
    return head + msgspec.json.encode({**answer, "usage": _sound(answer["usage"])})


def _sound(usage: object) -> dict[str, object] | None:
    if not isinstance(usage, dict):
        return None
    tokens_in, tokens_out = counts_in(usage, *_SUMS)
    sums = dict(zip(_SUMS, (tokens_in, tokens_out), strict=True))
    return {**_counts(usage), **sums, "total_tokens": tokens_in + tokens_out}


def _counts(usage: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in usage.items():
        kept = _counts(value) if isinstance(value, dict) else count_of(value)
        if kept is not None:
            found[name] = kept
    return found
