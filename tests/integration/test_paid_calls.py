"""Every call of a provider is held before it and counted after it: voice, vectors, the order of passages."""

import asyncio
import random
from dataclasses import replace
from decimal import Decimal
from urllib.parse import urlsplit

import pytest

from gptagent.adapters.embeddings.port import OpenAiEmbeddings
from gptagent.adapters.reranking.port import HttpReranker
from gptagent.adapters.speech.port import OpenAiSpeech, Patience
from gptagent.features.agents import service as agents
from gptagent.features.dialog.hearing.service import ASK_AGAIN_VOICE
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.dialog.tracing import service as tracing
from gptagent.features.inference import service as inference
from gptagent.features.inference.budgets.model import Amount, Limits
from gptagent.features.inference.budgets.service import BudgetExhausted
from gptagent.features.inference.guarded import GuardedModel
from gptagent.features.inference.model import (
    ChatTurn,
    EmbeddingModel,
    ModelRequest,
    Price,
    PriceList,
    Recording,
    Use,
)
from gptagent.features.knowledge.ports import RerankingModel
from gptagent.features.knowledge.reranking import service as reranking
from gptagent.features.knowledge.reranking.jobs import RerankingJobs
from gptagent.features.knowledge.reranking.model import Worth
from gptagent.features.knowledge.service import Reranking, Understanding
from gptagent.features.knowledge.vectors import service as vectors
from gptagent.features.knowledge.vectors.jobs import VectorJobs
from gptagent.features.knowledge.vectors.model import Benefit
from gptagent.kernel.egress import Egress
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.ids import new_id
from gptagent.kernel.jobs import JobContext
from integration.paid_desk import allow, asked, held, used
from listening import Listening, recording
from readers import reader_of, texts
from scenes import Scene

QUESTION = "What does delivery to the city cost?"
BY_SECONDS = PriceList(minutes={"sandbox-speech": Decimal("0.6")})
TEN, TWO, THREE, NOTHING = Decimal(10), Decimal(2), Decimal(3), Decimal(0)
PRICES = PriceList({"sandbox": Price(TWO, TEN), "sandbox-embedding": Price(THREE, NOTHING)})
BY_SEARCH = PriceList(searches={"sandbox-reranker": TWO})
VOICE = Recording("voice.ogg", "audio/ogg", b"OggS\0" + b"Hello " * 20)
AT_ONCE = 50


@pytest.fixture
async def egress(llm):
    parts = urlsplit(llm)
    egress = Egress(frozenset({(parts.hostname, parts.port)}))
    yield egress
    await egress.aclose()


@pytest.fixture
def speech(llm, control, egress):
    patience = Patience(call=20, total=30, first_pause=0.01)
    return OpenAiSpeech(egress, f"{llm}/v1", "sandbox-speech", "key", patience, BY_SECONDS)


@pytest.fixture
def embedder(llm, control, egress):
    model = EmbeddingModel(f"{llm}/v1", "sandbox-embedding")
    return OpenAiEmbeddings(egress, model, "key", prices=PRICES)


@pytest.fixture
def reranker(llm, control, egress):
    return HttpReranker(egress, RerankingModel(f"{llm}/v1", "sandbox-reranker"), "key", BY_SEARCH)


@pytest.fixture
async def scene(world, model, embedder, reranker):
    """A base with an index by meaning and a reranking model that were measured to help."""
    scene = await Scene.open(world)
    model.prices = PRICES
    scene.door = GuardedModel(world.db, model, PRICES, ("sandbox",))
    scene.runner = replace(
        scene.runner,
        responder=ModelResponder(scene.door),
        understanding=Understanding(embedder),
        reranking=Reranking(reranker),
    )
    for place in ("the city", "the suburbs", "the islands"):
        await scene.write_article(
            f"Delivery to {place}", f"Delivery to {place} costs 490 roubles. It takes two days to {place}."
        )
    async with world.db.session(world.scope) as session:
        index = await vectors.claim_index(session, embedder.model, 1)
        pieces = await vectors.pieces_to_embed(session, index.id, 100)
    answer = await embedder.embed([text for _, text in pieces])
    async with world.db.session(world.scope) as session:
        await vectors.record_vectors(session, index, [chunk_id for chunk_id, _ in pieces], answer)
        await vectors.complete(session, index, Benefit(10, 0.5, 1.0, 0.5, 1.0, weight=1.0, lowest=0.0))
        await reranking.store.begin(session, reranker.model)
        await reranking.record_worth(session, reranker.model, Worth(10, 1.0, 1.0, 0.5, 1.0, helps=True))
    return scene


async def traced(scene, turn):
    async with scene.world.db.session(scene.world.scope) as session:
        return (await tracing.find_explanation(session, scene.conversation_id, turn["id"])).calls


async def test_a_turn_counts_the_meaning_of_its_question_and_the_order_of_its_passages(scene, control):
    """MSG-5, MSG-11: for workspace, agent and contact alike; the trace lists each with its cost."""
    world = scene.world
    control.post("/knobs", json={"reranking_usage": "searches"}).raise_for_status()
    control.post("/script", json={"reply": "Delivery to the city costs 490 roubles [1]."}).raise_for_status()
    await allow(world.db, world.scope)
    before = len(asked(control))
    await scene.says(QUESTION)
    await scene.calm()
    assert await scene.sent() == ["Delivery to the city costs 490 roubles."]
    assert asked(control, before) == ["embeddings", "rerank", "chat"]
    (turn,) = await scene.turns()
    calls = {one.purpose: one for one in await traced(scene, turn)}
    assert list(calls) == ["embedding", "reranking", "reply"]
    assert calls["embedding"].cost_micro_usd == 3 * calls["embedding"].tokens_in > 0
    assert (calls["reranking"].tokens_in, calls["reranking"].cost_micro_usd) == (0, 2_000), "one search"
    async with world.db.session(world.scope) as session:
        usage = (await inference.usage_of_turns(session, [turn["id"]]))[turn["id"]]
    total = sum(one.cost_micro_usd for one in calls.values())
    assert (usage.calls, usage.cost_micro_usd) == (3, total)
    spent = await used(world.db, world.scope)
    assert {level: one.micro_usd for level, one in spent.items()} == dict.fromkeys(
        ("workspace", "agent", "contact"), total
    )
    told = sum(one.tokens_in + one.tokens_out for one in calls.values())
    assert spent["workspace"].tokens > told, "of the order no tokens are told: what was held counts"
    assert await held(world.db, world.scope) == []


async def test_a_turn_without_money_finds_by_words_in_the_order_they_are_found(scene, control):
    """MSG-5: nobody is asked anything, the customer has an answer, and the trace says why it is that one."""
    world = scene.world
    await allow(world.db, world.scope, Limits(day_tokens=0))
    before = len(asked(control))
    await scene.says(QUESTION)
    await scene.calm()
    (reply,) = await scene.sent()
    assert "490 roubles" in reply
    assert asked(control, before) == []
    (turn,) = await scene.turns()
    failed = [(one.purpose, one.error) for one in await traced(scene, turn)]
    assert failed == [(kind, "budget_exhausted") for kind in ("embedding", "reranking", "reply")]
    await allow(world.db, world.scope)
    await scene.says(QUESTION)
    await scene.calm()
    assert set(asked(control, before)) == {"embeddings", "rerank", "chat"}, "no provider was given a rest"


async def test_a_reranking_model_without_money_is_not_measured_and_it_is_said(
    scene, control, embedder, reranker
):
    """KB-18, MSG-5: nobody is asked anything, what was measured counts on, and with money it is done."""
    world = scene.world
    ctx = JobContext(world.db, None, world.scope, 7, 1)

    async def measure():
        async with world.db.session(world.scope) as session:
            await reranking.measure_again(session, reranker.model)
        await RerankingJobs(reranker, Understanding(embedder)).measure(ctx)
        async with world.db.session(world.scope) as session:
            return await reranking.get_standing(session, reranker.model)

    await allow(world.db, world.scope, Limits(day_tokens=0))
    before = len(asked(control))
    standing = await measure()
    assert asked(control, before) == []
    assert standing.error_code == "budget_exhausted" and standing.worth.helps
    assert "budget for AI models is used up" in standing.failure
    await allow(world.db, world.scope)
    control.post("/faults", json={"status": 401, "model": "embedding"}).raise_for_status()
    standing = await measure()
    assert standing.error_code == "embedding_unauthorized" and standing.worth.helps
    assert set(asked(control, before)) == {"embeddings"}, "without the meaning it would be of another search"
    control.delete("/faults").raise_for_status()
    standing = await measure()
    assert standing.error_code is None and set(asked(control, before)) == {"embeddings", "rerank"}
    assert set(await used(world.db, world.scope)) == {"workspace"}, "the base is the workspace's"


async def test_vectors_wait_for_money_say_so_and_go_on(scene, control, embedder):
    """KB-17, MSG-5"""
    world = scene.world
    ctx = JobContext(world.db, None, world.scope, 7, 1)
    await allow(world.db, world.scope, Limits(day_tokens=0))
    await scene.write_article("Assembly", "Assembly of a bed is free.")
    before = len(asked(control))
    await VectorJobs(embedder).embed(ctx)
    assert asked(control, before) == []
    async with world.db.session(world.scope) as session:
        standing = await vectors.get_standing(session)
    assert (standing.state, standing.serving.error_code) == ("failed", "budget_exhausted")
    assert "budget for AI models is used up" in standing.worked_at.failure
    await allow(world.db, world.scope)
    await VectorJobs(embedder).embed(JobContext(world.db, None, world.scope, 8, 1))
    async with world.db.session(world.scope) as session:
        standing = await vectors.get_standing(session)
    assert (standing.state, standing.progress.embedded) == ("ready", standing.progress.chunks)
    spent = await used(world.db, world.scope)
    assert set(spent) == {"workspace"}, "the base is the workspace's"
    told = [call["usage"] for call in control.get("/calls?prompts=0").json()["calls"][before:]]
    assert spent["workspace"].tokens == sum(one["total_tokens"] for one in told)


@pytest.fixture
def listening(scene, speech, tmp_path):
    return Listening(scene, LocalFiles(tmp_path), speech=speech)


async def test_a_voice_message_is_paid_by_the_second_and_told_with_the_turn_it_is_for(
    listening, scene, control
):
    """MSG-5, MSG-11, MSG-21: for its contact, and for the agent that is the only one to answer there."""
    world = scene.world
    knobs = {"speech_usage": "seconds", "reranking_usage": "searches"}
    control.post("/knobs", json=knobs).raise_for_status()
    control.post("/script", json={"system": "employee", "reply": "Yes."}).raise_for_status()
    await allow(world.db, world.scope)
    await listening.sends("voice", recording(QUESTION))
    await listening.fetch()
    await listening.hear()
    seconds = len(recording(QUESTION)) / 10
    heard = Amount(round(seconds * 10_000), -(-len(recording(QUESTION)) // 10) * 10)
    assert await used(world.db, world.scope) == dict.fromkeys(("workspace", "agent", "contact"), heard)
    async with world.db.session(world.scope) as session:  # by a turn that came to nothing
        subjects = [await session.fetchval("select subject from app.llm_usage where purpose = 'hearing'")]
        assert len(await inference.claim_usage(session, new_id(), subjects, "hearing")) == 1
    await scene.calm()
    (turn,) = await scene.turns()
    (first, *_) = [one for one in await traced(scene, turn) if one.purpose == "hearing"]
    assert (first.model, first.cost_micro_usd) == ("sandbox-speech", heard.micro_usd)
    async with world.db.session(world.scope) as session:
        row = await session.fetchrow("select turn_id, seconds from app.llm_usage where purpose = 'hearing'")
        usage = (await inference.usage_of_turns(session, [turn["id"]]))[turn["id"]]
        assert await inference.claim_usage(session, new_id(), subjects, "hearing") == []
    assert (row["turn_id"], row["seconds"]) == (turn["id"], round(heard.tokens / 10))
    assert usage.calls == len(await traced(scene, turn))
    assert (await used(world.db, world.scope))["contact"].micro_usd == usage.cost_micro_usd


async def test_a_voice_message_without_money_is_honestly_not_heard(listening, scene, control, alice_here):
    """MSG-5, MSG-21: the agent asks for words, and the thread says why."""
    world = scene.world
    await allow(world.db, world.scope, contact=Limits(day_tokens=0))
    await listening.sends("voice", recording(QUESTION))
    await listening.fetch()
    await listening.hear()
    await scene.calm()
    assert await scene.sent() == [ASK_AGAIN_VOICE]
    (file,) = await listening.shown()
    assert (file.hearing, file.unheard_reason) == ("unheard", "no_budget")
    assert "transcription" not in asked(control)
    thread = texts(await alice_here.open(f"/conversations/{scene.conversation_id}"))
    assert "the budget for AI models is used up" in thread


@pytest.fixture
async def alice_here(world, web):
    async with reader_of(web, world.db, world.scope) as reader:
        yield reader


@pytest.fixture
def door(database, model):
    return GuardedModel(database, model, names=("sandbox",))


@pytest.fixture
def kinds(door, scope, speech, embedder, reranker):
    """A call of each kind."""
    database, use = door.db, Use(scope)
    request = ModelRequest("You answer briefly.", (ChatTurn("user", "Hello " * 40),), 0.2, 60, use=use)
    return [
        lambda: door.complete(request),
        lambda: inference.transcribe(database, use, speech, VOICE),
        lambda: inference.embed(database, use, embedder, ["Hello " * 60]),
        lambda: reranking.rank(database, use, reranker, "Hello", ["Hello " * 60, "no"], deadline=30),
    ]


async def test_fifty_calls_of_all_kinds_at_once_never_spend_more_than_one_above_the_limit(
    database, scope, kinds, control
):
    """MSG-5"""
    for kind in kinds:
        await kind()
    each = [sum(usage_of(call).values()) for call in control.get("/calls?prompts=0").json()["calls"]]
    assert len(each) == len(kinds) and min(each) > 0
    limit = sum(each) * 4 + 1
    await allow(database, scope, Limits(day_tokens=limit))
    dice = random.Random(1)
    for _ in range(30):  # what a burst could not begin since others held it begins in the next one
        results = await asyncio.gather(
            *(dice.choice(kinds)() for _ in range(AT_ONCE)), return_exceptions=True
        )
        failed = [one for one in results if isinstance(one, BaseException)]
        assert all(isinstance(one, BudgetExhausted) for one in failed), failed
        assert (await used(database, scope))["workspace"].tokens <= limit + max(each)
        if len(failed) == AT_ONCE:
            break
    spent = (await used(database, scope))["workspace"].tokens
    told = [usage_of(call) for call in control.get("/calls?prompts=0").json()["calls"]]
    assert limit <= spent == sum(sum(one.values()) for one in told)
    assert await held(database, scope) == []


def usage_of(call):
    """Return what a call is told to have used, without the sum of it."""
    usage = dict(call["usage"] or {})
    if len(usage) > 1:
        usage.pop("total_tokens", None)
    return usage


async def test_a_provider_that_tells_nothing_has_used_what_was_held(
    database, scope, speech, reranker, control
):
    control.post("/knobs", json={"speech_usage": "none", "reranking_usage": "none"}).raise_for_status()
    await allow(database, scope, Limits(day_tokens=1))
    reply = await inference.transcribe(database, Use(scope), speech, VOICE)
    assert (reply.cost_micro_usd, reply.tokens_in, reply.seconds) == (None, 0, 0), "a cost is never guessed"
    spent = (await used(database, scope))["workspace"]
    assert spent.tokens >= 10
    assert spent.micro_usd == 10_000, "a second at most, at its price"
    with pytest.raises(BudgetExhausted):
        await reranking.rank(database, Use(scope), reranker, "Hello", ["yes", "no"], deadline=30)
    await allow(database, scope)
    await reranking.rank(database, Use(scope), reranker, "Hello", ["yes", "no"], deadline=30)
    assert (await used(database, scope))["workspace"].micro_usd == spent.micro_usd + 2_000


COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "seconds")


@pytest.mark.parametrize(
    "nonsense",
    [
        *(dict.fromkeys(COUNTS, wrong) for wrong in (-5, 10**12, 10**40, 1e300, "many", [1], {"a": 1}, True)),
        {
            **dict.fromkeys(COUNTS, 7),
            **dict.fromkeys(("prompt_tokens", "input_tokens", "total_tokens", "seconds"), -1),
        },
        "much",
        7,
        [],
    ],
)
async def test_what_no_call_can_have_used_counts_as_if_nothing_was_told(
    *, database, scope, door, kinds, control, nonsense
):
    """MSG-5: neither the answer nor the accounts are lost over it, and nobody is without a limit."""
    await allow(database, scope)
    request = ModelRequest("Be brief.", (ChatTurn("user", "Hello"),), 0.2, 60, use=Use(scope))

    async def hear(_piece):
        pass

    spent = [Amount()]
    for usage in ({}, nonsense):
        control.post("/knobs", json={"told_usage": usage}).raise_for_status()
        for kind in (*kinds, lambda: door.stream(request, hear)):
            await kind()
        reply = await door.complete(request)
        async with database.session(scope) as session:
            await inference.record_usage(session, None, reply)
        spent.append((await used(database, scope))["workspace"])
    first, both = spent[1:]
    assert first.tokens > 0 < first.micro_usd
    assert (both.tokens, both.micro_usd) == (first.tokens * 2, first.micro_usd * 2)


async def test_an_agents_own_limit_bounds_what_its_questions_cost_besides(scene, control):
    """MSG-5: the meaning of a question counts for the agent that asks."""
    world = scene.world
    await scene.set_agent(budget={"day_tokens": 1})
    await scene.says(QUESTION)
    await scene.calm()
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
    assert agent.settings.budget.day_tokens == 1
    (turn,) = await scene.turns()
    errors = [(one.purpose, one.error) for one in await traced(scene, turn)]
    assert errors == [
        ("embedding", None),
        ("reranking", "budget_exhausted"),
        ("reply", "budget_exhausted"),
    ]
