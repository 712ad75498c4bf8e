"""Speech recognition, and pictures in chats, against the fake model over HTTP."""

import math
from dataclasses import replace
from decimal import Decimal
from urllib.parse import urlsplit

import httpx2
import pytest

from gptagent.adapters.llm.port import OpenAiCompatible
from gptagent.adapters.speech.port import OpenAiSpeech, Patience
from gptagent.features.inference.model import ChatTurn, ModelRequest, Picture, PriceList, Recording
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import Forbidden, Invalid, UpstreamUnavailable
from gptagent.sandbox.spawn import running
from trust import TRUST

KEY = "sk-canary-of-speech"
QUICK = Patience(call=60.0, total=240.0, attempts=3, first_pause=0.05)
WORDS = 'Сколько стоит "доставка"?'
VOICE = Recording("voice.ogg", "audio/ogg", b"OggS\0" + WORDS.encode())


@pytest.fixture(scope="module")
def url():
    with running("llm") as address:
        yield address


@pytest.fixture
def control(url):
    with httpx2.Client(base_url=f"{url}/_sandbox", verify=TRUST) as http:
        http.post("/reset").raise_for_status()
        yield http


@pytest.fixture
async def speech(url, control):
    parts = urlsplit(url)
    egress = Egress(frozenset({(parts.hostname, parts.port)}))
    yield OpenAiSpeech(egress, f"{url}/v1", "sandbox-speech", KEY, QUICK)
    await egress.aclose()


async def test_a_recording_becomes_words_with_the_providers_own_count(speech, control):
    """MSG-21, MSG-11"""
    reply = await speech.transcribe(VOICE)
    assert (reply.text, reply.model, reply.calls) == (WORDS, "sandbox-speech", 1)
    (call,) = control.get("/calls").json()["calls"]
    assert call["prompt"] == {"ending": "ogg", "bytes": len(VOICE.content)}
    assert (reply.tokens_in, reply.tokens_out) == tuple(call["usage"].values())
    control.post("/script", json={"match": "стоит", "reply": "Scripted."}).raise_for_status()
    assert (await speech.transcribe(VOICE)).text == "Scripted."
    silent = Recording("voice.ogg", "audio/ogg", b"OggS")
    control.delete("/script")
    assert (await speech.transcribe(silent)).text == ""


async def test_half_of_a_surrogate_pair_and_a_zero_are_no_letters_of_what_was_said(speech, control):
    control.post("/knobs", json={"half_pairs": True}).raise_for_status()
    control.post("/script", json={"match": "стоит", "reply": "So ¤\0."}).raise_for_status()
    assert (await speech.transcribe(VOICE)).text == "So \ufffd."


async def test_a_provider_may_count_in_seconds(speech, control):
    """MSG-11: then it is paid by the minute, if a price of one is known."""
    control.post("/knobs", json={"speech_usage": "seconds"}).raise_for_status()
    priced = replace(speech, prices=PriceList(minutes={"sandbox-speech": Decimal("0.006")}))
    reply = await priced.transcribe(VOICE)
    seconds = len(VOICE.content) / 10
    assert (reply.tokens_in, reply.seconds) == (0, math.ceil(seconds))
    assert reply.cost_micro_usd == round(100 * seconds)
    assert (await speech.transcribe(VOICE)).cost_micro_usd is None


async def test_the_fallback_model_writes_down_for_one_that_is_away(speech, control):
    """MSG-9"""
    control.post("/faults", json={"model": "sandbox-speech", "status": 503}).raise_for_status()
    both = replace(speech, fallback_model="sandbox-other")
    reply = await both.transcribe(VOICE)
    assert (reply.text, reply.model, reply.calls) == (WORDS, "sandbox-other", 4)
    control.post("/reset").raise_for_status()
    control.post("/faults", json={"model": "sandbox-speech", "status": 404}).raise_for_status()
    assert (await both.transcribe(VOICE)).calls == 2, "a model that is not known is not asked again"


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        ({"status": 401}, Forbidden, ("speech_unauthorized", 1)),
        ({"status": 400}, Invalid, ("speech_rejected", 1)),
        ({"status": 503}, UpstreamUnavailable, ("speech_unavailable", 3)),
        ({"action": "broken"}, UpstreamUnavailable, ("speech_unavailable", 3)),
        ({"action": "wrong_json"}, UpstreamUnavailable, ("speech_unavailable", 3)),
    ],
)
async def test_each_failure_of_speech_has_its_meaning(speech, control, fault, kind, told):
    control.post("/faults", json=fault).raise_for_status()
    with pytest.raises(kind) as failed:
        await speech.transcribe(VOICE)
    assert KEY not in f"{failed.value!r} {speech!r}"
    assert WORDS not in f"{VOICE!r}"
    assert (failed.value.code, len(control.get("/calls").json()["calls"])) == told


async def test_what_the_provider_cannot_take_is_refused_and_a_short_failure_is_survived(speech, control):
    with pytest.raises(Invalid) as refused:
        await speech.transcribe(Recording("voice.amr", "audio/amr", b"#!AMR\0words"))
    assert refused.value.code == "speech_rejected"
    control.post("/faults", json={"status": 429, "retry_after": 0, "count": 1}).raise_for_status()
    assert (await speech.transcribe(VOICE)).calls == 2


async def test_a_model_is_shown_a_picture_beside_the_words(url, control):
    """MSG-25"""
    parts = urlsplit(url)
    model = OpenAiCompatible(frozenset({(parts.hostname, parts.port)}), f"{url}/v1", KEY, "sandbox-eyes")
    control.post("/script", json={"match": "look.*red lamp", "reply": "A lamp."}).raise_for_status()
    picture = Picture("image/png", b"\x89PNG\r\n\x1a\n\0red lamp")
    turn = ChatTurn("user", "look", (picture,))
    reply = await model.complete(ModelRequest("Describe.", (turn,), 0, 50))
    await model.aclose()
    assert (reply.text, reply.model) == ("A lamp.", "sandbox-eyes")
    (call,) = control.get("/calls").json()["calls"]
    shown = [
        part["type"] for message in call["prompt"] if message["role"] == "user" for part in message["content"]
    ]
    assert shown == ["text", "image_url"]
    assert "red lamp" not in repr(turn)
