"""The adapter for reranking endpoints, against the fake model over HTTP."""

from dataclasses import replace
from decimal import Decimal
from urllib.parse import urlsplit

import httpx2
import pytest

from gptagent.adapters.reranking.port import HttpReranker
from gptagent.features.inference.model import PriceList
from gptagent.features.knowledge.ports import RerankingModel
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import Forbidden, Invalid, UpstreamUnavailable
from gptagent.sandbox.spawn import running
from trust import TRUST

KEY = "sk-canary-of-reranking"
TEXTS = ["Парковка лошадей.", "Доставка стоит десять рублей.", "A horse is parked."]


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
async def reranker(url, control):
    parts = urlsplit(url)
    egress = Egress(frozenset({(parts.hostname, parts.port)}))
    yield HttpReranker(egress, RerankingModel(f"{url}/v1", "sandbox-reranker"), KEY)
    await egress.aclose()


async def test_the_best_text_comes_first_and_each_comes_once(reranker, control):
    ranking = await reranker.rerank("delivery price", TEXTS, deadline=60)
    assert ranking.order[0] == 1 and sorted(ranking.order) == [0, 1, 2]
    (call,) = control.get("/calls").json()["calls"]
    assert (call["kind"], call["model"], call["prompt"]) == ("rerank", "sandbox-reranker", TEXTS)
    assert ranking.tokens == call["usage"]["total_tokens"] > 0
    worst = replace(reranker, model=replace(reranker.model, name="sandbox-backwards"))
    assert (await worst.rerank("delivery price", TEXTS, deadline=60)).order[-1] == 1


async def test_a_provider_may_count_in_searches_and_send_back_half_of_a_surrogate_pair(reranker, control):
    """MSG-11: as Cohere does; the documents come back with the order, and nothing is made of them."""
    control.post("/knobs", json={"reranking_usage": "searches", "half_pairs": True}).raise_for_status()
    priced = replace(reranker, prices=PriceList(searches={"sandbox-reranker": Decimal(2)}))
    ranking = await priced.rerank("delivery price", [*TEXTS, "¤"], deadline=60)
    assert (ranking.order[0], ranking.tokens, ranking.cost_micro_usd) == (1, 0, 2_000)
    assert (await reranker.rerank("delivery price", TEXTS, deadline=60)).cost_micro_usd is None


async def test_the_request_says_what_the_vendors_ask_for(reranker):
    """Jina's and Cohere's reference of POST /rerank: model, query, documents, top_n."""
    sent = []

    class Recording:
        async def request(self, method, address, **options):
            sent.append((method, address, options))
            raise UpstreamUnavailable("gone", "Gone.")

    with pytest.raises(UpstreamUnavailable):
        await replace(reranker, egress=Recording()).rerank("q", ["a" * 9_000, "b"], deadline=1.5)
    ((method, address, options),) = sent
    assert (method, urlsplit(address).path, options["deadline"]) == ("POST", "/v1/rerank", 1.5)
    assert options["headers"] == {"authorization": f"Bearer {KEY}"}
    body = options["json"]
    assert (body["model"], body["query"], body["top_n"]) == ("sandbox-reranker", "q", 2)
    assert [len(text) for text in body["documents"]] == [4_000, 1]


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ({"status": 401}, Forbidden, "reranker_unauthorized"),
        ({"status": 400}, Invalid, "reranker_rejected"),
        ({"status": 429}, UpstreamUnavailable, "reranker_unavailable"),
        ({"status": 500}, UpstreamUnavailable, "reranker_unavailable"),
        ({"action": "broken"}, UpstreamUnavailable, "reranker_unavailable"),
        ({"action": "wrong_json"}, UpstreamUnavailable, "reranker_unavailable"),
        ({"action": "wrong_size"}, Invalid, "reranker_malformed"),
    ],
)
async def test_each_failure_has_its_meaning_and_is_not_tried_again(reranker, control, fault, kind, code):
    control.post("/faults", json=fault).raise_for_status()
    with pytest.raises(kind) as failed:
        await reranker.rerank("delivery", TEXTS, deadline=60)
    assert (failed.value.code, len(control.get("/calls").json()["calls"])) == (code, 1)
    assert KEY not in f"{failed.value!r} {reranker!r}"


async def test_it_is_given_up_at_the_deadline(reranker, control):
    control.post("/knobs", json={"reranking_ms": 3000}).raise_for_status()
    with pytest.raises(UpstreamUnavailable):
        await reranker.rerank("delivery", TEXTS, deadline=0.3)


async def test_an_address_nobody_let_in_is_not_called(reranker, control):
    with pytest.raises(Forbidden) as refused:
        await replace(reranker, egress=Egress()).rerank("delivery", TEXTS, deadline=1)
    assert refused.value.code == "egress_refused"
    assert control.get("/calls").json()["calls"] == []
