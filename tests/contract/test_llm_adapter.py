"""The adapter for OpenAI-compatible models, against the fake model over HTTP."""

import asyncio
import json
import logging
import subprocess
import sys
import time
import traceback
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import httpx2
import pytest

from contract.sandbox_tools import until
from gptagent.adapters.llm.port import REQUESTS_PER_MINUTE, OpenAiCompatible, Patience, _called
from gptagent.features.inference.model import ChatTurn, ModelRequest, ToolCall, ToolSpec
from gptagent.kernel.errors import Forbidden, Invalid, UpstreamUnavailable
from gptagent.sandbox.spawn import running
from trust import TRUST

KEY = "sk-canary-7q2x-of-the-operator"
REQUEST = ModelRequest(
    system="You answer briefly.",
    turns=(
        ChatTurn("user", "Hello"),
        ChatTurn("assistant", "Good day!"),
        ChatTurn("user", "What does delivery cost?"),
    ),
    temperature=0.2,
    max_tokens=77,
)
QUICK = Patience(call=60.0, total=240.0, first_pause=0.05)


@pytest.fixture(scope="module")
def url():
    with running("llm") as address:
        yield address


@pytest.fixture
def control(url):
    with httpx2.Client(base_url=f"{url}/_sandbox", verify=TRUST) as http:
        http.post("/reset").raise_for_status()
        yield http


@asynccontextmanager
async def asking(url, patience):
    parts = urlsplit(url)
    allow = frozenset({(parts.hostname, parts.port)})
    made = OpenAiCompatible(allow, f"{url}/v1", KEY, "sandbox-large", patience=patience)
    yield made
    await made.aclose()


@pytest.fixture
async def model(url, control):
    async with asking(url, QUICK) as made:
        yield made


@pytest.fixture
async def impatient(url, control):
    """For answers that never come."""
    async with asking(url, replace(QUICK, call=3.0)) as made:
        yield made


def calls(control):
    return control.get("/calls").json()["calls"]


@asynccontextmanager
async def ear(bodies, *, status=400, answer="{}"):
    """A provider that notes the bodies of requests and gives each the same answer."""

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].split("\r\n")[0])
        bodies.append(json.loads(await reader.readexactly(length)))
        lines = (f"HTTP/1.1 {status} X", "content-type: application/json", f"content-length: {len(answer)}")
        writer.write("\r\n".join((*lines, "connection: close", "", answer)).encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[:2]


def fail(control, **fault):
    control.post("/faults", json={"count": 1, **fault}).raise_for_status()


async def test_the_reply_its_model_and_its_tokens_are_the_providers(model, control):
    control.post("/script", json={"reply": "It costs 490 roubles [1]."}).raise_for_status()
    reply = await model.complete(REQUEST)
    (call,) = calls(control)
    used = call["usage"]
    assert (reply.text, reply.model, reply.calls) == ("It costs 490 roubles [1].", "sandbox-large", 1)
    assert (reply.tokens_in, reply.tokens_out) == (used["prompt_tokens"], used["completion_tokens"])
    assert reply.tokens_in > 0 < reply.tokens_out


@pytest.mark.parametrize("twelve", ["12", 12.0, 11.5])
async def test_counts_are_whole_numbers_however_the_provider_writes_them(model, control, twelve):
    usage = {"prompt_tokens": twelve, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 99}}
    control.post("/knobs", json={"told_usage": usage}).raise_for_status()
    heard = []

    async def hear(piece):
        heard.append(piece)

    for reply in (await model.complete(REQUEST), await model.stream(REQUEST, hear)):
        assert (reply.tokens_in, reply.tokens_out, reply.tokens_cached) == (12, 3, 12)
        assert isinstance(reply.tokens_in, int) and reply.calls == 1
    assert "".join(filter(None, heard)) == reply.text


async def test_the_whole_dialogue_is_sent_in_order(model, control):
    await model.complete(REQUEST)
    (call,) = calls(control)
    assert [(m["role"], m["content"]) for m in call["prompt"]] == [
        ("system", "You answer briefly."),
        ("user", "Hello"),
        ("assistant", "Good day!"),
        ("user", "What does delivery cost?"),
    ]


async def test_the_request_names_model_temperature_and_limit():
    """An ear in the provider's place: the fake model does not keep these fields."""
    bodies = []
    async with ear(bodies) as (host, port):
        model = OpenAiCompatible(frozenset({(host, port)}), f"http://{host}:{port}/v1", KEY, "usual")
        for name in (None, "chosen"):
            with pytest.raises(Invalid):
                await model.complete(replace(REQUEST, model=name))
        await model.aclose()
    assert [(b["model"], b["temperature"]) for b in bodies] == [("usual", 0.2), ("chosen", 0.2)]
    assert all(77 in {b.get("max_tokens"), b.get("max_completion_tokens")} for b in bodies)


async def test_a_busy_provider_is_waited_for_as_long_as_it_says(model, control):
    fail(control, status=429, retry_after=1)
    started = time.monotonic()
    reply = await model.complete(REQUEST)
    assert time.monotonic() - started >= 1.0
    assert reply.calls == 2


async def test_a_provider_that_asks_for_more_time_than_there_is_is_not_waited_for(model, control):
    fail(control, status=429, retry_after=600)
    with pytest.raises(UpstreamUnavailable) as caught:
        await model.complete(REQUEST)
    assert caught.value.retry_after == 600
    assert len(calls(control)) == 1


async def test_a_failing_provider_is_tried_again(model, control):
    fail(control, status=500)
    fail(control, status=503)
    assert (await model.complete(REQUEST)).calls == 3


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"action": "broken"},
        {"action": "wrong_json"},
    ],
)
async def test_a_provider_that_goes_on_failing_is_given_up(model, control, fault):
    fail(control, **{**fault, "count": None})
    with pytest.raises(UpstreamUnavailable) as caught:
        await model.complete(REQUEST)
    assert caught.value.code == "llm_unavailable"
    assert len(calls(control)) == 3


async def test_a_silent_provider_is_given_up_in_time(impatient, control):
    fail(control, action="timeout", count=None)
    with pytest.raises(UpstreamUnavailable):
        await impatient.complete(REQUEST)
    until(lambda: len(calls(control)) >= 3)  # a busy provider notes them later
    assert [call["outcome"] for call in calls(control)] == ["timeout"] * 3


async def test_an_answer_that_is_json_of_another_kind_is_no_reply():
    bodies = []
    async with ear(bodies, status=200, answer='{"choices": []}') as (host, port):
        model = OpenAiCompatible(
            frozenset({(host, port)}), f"http://{host}:{port}/v1", KEY, "usual", patience=QUICK
        )
        with pytest.raises(UpstreamUnavailable):
            await model.complete(REQUEST)
        await model.aclose()


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [(401, Forbidden, "llm_unauthorized"), (400, Invalid, "llm_rejected"), (404, Invalid, "llm_rejected")],
)
async def test_what_will_not_change_is_not_tried_again(model, control, status, error, code):
    fail(control, status=status, count=None)
    with pytest.raises(error) as caught:
        await model.complete(REQUEST)
    assert (caught.value.code, caught.value.retryable) == (code, False)
    assert len(calls(control)) == 1


async def test_a_private_address_that_no_operator_let_in_is_refused(url, control):
    model = OpenAiCompatible(frozenset(), f"{url}/v1", KEY, "sandbox", patience=QUICK)
    with pytest.raises(Forbidden) as caught:
        await model.complete(REQUEST)
    await model.aclose()
    assert (caught.value.code, calls(control)) == ("egress_refused", [])


async def test_a_providers_rate_is_kept_and_an_own_endpoint_has_none(model):
    elsewhere = OpenAiCompatible(frozenset(), "https://llm.example/v1", KEY, "m", patience=Patience(total=1))
    for _ in range(REQUESTS_PER_MINUTE.amount):
        elsewhere._counts.try_once(REQUESTS_PER_MINUTE, elsewhere.base_url)
        model._counts.try_once(REQUESTS_PER_MINUTE, model.base_url)
    with pytest.raises(UpstreamUnavailable) as caught:
        await elsewhere.complete(REQUEST)
    assert caught.value.code == "llm_busy"
    assert (await model.complete(REQUEST)).calls == 1


@pytest.mark.parametrize("fault", [{"status": 401}, {"status": 500}, {"action": "broken"}])
async def test_the_key_is_in_no_log_and_no_error(model, control, caplog, capfd, fault):
    caplog.set_level(logging.INFO)
    fail(control, **{**fault, "count": None})
    with pytest.raises((Forbidden, UpstreamUnavailable)) as caught:
        await model.complete(REQUEST)
    told = "".join(traceback.format_exception(caught.value)) + repr(model) + repr(caught.value)
    assert KEY not in told + caplog.text + "".join(capfd.readouterr())


@pytest.mark.parametrize("module", ["gptagent.entrypoints.web", "gptagent.bootstrap"])
def test_the_web_process_never_loads_the_library(module):
    code = f"import sys, {module}; sys.exit(any(n in sys.modules for n in ('pydantic_ai', 'openai')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_tools_are_offered_and_their_calls_come_back_in_order(model, control):
    form = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
    offered = (ToolSpec("add_note", "Leave a note.", form), ToolSpec("tell", "Tell.", {"type": "object"}))
    called = [{"name": "add_note", "arguments": {"text": "Привет"}}, {"name": "tell", "arguments": {}}]
    control.post("/script", json=[{"tools": called, "count": 1}]).raise_for_status()
    reply = await model.complete(replace(REQUEST, tools=offered))
    assert reply.tool_calls == (ToolCall("add_note", {"text": "Привет"}), ToolCall("tell", {}))
    assert reply.text == "" and reply.tokens_out > 0
    said = await model.complete(replace(REQUEST, tools=offered))
    assert said.tool_calls == () and said.text


@pytest.mark.parametrize("streamed", [False, True])
async def test_half_of_a_surrogate_pair_is_no_letter_of_a_reply_or_of_an_argument(model, control, streamed):
    """A model may break off in the middle of an emoji: JSON has a sign for that, and no database takes it."""
    control.post("/knobs", json={"half_pairs": True}).raise_for_status()
    noted = {"text": "Done ¤\0 😀", "more": ["¤", {"¤": "\\ud83d"}]}
    script = [
        {"tools": [{"name": "add_note", "arguments": noted}], "count": 1},
        {"reply": "¤ Fine ¤ 😀 \\ud83d"},
    ]
    control.post("/script", json=script).raise_for_status()
    heard = []

    async def hear(piece):
        heard.append(piece or "")

    async def ask(request):
        return await (model.stream(request, hear) if streamed else model.complete(request))

    offered = (ToolSpec("add_note", "Leave a note.", {"type": "object"}),)
    (called,) = (await ask(replace(REQUEST, tools=offered))).tool_calls
    assert called.arguments == {"text": "Done \ufffd 😀", "more": ["\ufffd", {"\ufffd": "\\ud83d"}]}
    reply = await ask(REQUEST)
    assert reply.text == "\ufffd Fine \ufffd 😀 \\ud83d", "what only looks like it stays"
    assert not streamed or "".join(heard) == reply.text


def test_half_a_pair_in_arguments_that_came_unmended_is_no_error():
    """A provider that packs its answers although it is asked not to: they are not mended as they come"""
    from pydantic_ai.messages import ModelResponse, ToolCallPart

    came = ModelResponse(parts=[ToolCallPart("add_note", '{"text": "Done \ud83d"}')])
    assert list(_called(came)) == [ToolCall("add_note", {"text": "Done \ufffd"})]


async def test_a_streamed_reply_is_heard_in_pieces_and_ends_like_any_other(model, control):
    """MSG-24, MSG-11: the provider's own stream, with the usage it tells at its end."""
    control.post("/script", json={"reply": "It costs 490 roubles [1]."}).raise_for_status()
    heard = []

    async def hear(piece):
        heard.append(piece)

    reply = await model.stream(REQUEST, hear)
    (call,) = calls(control)
    assert call["stream"] is True
    assert heard[0] is None and len(heard) > 3
    assert "".join(heard[1:]) == reply.text == "It costs 490 roubles [1]."
    used = call["usage"]
    assert (reply.tokens_in, reply.tokens_out) == (used["prompt_tokens"], used["completion_tokens"])
    assert reply.tokens_in > 0 < reply.tokens_out


@pytest.mark.parametrize("action", ["broken", "wrong_json", "stall", "status"])
async def test_a_stream_that_breaks_off_begins_anew(model, impatient, control, action):
    """What was heard of it is void."""
    control.post("/script", json={"reply": "It costs 490 roubles [1]."}).raise_for_status()
    fail(control, action=action)
    heard = []

    async def hear(piece):
        heard.append(piece)

    reply = await (impatient if action == "stall" else model).stream(REQUEST, hear)
    assert heard.count(None) == reply.calls == 2
    last = len(heard) - heard[::-1].index(None)
    assert "".join(heard[last:]) == reply.text == "It costs 490 roubles [1]."
