"""The adapter for OpenAI-compatible embeddings, against the fake model over HTTP."""

import math
from dataclasses import replace
from urllib.parse import urlsplit

import httpx2
import pytest

from contract.sandbox_tools import until
from gptagent.adapters.embeddings.port import OpenAiEmbeddings, Patience
from gptagent.features.inference.model import EmbeddingModel
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import Forbidden, Invalid, UpstreamUnavailable
from gptagent.sandbox.spawn import running
from trust import TRUST

KEY = "sk-canary-of-embeddings"
QUICK = Patience(call=60.0, total=240.0, attempts=3, first_pause=0.05)


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
async def embedder(url, control):
    parts = urlsplit(url)
    egress = Egress(frozenset({(parts.hostname, parts.port)}))
    yield OpenAiEmbeddings(egress, EmbeddingModel(f"{url}/v1", "sandbox-embedding"), KEY, QUICK)
    await egress.aclose()


def fail(control, **fault):
    control.post("/faults", json=fault).raise_for_status()


def likeness(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_vectors_come_in_order_have_length_one_and_know_two_languages(embedder, control):
    """KB-15"""
    answer = await embedder.embed(["delivery costs", "стоимость доставки", "парковка лошадей"])
    assert [round(math.hypot(*vector), 6) for vector in answer.vectors] == [1.0, 1.0, 1.0]
    same, strange = (likeness(answer.vectors[0], other) for other in answer.vectors[1:])
    assert same > strange + 0.3
    (call,) = control.get("/calls").json()["calls"]
    assert answer.tokens == call["usage"]["total_tokens"] > 0
    control.post("/knobs", json={"languages": "english"}).raise_for_status()
    english = await embedder.embed(["доставка дивана", "парковка лошади"])
    assert likeness(*english.vectors) > 0.9, "to an English model Russian words are all alike"


async def test_a_size_is_asked_for_and_checked(embedder, control):
    """KB-16"""
    asked = replace(embedder, model=replace(embedder.model, size=48))
    assert len((await asked.embed(["text"])).vectors[0]) == 48
    fail(control, action="wrong_size")
    with pytest.raises(Invalid) as refused:
        await asked.embed(["text"])
    assert refused.value.code == "embedding_size"
    assert refused.value.params["found"] == 49


@pytest.mark.parametrize(
    ("fault", "kind", "told"),
    [
        ({"status": 401}, Forbidden, ("embedding_unauthorized", 1)),
        ({"status": 400}, Invalid, ("embedding_rejected", 1)),
        ({"status": 500}, UpstreamUnavailable, ("embedding_unavailable", 3)),
        ({"action": "broken"}, UpstreamUnavailable, ("embedding_unavailable", 3)),
        ({"action": "wrong_json"}, UpstreamUnavailable, ("embedding_unavailable", 3)),
    ],
)
async def test_each_failure_has_its_meaning(embedder, control, fault, kind, told):
    """KB-15"""
    fail(control, **fault)
    with pytest.raises(kind) as failed:
        await embedder.embed(["text"])
    assert KEY not in f"{failed.value!r} {embedder!r}"
    assert (failed.value.code, len(control.get("/calls").json()["calls"])) == told


async def test_a_question_is_asked_once_within_its_deadline(embedder, control):
    """KB-18"""
    control.post("/knobs", json={"embedding_ms": 10_000}).raise_for_status()
    with pytest.raises(UpstreamUnavailable):
        await embedder.embed(["text"], deadline=3)
    until(lambda: control.get("/calls").json()["calls"])  # a busy provider notes it later
    assert len(control.get("/calls").json()["calls"]) == 1


async def test_an_address_nobody_let_in_is_not_called(embedder, control):
    with pytest.raises(Forbidden) as refused:
        await replace(embedder, egress=Egress()).embed(["text"])
    assert refused.value.code == "egress_refused"
    assert control.get("/calls").json()["calls"] == []
