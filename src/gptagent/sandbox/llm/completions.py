"""`POST /v1/chat/completions`, streamed or not."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gptagent.sandbox.llm.refusals import admit, cut, error, fail, silence
from gptagent.sandbox.llm.script import Prompt, Speech, ToolCall, speak
from gptagent.sandbox.llm.state import Call, LlmFault, Model, Usage, claimed, halved, tokens
from gptagent.sandbox.wire import Json, read_as, refusal

PIECE = re.compile(r"\s*\S+\s*|\s+")
FLUSH_SECONDS = 0.01  # so that what was said before the cut arrives
NOT_JSON = b'{"id": "chatcmpl-broken", "choices": [{"index": 0, "mess'


async def complete(request: Request) -> Response:
    model = cast("Model", request.scope["model"])
    body = await read_as(request, dict[str, object])
    if not isinstance(body.get("messages"), list) or not body["messages"]:
        raise refusal(400, "messages must be a list that is not empty")
    prompt = Prompt.of(body)
    call = model.log("chat", prompt, body["messages"])
    fault = await admit(request, model, call)
    if fault is not None and fault.action in {"status", "timeout"}:
        return await fail(request, fault, call)
    if body.get("tools") and not model.knobs.takes_tools:
        call.outcome = "400"
        return error(400, "This model does not support tools.")
    speech = speak(model.rules, prompt)
    call.answer = speech.text or str([tool.name for tool in speech.tools])
    usage = Usage(tokens(prompt.everything), _size(speech))
    await asyncio.sleep(model.knobs.first_token_ms / 1000)
    if call.stream:
        options = body.get("stream_options")
        with_usage = isinstance(options, dict) and options.get("include_usage") is True
        stream = _stream(request, model, call, speech, usage, fault, with_usage)
        return StreamingResponse(stream, media_type="text/event-stream")
    if fault is not None:
        return await _spoiled(request, fault, call)
    call.outcome, call.usage = "answered", usage.as_json()
    return _sent(model, _whole(model, call, speech, usage))


async def _spoiled(request: Request, fault: LlmFault, call: Call) -> Response:
    """An answer in one piece that stalls, breaks off or is no JSON."""
    call.outcome = fault.action
    if fault.action == "wrong_json":
        return Response(NOT_JSON, media_type="application/json")
    return await (silence(request) if fault.action == "stall" else cut(request))


def _sent(model: Model, body: Json) -> Response:
    return Response(halved(model, msgspec.json.encode(body)), media_type="application/json")


def _whole(model: Model, call: Call, speech: Speech, usage: Usage) -> Json:
    message: Json = {"role": "assistant", "content": speech.text or None, "refusal": None}
    if speech.tools:
        message["tool_calls"] = [_tool(model, call, i, tool) for i, tool in enumerate(speech.tools)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _reason(speech)}
    return {
        **_head(call, "chat.completion"),
        "choices": [choice],
        "usage": claimed(model, {**usage.as_json()}),
    }


async def _stream(  # noqa: PLR0917 - one stream's whole circumstances
    request: Request,
    model: Model,
    call: Call,
    speech: Speech,
    usage: Usage,
    fault: LlmFault | None,
    with_usage: bool,
) -> AsyncIterator[bytes]:
    """Send the pieces. A call that was broken off, by a fault or by the reader, has no usage."""
    call.outcome = fault.action if fault else "broken off by the reader"
    deltas = _deltas(model, call, speech)
    for position, delta in enumerate(deltas):
        if fault is not None and position >= (len(deltas) + 1) // 2:
            if fault.action == "wrong_json":
                yield b"data: " + NOT_JSON + b"\n\n"
            else:
                await _fall_silent(request, cut_too=fault.action == "broken")
            return
        yield halved(model, _event(_chunk(call, delta, None)))
        await asyncio.sleep(model.knobs.token_ms / 1000)
    yield _event(_chunk(call, {}, _reason(speech)))
    if with_usage:
        spent = claimed(model, {**usage.as_json()})
        yield _event({**_head(call, "chat.completion.chunk"), "choices": [], "usage": spent})
    call.outcome, call.usage = "answered", usage.as_json()
    yield b"data: [DONE]\n\n"


async def _fall_silent(request: Request, *, cut_too: bool) -> None:
    if cut_too:
        await asyncio.sleep(FLUSH_SECONDS)
        request.scope["state"]["abort"]()
    await silence(request)


def _deltas(model: Model, call: Call, speech: Speech) -> list[Json]:
    opening: list[Json] = [{"role": "assistant", "content": ""}]
    words: list[Json] = [{"content": piece} for piece in PIECE.findall(speech.text)]
    calls: list[Json] = [
        {"tool_calls": [{"index": i, **_tool(model, call, i, tool)}]} for i, tool in enumerate(speech.tools)
    ]
    return opening + words + calls


def _chunk(call: Call, delta: Json, finish_reason: str | None) -> Json:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {**_head(call, "chat.completion.chunk"), "choices": [choice]}


def _event(body: Json) -> bytes:
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


def _head(call: Call, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{call.n}",
        "object": kind,
        "created": int(time.time()),
        "model": call.model,
        "system_fingerprint": "sandbox",
    }


def _tool(model: Model, call: Call, index: int, tool: ToolCall) -> Json:
    arguments = halved(model, msgspec.json.encode(tool.arguments)).decode()
    return {
        "id": f"call_{call.n}_{index}",
        "type": "function",
        "function": {"name": tool.name, "arguments": arguments},
    }


def _reason(speech: Speech) -> str:
    return "tool_calls" if speech.tools else "stop"


def _size(speech: Speech) -> int:
    arguments = "".join(msgspec.json.encode(tool.arguments).decode() for tool in speech.tools)
    return max(1, tokens(speech.text + arguments))
