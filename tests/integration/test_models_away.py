"""Models that do not answer: the fallback, what all processes know of it, and what calls cost."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest

from gptagent.adapters.llm.port import REQUESTS_PER_MINUTE, OpenAiCompatible, Patience
from gptagent.adapters.speech.port import OpenAiSpeech
from gptagent.entrypoints.doctor import _breaker
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.inference import service as inference
from gptagent.features.inference import store
from gptagent.features.inference.breaker import PostgresBreaker
from gptagent.features.inference.model import CIRCUIT, ChatTurn, ModelRequest, Price, PriceList, Recording
from gptagent.features.inference.prices import load_prices
from gptagent.kernel import observe
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import AppError, Misconfigured, UpstreamUnavailable
from gptagent.kernel.ids import new_id
from gptagent.kernel.settings import Settings
from gptagent.sandbox.spawn import running
from integration.conftest import serving_here
from members import add_member, bearer
from readers import reader_of, texts
from scenes import Scene
from trust import TRUST

REQUEST = ModelRequest("You answer briefly.", (ChatTurn("user", "Hello"),), temperature=0.2, max_tokens=77)
QUICK = Patience(call=30.0, total=200.0, first_pause=0.01)
LONG = replace(CIRCUIT, first=timedelta(minutes=5), longest=timedelta(minutes=10))
PRICES = PriceList({"sandbox": Price(Decimal(2), Decimal(10))})


@pytest.fixture(scope="module")
def llm():
    with running("llm") as url:
        yield url


@pytest.fixture
def control(llm):
    with httpx2.Client(base_url=f"{llm}/_sandbox", timeout=30, verify=TRUST) as http:
        http.post("/reset").raise_for_status()
        yield http


@pytest.fixture
async def open_model(llm, control, database):
    """Make models as different processes do: each with its own breaker on the one database."""
    opened = []

    def make(name, **options):
        parts = urlsplit(llm)
        allow, base = frozenset({(parts.hostname, parts.port)}), f"{llm}/v1"
        breaker = PostgresBreaker(database, base)
        settings = {"breaker": breaker, "patience": QUICK, **options}
        opened.append(OpenAiCompatible(allow, base, "key", name, **settings))
        return opened[-1]

    yield make
    for one in opened:
        await one.aclose()


@pytest.fixture(autouse=True)
def long_pause(monkeypatch):
    """No model is looked at again before a test says so."""
    monkeypatch.setattr(store, "CIRCUIT", LONG)


@pytest.fixture
def name():
    """A model that nobody else has given up."""
    return f"m{new_id().hex}"


def break_model(control, name, **fault):
    control.post("/faults", json={"model": name, **fault}).raise_for_status()


def asked(control):
    return [call["model"] for call in control.get("/calls").json()["calls"]]


@pytest.fixture
def pass_time(roles, name):
    """Let the pause of the model's circuit be over."""

    def end_it():
        with psycopg.connect(roles.owner_dsn) as owner:
            done = owner.execute(
                "update app.crm_call_slot set open_until = now() - interval '1 s' where key like %s",
                [f"llm:{name} at %"],
            )
            assert done.rowcount == 1

    return end_it


async def give_up(model, control, name):
    break_model(control, name, status=500)
    for _ in range(2):
        with pytest.raises(UpstreamUnavailable):
            await model.complete(REQUEST)


@pytest.mark.parametrize(
    ("fault", "tries"),
    [
        ({"status": 429}, 3),
        ({"status": 429, "retry_after": 600}, 1),
        ({"status": 503}, 3),
        ({"status": 404}, 1),
        ({"action": "timeout"}, 3),
        ({"action": "broken"}, 3),
        ({"action": "wrong_json"}, 3),
    ],
)
async def test_the_fallback_model_answers_for_one_that_is_away(open_model, control, name, fault, tries):
    """MSG-9"""
    patience = replace(QUICK, call=3.0) if fault.get("action") == "timeout" else QUICK
    model = open_model(name, fallback_model="sandbox-mini", patience=patience)
    break_model(control, name, **fault)
    reply = await model.complete(REQUEST)
    assert reply.model == "sandbox-mini"
    assert asked(control) == [name] * tries + ["sandbox-mini"]
    assert reply.calls == tries + 1


async def test_there_is_no_fallback_for_a_request_that_is_refused_or_for_itself(open_model, control, name):
    break_model(control, name, status=401)
    with pytest.raises(Exception, match="llm_unauthorized"):
        await open_model(name, fallback_model="sandbox-mini").complete(REQUEST)
    break_model(control, "sandbox-mini", status=500, count=3)
    with pytest.raises(UpstreamUnavailable):
        await open_model("sandbox-mini", fallback_model="sandbox-mini").complete(REQUEST)
    assert asked(control) == [name] + ["sandbox-mini"] * 3


async def test_after_five_failures_one_looks_and_others_wait(open_model, control, database, pass_time, name):
    """MSG-10"""
    first, other = open_model(name), open_model(name, fallback_model="sandbox-mini")
    opened = observe.LLM_CIRCUITS._value.get()
    await give_up(first, control, name)
    assert asked(control) == [name] * CIRCUIT.trip, "the sixth attempt is not made"
    assert observe.LLM_CIRCUITS._value.get() == opened + 1
    with pytest.raises(UpstreamUnavailable, match="llm_circuit_open") as refused:
        await first.complete(REQUEST)
    assert 0 < refused.value.retry_after <= LONG.first.total_seconds()
    assert (await other.complete(REQUEST)).model == "sandbox-mini"
    assert (await first.complete(replace(REQUEST, model="sandbox"))).model == "sandbox"
    assert asked(control)[CIRCUIT.trip :] == ["sandbox-mini", "sandbox"]
    pass_time()
    control.post("/knobs", json={"first_token_ms": 200})
    looks = await asyncio.gather(*(first.complete(REQUEST) for _ in range(8)), return_exceptions=True)
    assert asked(control).count(name) == CIRCUIT.trip + 1, "one looks how it is"
    assert {error.code for error in looks} == {"llm_circuit_open"}
    async with database.installation() as session:
        assert [one.partition(" at ")[0] for one in await inference.resting_models(session)].count(name) == 1
    control.delete("/faults")
    pass_time()
    assert (await other.complete(REQUEST)).model == name
    for model in (first, other):
        assert (await model.complete(REQUEST)).model == name
    async with database.installation() as session:
        assert not [one for one in await inference.resting_models(session) if one.startswith(name)]


async def test_a_speech_model_is_left_alone_too_and_its_fallback_writes_down(
    llm, control, database, pass_time, name
):
    """MSG-9, MSG-10"""
    parts = urlsplit(llm)
    egress = Egress(frozenset({(parts.hostname, parts.port)}))
    breaker = PostgresBreaker(database, f"{llm}/v1")
    first = OpenAiSpeech(egress, f"{llm}/v1", name, "key", QUICK, breaker=breaker)
    voice = Recording("voice.ogg", "audio/ogg", b"OggS\0Hello")
    break_model(control, name, status=500)
    for _ in range(2):
        with pytest.raises(UpstreamUnavailable):
            await first.transcribe(voice)
    assert asked(control) == [name] * CIRCUIT.trip
    with pytest.raises(UpstreamUnavailable, match="speech_circuit_open"):
        await first.transcribe(voice)
    other = replace(first, fallback_model="sandbox-speech", breaker=PostgresBreaker(database, f"{llm}/v1"))
    assert (await other.transcribe(voice)).text == "Hello"
    assert asked(control)[CIRCUIT.trip :] == ["sandbox-speech"]
    control.delete("/faults")
    pass_time()
    for one in (first, other):
        assert (await one.transcribe(voice)).model == name
    await egress.aclose()


async def test_a_turn_survives_a_model_that_breaks_off_in_the_middle_of_an_emoji(world, open_model, control):
    """PostgreSQL takes no half of a surrogate pair: not in the answer, nor in what is kept of the turn."""
    control.post("/knobs", json={"half_pairs": True}).raise_for_status()
    control.post("/script", json={"reply": "Good day ¤"}).raise_for_status()
    scene = await Scene.open(world)
    scene.runner = replace(scene.runner, responder=ModelResponder(open_model("sandbox")))
    await scene.says("Hello")
    await scene.calm()
    assert await scene.outcomes() == [("reply", None)]
    assert await scene.sent() == ["Good day \ufffd"]


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_a_refusal_is_an_answer_of_a_model_that_is_back(open_model, control, pass_time, name, status):
    """MSG-10"""
    first, other = open_model(name), open_model(name)
    await give_up(first, control, name)
    control.delete("/faults")
    pass_time()
    break_model(control, name, status=status)
    with pytest.raises(AppError, match=r"llm_(rejected|unauthorized)"):
        await other.complete(REQUEST)
    control.delete("/faults")
    for model in (first, other):
        assert (await model.complete(REQUEST)).model == name


async def test_a_request_over_the_limit_is_not_the_one_that_looks(database, pass_time, name):
    """MSG-10"""
    base = "https://models.invalid/v1"
    breaker = PostgresBreaker(database, base)
    for _ in range(CIRCUIT.trip):
        await breaker.tell(name, failed=True)
    pass_time()
    patience = Patience(total=0.1)
    busy = OpenAiCompatible(frozenset(), base, "key", name, breaker=breaker, patience=patience)
    for _ in range(REQUESTS_PER_MINUTE.amount):
        busy._counts.try_once(REQUESTS_PER_MINUTE, base)
    with pytest.raises(UpstreamUnavailable, match="llm_busy"):
        await busy.complete(REQUEST)
    assert await breaker.ask(name) == 0, "another may look"
    await breaker.tell(name, failed=False)


async def test_a_model_that_is_left_alone_is_told_of(open_model, control, stranger, pass_time, name):
    ready = await stranger.http.get("/health/ready")
    assert ready.json() == {"status": "ready"}
    await give_up(open_model(name), control, name)
    told = await stranger.http.get("/health/ready")
    assert (told.status_code, told.json()) == (200, {"status": "degraded", "model": "llm_circuit_open"})
    control.delete("/faults")
    pass_time()
    await open_model(name).complete(REQUEST)
    assert (await stranger.http.get("/health/ready")).json() == {"status": "ready"}


async def test_the_doctor_names_a_model_that_is_left_alone(open_model, control, pass_time, name, home):
    settings = Settings(gptagent_home=home, llm_model=name)
    assert (await _breaker(settings)).ok
    await give_up(open_model(name), control, name)
    found = await _breaker(settings)
    assert not found.ok
    assert name in found.detail
    pass_time()
    control.delete("/faults")
    await open_model(name).complete(REQUEST)


async def test_a_turns_tokens_and_cost_are_the_providers_and_shown(world, open_model, control, home, kommo):
    """MSG-11: the reply and its second wording are two calls of one turn."""
    scene = await Scene.open(world)
    model = open_model("sandbox", prices=PRICES)
    scene.runner = replace(scene.runner, responder=ModelResponder(model))
    await scene.write_article("Delivery", "Delivery to the city costs 490 roubles.")
    invented, true = "It costs 590 roubles [1].", "It costs 490 roubles [1]."
    control.post("/script", json=[{"match": "has no source", "reply": true}, {"reply": invented}])
    await scene.says("How much does delivery to the city cost?")
    await scene.calm()
    (turn,) = await scene.turns()
    billed = [call["usage"] for call in control.get("/calls").json()["calls"]]
    tokens_in = sum(one["prompt_tokens"] for one in billed)
    tokens_out = sum(one["completion_tokens"] for one in billed)
    async with world.db.session(world.scope) as session:
        rows = await session.fetch("select turn_id, purpose from app.llm_usage order by id")
        used = (await inference.usage_of_turns(session, [turn["id"]]))[turn["id"]]
    assert [tuple(row) for row in rows] == [(turn["id"], "reply"), (turn["id"], "rewrite")]
    assert (used.calls, used.tokens_in, used.tokens_out) == (2, tokens_in, tokens_out)
    assert used.cost_micro_usd == 2 * tokens_in + 10 * tokens_out
    at = f"/conversations/{scene.conversation_id}"
    viewer = await add_member(world.db, world.scope, "viewer")
    async with serving_here(home, kommo_sandbox_url=kommo) as url:
        async with reader_of(url, world.db, world.scope) as owner:
            shown = texts(await owner.open(at))
            assert (
                f"Tokens: {tokens_in + tokens_out:,} · ${used.cost_micro_usd / 1e6:.6f}".rstrip("0") in shown
            )
        async with reader_of(url, world.db, viewer) as reader:
            assert "Tokens:" not in texts(await reader.open(at))
        async with httpx2.AsyncClient(base_url=url, timeout=30) as http:
            vault = load_vault(Settings(gptagent_home=home))
            for scope, cost in ((world.scope, used.cost_micro_usd), (viewer, None)):
                headers = await bearer(world.db, vault, scope)
                told = (await http.get(f"/api/v1{at}/messages", headers=headers)).json()["turns"][0]["usage"]
                assert (told and told["cost_micro_usd"]) == cost
    async with world.db.session(world.scope) as session:
        await session.execute("update app.llm_usage set cost_micro_usd = null where purpose = 'rewrite'")
        used = (await inference.usage_of_turns(session, [turn["id"]]))[turn["id"]]
    assert used.cost_micro_usd is None, "a part is not told as the whole"


def test_a_cost_is_told_by_a_price_and_never_guessed(tmp_path):
    shipped = load_prices("https://api.openai.com/v1", None)
    assert shipped.cost(("gpt-4o-mini",), 1_000_000, 1_000_000) == 750_000
    assert shipped.cost(("gpt-4o-mini-2024-07-18",), 1_000, 0, 600) == 105
    assert shipped.cost(("gpt-99", "gpt-4o-mini-turbo"), 1_000, 1_000) is None
    assert load_prices("http://127.0.0.1:11434/v1", None).cost(("gpt-4o-mini",), 1_000, 0) is None
    file = tmp_path / "prices.json"
    own = '"mine-2024-05-13": {"input": 5, "output": 1}'
    file.write_text(f'{{"usd_per_million_tokens": {{"mine": {{"input": 0.5, "output": 1}}, {own}}}}}')
    mine = load_prices("http://127.0.0.1:11434/v1", file)
    assert mine.cost(("unknown", "mine"), 3, 1, 2) == 3, "2.5, rounded half up"
    assert mine.cost(("mine-2024-05-13",), 1_000, 0) == 5_000, "a release with a price of its own"
    assert mine.cost(("mine-2025-01-01",), 1_000, 0) == 500
    for wrong in ("{", '{"usd_per_million_tokens": {"mine": {"input": -1, "output": 1}}}'):
        file.write_text(wrong)
        with pytest.raises(Misconfigured, match="prices_unreadable"):
            load_prices("https://api.openai.com/v1", file)
