"""Passages in a model's order: measured, used where it helps, life without the provider."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from urllib.parse import urlsplit

import httpx2
import pytest

from gptagent.adapters.reranking.port import HttpReranker
from gptagent.features.knowledge import service
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.features.knowledge.model import NewArticle
from gptagent.features.knowledge.ports import RerankingModel
from gptagent.features.knowledge.questions import service as questions
from gptagent.features.knowledge.reranking import service as reranking
from gptagent.features.knowledge.reranking import store
from gptagent.features.knowledge.reranking.jobs import RerankingJobs
from gptagent.features.knowledge.reranking.model import Worth
from gptagent.features.knowledge.reranking.service import Reranking
from gptagent.features.knowledge.vectors.service import Understanding
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import NotFound
from gptagent.kernel.scope import Scope
from gptagent.sandbox.spawn import running

# By its words each question finds the first of a pair, by its meaning it asks for the second.
SUBJECTS = ("sofa", "table", "chair", "kitchen", "watch", "battery", "book", "film", "music", "card", "gift")


def pair(subject):
    noise = f"The {subject} catalogue, leaflet and page of whatever {subject}: all {subject} paper is free."
    answer = f"Delivery of a {subject}."
    return noise, answer


def question(subject):
    return f"shipping whatever {subject}"


@dataclass
class Desk:
    """A workspace, the provider, and the job that a worker would run."""

    database: Database
    scope: Scope
    reranker: HttpReranker
    control: httpx2.Client

    @property
    def db(self):
        return self.database

    def with_model(self, name):
        model = replace(self.reranker.model, name=name)
        return replace(self, reranker=replace(self.reranker, model=model))

    async def write(self, *, saved=True):
        async with self.database.session(self.scope) as session:
            for subject in SUBJECTS:
                made = []
                for n, text in enumerate(pair(subject)):
                    new = NewArticle(f"{subject} {n}", text)
                    made.append(await service.create_article(session, new, now=utcnow()))
                if saved:
                    await questions.save_question(session, question(subject), [made[1].id], now=utcnow())

    async def measure(self):
        async with self.database.session(self.scope) as session:
            await store.begin(session, self.reranker.model)
            await store.queue(session, timedelta(days=1))
        await RerankingJobs(self.reranker, Understanding(None)).measure(self)
        return await self.standing()

    async def standing(self):
        async with self.database.session(self.scope) as session:
            return await reranking.get_standing(session, self.reranker.model)

    async def ask(self, text, orders=None, within=None):
        orders = orders or Reranking(self.reranker)
        order = await orders.order(self.database, self.scope, text, within=within)
        async with self.database.session(self.scope) as session:
            found = await service.search(session, text, within=within, order=order)
        return [passage.source_title for passage in found]

    def calls(self):
        return [call for call in self.control.get("/calls").json()["calls"] if call["kind"] == "rerank"]

    def fail(self, **fault):
        self.control.post("/faults", json=fault).raise_for_status()


@pytest.fixture(scope="module")
def provider():
    with running("llm") as url:
        yield url


@pytest.fixture
async def desk(database, scope, provider):
    parts = urlsplit(provider)
    egress = Egress(frozenset({(parts.hostname, parts.port)}))
    model = RerankingModel(f"{provider}/v1", "sandbox-reranker")
    with httpx2.Client(base_url=f"{provider}/_sandbox", timeout=20) as control:
        control.post("/reset").raise_for_status()
        yield Desk(database, scope, HttpReranker(egress, model, "key"), control)
    await egress.aclose()


async def test_a_model_that_finds_more_is_used_and_what_it_cost_is_noted(desk):
    await desk.write()
    assert (await desk.ask(question("sofa")))[0] == "sofa 0"
    assert desk.calls() == [], "what was not measured is not asked"
    standing = await desk.measure()
    worth = standing.worth
    assert worth.helps and worth.sample_size == len(SUBJECTS)
    assert worth.mrr_after > worth.mrr_before and worth.recall_after >= worth.recall_before
    assert standing.measured_at is not None and standing.error_code is None
    assert (await desk.ask(question("sofa")))[0] == "sofa 1"
    orders = Reranking(desk.reranker)
    order = await orders.order(desk.database, desk.scope, question("sofa"))
    async with desk.database.session(desk.scope) as session:
        used = await session.fetchval(
            "select sum(tokens_in) from app.llm_usage where model = $1", "sandbox-reranker"
        )
        trial = await questions.try_question(session, question("sofa"), order=order)
    assert used == sum(call["usage"]["total_tokens"] for call in desk.calls())
    assert [leg.name for leg in trial.legs] == ["words", "reranking"]
    assert (trial.legs[0].passages[0].source_title, trial.passages[0].source_title) == ("sofa 0", "sofa 1")


async def test_a_model_that_makes_it_worse_is_not_asked(desk):
    """The gate measures, it is not told."""
    await desk.write()
    backwards = desk.with_model("sandbox-backwards")
    standing = await backwards.measure()
    assert not standing.worth.helps
    before = len(desk.calls())
    assert (await backwards.ask(question("sofa")))[0] == "sofa 0"
    assert len(desk.calls()) == before, "a question was sent to a model that does not help"


async def test_without_the_provider_the_order_stays_and_it_is_said(desk, monkeypatch):
    """KB-18"""
    await desk.write()
    await desk.measure()
    time = [0.0]
    orders = Reranking(desk.reranker, clock=lambda: time[0])
    desk.fail(action="timeout", count=1)
    with monkeypatch.context() as hurried:
        hurried.setattr(reranking, "QUESTION_SECONDS", 1.0)
        assert (await desk.ask(question("sofa"), orders))[0] == "sofa 0"
    assert (await desk.standing()).missed_at is not None
    before = len(desk.calls())
    assert (await desk.ask(question("table"), orders))[0] == "table 0"
    assert len(desk.calls()) == before, "it is not asked again at once"
    time[0] = reranking.REST_SECONDS + 1
    assert (await desk.ask(question("table"), orders))[0] == "table 1"


async def test_one_question_that_is_refused_takes_no_order_from_the_others(desk):
    """KB-18: one workspace's passages may be too long for the model; all workspaces share the process"""
    await desk.write()
    await desk.measure()
    orders = Reranking(desk.reranker, clock=lambda: 0.0)
    desk.fail(status=400, count=1)
    assert (await desk.ask(question("sofa"), orders))[0] == "sofa 0"
    assert (await desk.standing()).missed_at is not None
    assert (await desk.ask(question("table"), orders))[0] == "table 1"


async def test_only_what_is_within_is_sent_and_found(desk):
    await desk.write()
    await desk.measure()
    async with desk.database.session(desk.scope) as session:
        only = await categories.create_category(session, NewCategory("Only"), now=utcnow())
        for n, text in enumerate(pair("sofa")):
            new = NewArticle(f"sofa here {n}", text, categories=(only.id,))
            await service.create_article(session, new, now=utcnow())
    found = await desk.ask(question("sofa"), within=service.within([only.id]))
    assert found == ["sofa here 1", "sofa here 0"]
    assert len(desk.calls()[-1]["prompt"]) == 2


async def test_personal_data_is_hidden_from_the_provider(desk):
    """As the workspace hides it from every provider of models; in questions of customers and in passages"""
    await desk.write()
    async with desk.db.session(desk.scope) as session:
        new = NewArticle("sofa manager", "The sofa manager answers at +7 912 345-67-89: all sofa paper.")
        await service.create_article(session, new, now=utcnow())
    await desk.measure()
    await desk.ask(f"{question('sofa')}, my card is 4111 1111 1111 1111")
    told = json.dumps(desk.calls())
    assert "[PHONE]" in told and "345-67-89" not in told
    assert "[CARD]" in told and "4111 1111" not in told


async def test_a_failed_measurement_says_why_and_what_was_measured_counts_on(desk):
    await desk.write()
    await desk.measure()
    desk.fail(status=401)
    standing = await desk.measure()
    assert standing.error_code == "reranker_unauthorized" and standing.failure
    assert standing.worth.helps
    desk.control.delete("/faults")
    assert (await desk.measure()).error_code is None
    await RerankingJobs(desk.reranker, Understanding(None)).give_up(desk)
    assert (await desk.standing()).error_code == "internal"


async def test_another_model_is_measured_anew_and_not_used_before(desk):
    await desk.write()
    await desk.measure()
    other = desk.with_model("sandbox-other")
    assert (await other.ask(question("sofa")))[0] == "sofa 0"
    assert (await other.measure()).worth.helps
    assert (await other.ask(question("sofa")))[0] == "sofa 1"
    assert await desk.standing() is None


async def test_a_measurement_that_ends_after_another_model_was_set_keeps_that_one_from_nothing(desk):
    """A worker of before the change was at it: the new model's turn would have come a day later."""
    await desk.write()
    other = desk.with_model("sandbox-other")
    worth = Worth(10, 1.0, 1.0, 0.5, 1.0, helps=True)
    async with desk.database.session(desk.scope) as session:
        await store.begin(session, desk.reranker.model)
        assert await store.queue(session, timedelta(days=1))
        await store.begin(session, other.reranker.model)
        assert not await store.queue(session, timedelta(days=1)), "one is under way"
        await reranking.record_worth(session, desk.reranker.model, worth)
        assert await store.queue(session, timedelta(days=1))
    assert (await other.standing()).worth is None


async def test_the_schedule_finds_bases_in_which_the_model_is_new_or_that_have_changed(desk, other_scope):
    async def due():
        async with desk.database.installation() as session:
            none = timedelta(seconds=0)
            found = await store.fetch_due(session, desk.reranker.model, none, 10**6)
            return desk.scope.org_id in found

    async def queued():
        async with desk.database.installation() as session:
            rows = await session.fetch(
                "select headers->>'org' as org from jobs.pgqueuer where entrypoint = $1",
                reranking.MEASURE_JOB,
            )
        return sorted(row["org"] for row in rows)

    assert not await due(), "it is empty"
    await desk.write(saved=False)
    assert await due()
    assert await reranking.queue_due(desk.database, desk.reranker.model, most=10**6) > 0
    owners = await queued()
    assert str(desk.scope.org_id) in owners and str(other_scope.org_id) not in owners
    await desk.measure()
    assert not await due()
    async with desk.database.session(desk.scope) as session:
        await reranking.measure_again(session, desk.reranker.model)
    assert await due()
    waiting = await queued()
    async with desk.database.session(desk.scope) as session:
        await reranking.measure_again(session, desk.reranker.model)
    assert await queued() == waiting, "whoever presses twice pays once"
    await reranking.queue_due(desk.database, desk.reranker.model, most=10**6)
    assert (await queued()).count(str(desk.scope.org_id)) == waiting.count(str(desk.scope.org_id))
    await desk.measure()
    paid = len(desk.calls())
    await RerankingJobs(desk.reranker, Understanding(None)).measure(desk)
    assert len(desk.calls()) == paid, "a job that was queued besides asks nobody"
    async with desk.database.session(desk.scope) as session:
        for n in range(11):
            await service.create_article(session, NewArticle(f"new {n}", "More and more."), now=utcnow())
    assert await due()
    async with desk.database.session(desk.scope) as session:
        with pytest.raises(NotFound):
            await reranking.measure_again(session, None)


async def test_the_schedule_does_not_begin_with_the_same_workspaces_each_time(desk, other_scope):
    """However many fail, none is left out: who was looked at longest ago comes first."""
    model = replace(desk.reranker.model, name=f"own-{desk.scope.org_id.hex}")
    first, last = sorted((desk.scope, other_scope), key=lambda one: one.org_id)
    for scope in (first, last):
        async with desk.database.session(scope) as session:
            await service.create_article(session, NewArticle("Delivery", "By courier."), now=utcnow())
    await reranking.queue_due(desk.database, model, most=10**6)

    async def asked_at(scope, hours=None):
        async with desk.database.session(scope) as session:
            if hours is not None:
                await session.execute(
                    """update app.reranking set error_code = 'internal', queued_at = null,
                                               asked_at = now() - $1::interval""",
                    timedelta(hours=hours),
                )
            return await session.fetchval("select asked_at from app.reranking")

    for due_first, due_last in ((last, first), (first, last)):
        await asked_at(due_first, 900_000)
        before = await asked_at(due_last, 800_000)
        assert await reranking.queue_due(desk.database, model, most=1) == 1
        assert await asked_at(due_last) == before
        assert await reranking.queue_due(desk.database, model, most=1) == 1
        assert await asked_at(due_last) > before


async def test_a_question_that_the_model_refuses_is_left_out_and_counted(desk):
    await desk.write()
    desk.fail(status=400, count=1)
    standing = await desk.measure()
    assert (standing.error_code, standing.worth.refused) == (None, 1)
    assert standing.worth.sample_size == len(SUBJECTS) - 1 and standing.worth.helps
    desk.fail(status=400)
    before = len(desk.calls())
    standing = await desk.measure()
    assert standing.error_code == "reranker_rejected" and standing.worth.refused == 1
    assert len(desk.calls()) - before == 3, "a model that takes none is not asked for all"
    desk.control.delete("/faults")
    assert (await desk.measure()).worth.refused == 0
