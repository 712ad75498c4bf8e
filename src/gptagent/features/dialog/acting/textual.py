"""Asking a model that takes no tools: they are told in words, and the calls come back as JSON. Pure.

What comes back is checked like any call: this only reads it.
"""

import re
from dataclasses import replace
from typing import TypeVar, cast

import msgspec

from gptagent.features.inference.model import ModelRequest, ToolCall

T = TypeVar("T")
# Some models put their JSON into a block of code whatever they are told.
_FENCE = re.compile(r"\s*```(?:json)?\s*(\{.*\})\s*```\s*", re.DOTALL)
_TOLD = """\
You call a tool by writing it down. Answer with one JSON object and nothing else, in this form:
{"calls": [{"name": "the tool's name", "arguments": {...}}]}
Without a call: {"calls": []}. These are the tools, each with the JSON schema of its arguments:"""


class _Call(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    arguments: dict[str, object]


class _Calls(msgspec.Struct, forbid_unknown_fields=True):
    calls: list[_Call]


_DECODER = msgspec.json.Decoder(_Calls)


def in_words(request: ModelRequest) -> ModelRequest:
    """Return the same question for a model that takes no tools."""
    told = "\n".join(
        msgspec.json.encode(
            {"name": one.name, "description": one.description, "parameters": one.parameters}
        ).decode()
        for one in request.tools
    )
    return replace(request, system=f"{request.system}\n\n{_TOLD}\n{told}", tools=())


def read_calls(text: str) -> tuple[ToolCall, ...] | None:
    """Return the calls of an answer, None if it is not what was asked for."""
    fenced = _FENCE.fullmatch(text)
    try:
        found = _DECODER.decode(fenced[1] if fenced else text.strip())
        calls = [(one.name, _without_zeros(one.arguments)) for one in found.calls]
    except (msgspec.DecodeError, RecursionError):
        return None
    return tuple(ToolCall(name, arguments) for name, arguments in calls)


def _without_zeros(value: T) -> T:
    """Return texts, also in lists and objects, without zeros: JSON may name them, and no database takes them.

    Where a provider writes the calls its adapter sees to it; here they are JSON within a text.
    """
    cleaned: object = value
    if isinstance(value, str):
        cleaned = value.replace("\0", "")
    elif isinstance(value, list):
        cleaned = [_without_zeros(one) for one in value]
    elif isinstance(value, dict):
        cleaned = {_without_zeros(key): _without_zeros(one) for key, one in value.items()}
    return cast("T", cleaned)
