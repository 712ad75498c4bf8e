"""The fact gate in a real turn: a model that invents, over the real protocol, and what the customer gets."""

import html
from dataclasses import replace
from urllib.parse import urlsplit

import httpx2
import pytest

from fact_dialogues import trap
from gptagent.adapters.llm.port import OpenAiCompatible, Patience
from gptagent.features.dialog import service as dialog
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.knowledge.grounding.gate import unsourced
from gptagent.kernel import observe
from gptagent.sandbox.spawn import running
from integration.conftest import serving_here
from readers import reader_of, texts
from scenes import Scene
from worlds import NOT_FOUND

QUESTION = "How much does delivery to the city cost?"
TRUE = "Delivery to the city costs 490 roubles [1]."
TRAPS = range(3)
OBJECTION = "has no source"


@pytest.fixture
async def scene(world, model):
    """A chat whose agent asks a model; its base has one article and the company's facts."""
    scene = await Scene.open(world)
    scene.runner = replace(scene.runner, responder=ModelResponder(model))
    await scene.write_article("Delivery", "Delivery to the city costs 490 roubles. It takes two days.")
    return scene


def script(control, first, second):
    """Let the model say `second` when it is told what is wrong with `first`."""
    rules = [{"match": OBJECTION, "reply": second}, {"reply": first}]
    control.post("/script?replace=1", json=rules).raise_for_status()


def calls(control):
    return control.get("/calls").json()["calls"]


def gated(outcome):
    return observe.FACT_GATE.labels(outcome)._value.get()


async def ask(scene):
    await scene.says(QUESTION)
    await scene.calm()
    return (await scene.turns())[-1]


async def test_what_is_invented_twice_reaches_nobody(scene, control):
    """Some of the traps in real turns; each is one answer, and what both calls cost is on the turn."""
    before = gated("blocked")
    for number, seed in enumerate(TRAPS, start=1):
        made = trap(seed)
        script(control, made.reply, f"I am sorry. {made.reply}")
        turn = await ask(scene)
        assert (turn["outcome"], turn["reason"], turn["model_calls"]) == ("not_found", "fact_gate", 2)
        both = [call["usage"] for call in calls(control)[-2:]]
        assert turn["tokens_in"] == sum(used["prompt_tokens"] for used in both)
        assert turn["tokens_out"] == sum(used["completion_tokens"] for used in both)
        assert await scene.sent() == [NOT_FOUND] * number
    assert gated("blocked") == before + len(TRAPS)
    assert len(calls(control)) == 2 * len(TRAPS)


async def test_what_is_invented_once_is_rewritten_before_it_is_recorded(scene, control):
    before = gated("rewritten")
    script(control, "Delivery costs 590 roubles, call +7 495 123-45-67 [1].", TRUE)
    turn = await ask(scene)
    assert await scene.sent() == ["Delivery to the city costs 490 roubles."]
    assert (turn["outcome"], turn["reason"], turn["model_calls"]) == ("reply", None, 2)
    assert [source["title"] for source in turn["answer"]["sources"]] == ["Delivery"]
    told = calls(control)[-1]["prompt"]
    assert [message["role"] for message in told[-3:]] == ["user", "assistant", "user"]
    assert "- 590 roubles" in told[-1]["content"]
    assert "- +7 495 123-45-67" in told[-1]["content"]
    assert gated("rewritten") == before + 1


async def test_what_has_a_source_is_not_asked_again(scene, control):
    """Passage, the customer's own words before and now, and the deal's name are sources."""
    before = gated("passed")
    script(control, "For your 3 parcels: 490 roubles, 2 days, till 12.03.2031 [1].", "never asked for")
    await scene.says("I have 3 parcels")
    await scene.calm()
    script(control, "For your 3 parcels: 490 roubles, 2 days, till 12.03.2031 [1].", "never asked for")
    await scene.says(f"{QUESTION} I need it on March 12, 2031.")
    await scene.calm()
    assert (await scene.turns())[-1]["model_calls"] == 1
    assert (await scene.sent())[-1] == "For your 3 parcels: 490 roubles, 2 days, till 12.03.2031."
    assert gated("passed") == before + 1


@pytest.mark.parametrize("second", ["NO_ANSWER", ""])
async def test_a_model_that_cannot_do_without_inventing_has_no_answer(scene, control, second):
    script(control, "It costs 590 roubles [1].", second)
    turn = await ask(scene)
    assert (turn["outcome"], turn["reason"]) == ("not_found", "fact_gate")
    assert await scene.sent() == [NOT_FOUND]


async def test_a_model_that_goes_away_before_it_has_rewritten_says_nothing(scene, control):
    """The first call is on the turn all the same."""
    script(control, "It costs 590 roubles [1].", TRUE)
    control.post("/faults", json={"match": OBJECTION, "status": 401}).raise_for_status()
    turn = await ask(scene)
    assert (turn["outcome"], turn["reason"], turn["model_calls"]) == ("not_found", "fact_gate", 1)
    assert await scene.sent() == [NOT_FOUND]


async def test_the_manager_is_asked_in_words_of_its_own(scene, control):
    await scene.set_agent(not_found_task=True)
    script(control, "It costs 590 roubles.", "It costs 591 roubles.")
    await ask(scene)
    await scene.perform_tasks()
    (task,) = await scene.tasks()
    assert "have no source and was not sent" in str(task)


async def test_the_conversation_says_why_in_both_languages(scene, control, home, kommo):
    script(control, "It costs 590 roubles.", "It costs 591 roubles.")
    await ask(scene)
    at = f"/conversations/{scene.conversation_id}"
    async with (
        serving_here(home, kommo_sandbox_url=kommo) as url,
        reader_of(url, scene.world.db, scene.world.scope) as alice,
    ):
        told = texts(await alice.open(at))
        assert "The model's facts had no source" in html.unescape(told)
        assert "Not in the knowledge base" not in told
        alice.http.cookies.set("language", "ru")
        assert "У сведений модели нет источника" in texts(await alice.open(at))
    async with scene.world.db.session(scene.world.scope) as session:
        (record,) = await dialog.list_turns(session, scene.conversation_id)
    assert (record.outcome, record.reason) == ("not_found", "fact_gate")


async def test_quotations_need_no_gate(scene):
    """The extractive responder's words pass it: they are the base's own."""
    scene.runner = replace(scene.runner, responder=scene.runner.fallback)
    text = "Delivery to the city costs 1 290,50 руб. до 12 марта, call 8 (495) 123-45-67, shop.ru/a?b=1."
    await scene.write_article("Prices 2031", text)
    turn = await ask(scene)
    answer = turn["answer"]
    sources = [f"{one['title']}\n{one['quote']}" for one in answer["sources"]]
    assert answer["by"] == "extractive"
    assert "1 290,50" in answer["text"]
    assert unsourced(answer["text"], sources) == []
