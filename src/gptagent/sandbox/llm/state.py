"""The model's script, knobs, faults and the log of its calls."""

import itertools
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from gptagent.sandbox.faults import FaultBook, FaultRule
from gptagent.sandbox.llm.script import Prompt, Rule

CALLS_KEPT = 20_000


class Knobs(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """`first_token_ms` passes before any answer, `token_ms` between two pieces of a stream.

    With an `api_key` any other is refused. `dimensions` is the size of embeddings that name none.
    `languages` are those the embeddings know: `many`, or `english` like models whose name says so.
    `embedding_ms` passes before vectors are answered, `speech_ms` before a transcript is,
    `reranking_ms` before an order is. Without `takes_tools` a request that offers some is refused.
    `speech_usage` and `reranking_usage` are what their providers count in. With `half_pairs` each ¤ of an
    answer is half of a surrogate pair, and reranked documents come back. `told_usage` is told in the place of
    what was used, whatever it is.
    """

    first_token_ms: int = 0
    token_ms: int = 0
    api_key: str | None = None
    dimensions: int = 256
    languages: Literal["many", "english"] = "many"
    embedding_ms: int = 0
    speech_ms: int = 0
    reranking_ms: int = 0
    speech_usage: Literal["tokens", "seconds", "none"] = "tokens"
    reranking_usage: Literal["tokens", "searches", "none"] = "tokens"
    half_pairs: bool = False
    takes_tools: bool = True
    told_usage: object = None
    models: list[str] = msgspec.field(
        default_factory=lambda: [
            "sandbox",
            "sandbox-mini",
            "sandbox-embedding",
            "sandbox-embedding-english",
            "sandbox-speech",
        ]
    )


class LlmFault(FaultRule, forbid_unknown_fields=True, kw_only=True):
    """`match` is searched in the last user message (or the embedded text), `model` in the model's name.

    `status` answers with that code; `timeout` never answers; `stall` falls silent in mid-stream;
    `broken` cuts the connection in mid-stream; `wrong_json` sends what is no JSON;
    `wrong_size` answers vectors of one dimension too many, or an order that names what nobody sent.
    """

    action: Literal["status", "timeout", "stall", "broken", "wrong_json", "wrong_size"] = "status"
    match: str = "*"
    model: str = "*"
    path: str = "*"
    status: int = 500
    retry_after: int | None = None


@dataclass(slots=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int

    def as_json(self) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }


@dataclass(slots=True)
class Call:
    n: int
    at: float
    kind: str
    model: str
    stream: bool
    prompt: object
    user: str
    outcome: str = "under way"
    answer: str = ""
    usage: dict[str, int] | None = None
    temperature: object = None
    presence_penalty: object = None
    frequency_penalty: object = None
    tools: object = None


@dataclass(slots=True)
class Model:
    rules: list[Rule] = field(default_factory=list)
    knobs: Knobs = field(default_factory=Knobs)
    faults: FaultBook[LlmFault] = field(default_factory=FaultBook)
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=CALLS_KEPT))
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def log(self, kind: str, prompt: Prompt, shown: object) -> Call:
        stream = prompt.body.get("stream") is True
        call = Call(next(self.numbers), time.time(), kind, prompt.model, stream, shown, prompt.user)
        call.temperature = prompt.body.get("temperature")
        call.presence_penalty = prompt.body.get("presence_penalty")
        call.frequency_penalty = prompt.body.get("frequency_penalty")
        call.tools = prompt.body.get("tools")
        self.calls.append(call)
        return call


def tokens(text: str) -> int:
    """Count tokens as roughly as everyone does: four characters each, at least one for any text."""
    return (len(text) + 3) // 4


def claimed(model: Model, usage: dict[str, object]) -> object:
    """Return what is said to have been used."""
    return usage if model.knobs.told_usage is None else model.knobs.told_usage


def halved(model: Model, json: bytes) -> bytes:
    """Return an answer as a model sends it that breaks off in the middle of an emoji, if it is to."""
    return json.replace("¤".encode(), rb"\ud83d") if model.knobs.half_pairs else json
