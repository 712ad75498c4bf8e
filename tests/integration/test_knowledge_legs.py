"""The score of the questions, asked as a turn does: by words, by meaning, in a reranking model's order."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
import pytest

from gptagent.adapters.embeddings.port import OpenAiEmbeddings
from gptagent.adapters.reranking.port import HttpReranker
from gptagent.features.inference.model import EmbeddingModel
from gptagent.features.knowledge import service
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.knowledge.ports import RerankingModel
from gptagent.features.knowledge.questions import jobs
from gptagent.features.knowledge.questions import service as questions
from gptagent.features.knowledge.questions.ways import Ways
from gptagent.features.knowledge.reranking import store as reranking_store
from gptagent.features.knowledge.service import Reranking, Understanding
from gptagent.features.knowledge.vectors.jobs import VectorJobs
from gptagent.features.knowledge.vectors.model import FAILURES as EMBEDDING_FAILURES
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.egress import Egress
from gptagent.kernel.scope import Scope
from integration.conftest import serving_here
from integration.vector_desk import BASE, ENGLISH, QUICK
from readers import reader_of, texts


@dataclass
class Desk:
    """A workspace whose saved questions are in another language than its base, and both models."""

    db: Database
    scope: Scope
    embedder: OpenAiEmbeddings
    reranker: HttpReranker
    control: httpx2.Client
    job_id: int = 1
    attempt: int = 1

    def ways(self, *, meaning=True, order=True):
        return Ways(
            Understanding(self.embedder if meaning else None), Reranking(self.reranker if order else None)
        )

    async def write(self):
        async with self.db.session(self.scope) as session:
            for title, content in BASE.items():
                made = await service.create_article(session, NewArticle(title, content), now=utcnow())
                await questions.save_question(session, ENGLISH[title], [made.id], now=utcnow())

    async def use_both(self):
        """Have both models used here, whatever they would be measured to be worth."""
        await VectorJobs(self.embedder).embed(self)
        async with self.db.session(self.scope) as session:
            await reranking_store.begin(session, self.reranker.model)
            await session.execute("update app.reranking set helps = true")

    async def run(self, ways):
        return await jobs.measure_now(self.db, self.scope, ways)


@pytest.fixture
async def desk(database, scope, llm):
    parts = urlsplit(llm)
    egress = Egress(frozenset({(parts.hostname, parts.port)}))
    embedder = OpenAiEmbeddings(egress, EmbeddingModel(f"{llm}/v1", "sandbox-embedding"), "key", QUICK)
    reranker = HttpReranker(egress, RerankingModel(f"{llm}/v1", "sandbox-reranker"), "key")
    with httpx2.Client(base_url=f"{llm}/_sandbox", timeout=20) as control:
        control.post("/reset").raise_for_status()
        yield Desk(database, scope, embedder, reranker, control)
        control.post("/reset").raise_for_status()
    await egress.aclose()


async def test_what_the_models_add_shows_in_the_score_before_and_after(desk):
    """KB-17: and the run says by which ways it has asked."""
    await desk.write()
    before = await desk.run(desk.ways())
    assert (before.legs, before.figures.recall_5) == (("words",), 0), "no model is used here yet"
    await desk.use_both()
    by_words = await desk.run(desk.ways(meaning=False, order=False))
    assert by_words.legs == ("words",) and by_words.figures == before.figures
    by_meaning = await desk.run(desk.ways(order=False))
    assert by_meaning.legs == ("words", "meaning") and by_meaning.figures.recall_5 >= 0.9
    after = await desk.run(desk.ways())
    assert after.legs == ("words", "meaning", "reranking") and after.figures.mrr >= by_meaning.figures.mrr
    kinds = {call["kind"] for call in desk.control.get("/calls").json()["calls"]}
    assert kinds == {"embeddings", "rerank"}
    ways = desk.ways()
    for one in after.results:  # each rank is the one that a turn's search gives
        way = await ways.find(desk.db, desk.scope, one.question)
        async with desk.db.session(desk.scope) as session:
            found = await service.search(session, one.question, meaning=way.meaning, order=way.order)
        title = next(title for title, asked in ENGLISH.items() if asked == one.question)
        places = [passage.source_title for passage in found]
        assert one.rank == (places.index(title) + 1 if title in places else 0)


async def test_a_provider_that_fails_makes_a_failed_run_and_no_other_score(desk):
    await desk.write()
    await desk.use_both()
    good = await desk.run(desk.ways())
    threshold = good.threshold
    for status, code in ((401, "embedding_unauthorized"), (503, "embedding_unavailable")):
        desk.control.post("/faults", json={"status": status}).raise_for_status()
        failed = await desk.run(desk.ways(order=False))
        desk.control.delete("/faults")
        assert (failed.state, failed.error_code, failed.results) == ("failed", code, ())
        assert failed.failure == EMBEDDING_FAILURES[code]
    desk.control.post("/faults", json={"status": 400}).raise_for_status()
    async with desk.db.session(desk.scope) as session:
        await session.execute("update app.vector_index set weight = 0")  # words alone, that find several
        await session.execute("update app.knowledge_question set text = 'доставка, гарантия ' || id")
    failed = await desk.run(desk.ways())
    desk.control.delete("/faults")
    assert (failed.state, failed.error_code) == ("failed", "reranker_rejected")
    async with desk.db.session(desk.scope) as session:
        assert await service.refusal_support(session) == threshold, "what was known stays"
        latest, *_ = await questions.list_runs(session, limit=1, done=True)
    assert latest.id == good.id


async def test_a_run_in_which_the_ways_change_tells_nothing(desk):
    await desk.write()
    await desk.use_both()

    class Changing(Ways):
        async def find(self, db, scope, question):
            async with db.session(scope) as session:
                await session.execute("update app.reranking set helps = false")
            return await super().find(db, scope, question)

    ways = desk.ways()
    failed = await desk.run(Changing(ways.understanding, ways.reranking))
    assert (failed.state, failed.error_code) == ("failed", "ways_changed")


def settings_of(llm):
    """As an installation with both models has them."""
    parts = urlsplit(llm)
    return {
        "embedding_base_url": f"{llm}/v1",
        "embedding_api_key": "key",
        "embedding_model": "sandbox-embedding",
        "reranker_base_url": f"{llm}/v1",
        "reranker_api_key": "key",
        "reranker_model": "sandbox-reranker",
        "egress_allow": f"{parts.hostname}:{parts.port}",
    }


async def test_each_leg_tells_its_own_scores_on_the_page_too(desk, home, llm):
    """U151: Words, their 3-grams, meaning, both joined, the reranking model."""
    await desk.write()
    await desk.use_both()
    asked = "courier delivery Доставк"
    way = await desk.ways().find(desk.db, desk.scope, asked)
    async with desk.db.session(desk.scope) as session:
        trial = await questions.try_question(session, asked, way.meaning, order=way.order)
        misspelt = await questions.try_question(session, "сколько стоит доставкка")
    legs = {leg.name: leg for leg in trial.legs}
    assert set(legs) == {"words", "meaning", "fused", "reranking"}
    for leg in legs.values():
        told = [score for score in leg.scores if score is not None]
        assert len(leg.scores) == len(leg.passages) and told == sorted(told, reverse=True), leg.name
    assert all(0 < score <= 1.01 for score in legs["meaning"].scores)
    joined = legs["fused"].passages[0]
    places = [(1, joined.by_words), (way.meaning.weight, joined.by_meaning)]
    assert joined.fused == pytest.approx(sum(share / (60 + place) for share, place in places if place))
    assert legs["reranking"].scores[0] == pytest.approx(way.order.scores[0])
    async with (
        serving_here(home, **settings_of(llm)) as web,
        reader_of(web, desk.db, desk.scope) as alice,
    ):
        page = texts(await alice.open("/knowledge-bench", params={"q": asked}))
        run = texts(await alice.open("/knowledge-bench/runs"))
    for told in (
        "the worth of its words (BM25)",
        "the similarity of its meaning",
        "its share in both searches joined",
        "what the reranking model holds of it",
    ):
        assert told in page, told
    for leg in legs.values():
        digits = 3 if leg.name == "fused" else 2
        first, score = leg.passages[0], leg.scores[0]
        assert re.search(rf"1\. {first.source_title} — {round(score, digits):.{digits}f}".rstrip("0"), page)
    assert "The base was not measured yet" in run
    (words,) = misspelt.legs
    assert words.alike and words.alike.keys() == words.taken_for.keys()
    assert all(0 < share < 1 for near in words.alike.values() for share in near.values())
