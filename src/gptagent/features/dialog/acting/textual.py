"""Asking a model that takes no tools: they are told in words, and the calls come back as JSON. Pure.

What comes back is checked like any call: this only reads it.
"""

import re
from dataclasses import replace

import msgspec

from gptagent.features.inference.model import ModelRequest, ToolCall

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
    except msgspec.DecodeError:
        return None
    return tuple(ToolCall(one.name, one.arguments) for one in found.calls)
