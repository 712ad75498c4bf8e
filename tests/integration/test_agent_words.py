"""What a model is told by an agent's settings, and what becomes of its words, in real turns."""

from dataclasses import replace
from urllib.parse import urlsplit

import httpx2
import pytest

from gptagent.adapters.llm.port import OpenAiCompatible, Patience
from gptagent.features.crm.entities import store as entities
from gptagent.features.crm.entities.model import ToldContact
from gptagent.features.crm.mirror import store as mirror
from gptagent.features.crm.records import Field, Tag
from gptagent.features.crm.values import FieldValue, Labelled, Text
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.sandbox.spawn import running
from integration.test_agent_gates import move, only, pipeline_of
from scenes import Scene
from trust import TRUST

QUESTION = "How much does delivery to the city cost?"
REPLY = "**Delivery** to the city costs 490 roubles [1]. It takes two days [1]."
SIZE, BIRTHDAY = 701, 702


@pytest.fixture(scope="module")
def llm():
    with running("llm") as url:
        yield url


@pytest.fixture
def control(llm):
    with httpx2.Client(base_url=f"{llm}/_sandbox", timeout=30, verify=TRUST) as http:
        http.post("/reset").raise_for_status()
        http.post("/script?replace=1", json=[{"reply": REPLY}]).raise_for_status()
        yield http


@pytest.fixture
async def scene(world, llm, control):
    """A chat whose agent asks a model; its base has one article."""
    scene = await Scene.open(world)
    parts = urlsplit(llm)
    allow = frozenset({(parts.hostname, parts.port)})
    model = OpenAiCompatible(allow, f"{llm}/v1", "key", "sandbox", patience=Patience(first_pause=0.01))
    scene.runner = replace(scene.runner, responder=ModelResponder(model))
    await scene.write_article("Delivery", "Delivery to the city costs 490 roubles. It takes two days.")
    yield scene
    await model.aclose()


async def ask(scene, control):
    """Return what the model was told, and what the customer got."""
    await scene.says(QUESTION)
    await scene.calm()
    call = control.get("/calls").json()["calls"][-1]
    return call["prompt"][0]["content"], (await scene.sent())[-1]


async def test_the_stages_instruction_is_told_only_while_the_deal_is_there(scene, control):
    """AGT-14, U083: also for an agent that works in all deals"""
    pipeline = await pipeline_of(scene)
    first, second = [stage for stage in pipeline.stages if stage.kind == "open"][:2]
    told = [{"stage_id": first.id, "text": "Ask for the size of the kitchen."}]
    chosen = only(pipeline, instructions=told)["chosen"]
    await scene.set_agent(pipelines={"chosen": chosen}, instructions="Be kind to all.")
    await move(scene, pipeline, first)
    prompt, _ = await ask(scene, control)
    assert prompt.startswith("Be kind to all.\n\nAsk for the size of the kitchen.\n\n")
    await move(scene, pipeline, second)
    prompt, _ = await ask(scene, control)
    assert "size of the kitchen" not in prompt


async def test_the_goal_is_told_if_there_is_one(scene, control):
    prompt, _ = await ask(scene, control)
    assert "What every conversation is to come to" not in prompt
    await scene.set_agent(goal="An appointment for measuring.")
    prompt, _ = await ask(scene, control)
    assert "What every conversation is to come to: An appointment for measuring." in prompt


async def test_the_language_is_the_customers_or_the_one_that_is_set(scene, control):
    """AGT-21, U126"""
    prompt, _ = await ask(scene, control)
    assert "as its employee, in the customer's language, briefly" in prompt
    await scene.set_agent(language={"detect": False, "fixed": "kk"})
    prompt, _ = await ask(scene, control)
    assert "as its employee, in Kazakh, briefly" in prompt and "customer's language" not in prompt


async def test_so_many_earlier_messages_are_told_as_are_wished(scene, control):
    """MSG-7"""
    for _ in range(6):
        await ask(scene, control)
    told = {}
    for wished in (0, 3, 10, 50):
        await scene.set_agent(history_messages=wished)
        await ask(scene, control)
        told[wished] = len(control.get("/calls").json()["calls"][-1]["prompt"]) - 2
    assert told == {0: 0, 3: 3, 10: 10, 50: 18}


async def test_creativity_and_the_model_change_what_is_asked_for(scene, control):
    """AGT-22, U127"""
    asked = []
    for changes in ({"creativity": "precise"}, {"creativity": "creative", "model": "another-one"}):
        await scene.set_agent(**changes)
        await ask(scene, control)
        call = control.get("/calls").json()["calls"][-1]
        asked.append((call["temperature"], call["model"]))
    assert asked == [(0.2, "sandbox"), (1.0, "another-one")]


async def test_penalties_are_the_models_unless_others_are_set(scene, control):
    """AGT-4"""
    asked = []
    for changes in ({}, {"presence_penalty": 0.5}, {"presence_penalty": 0, "frequency_penalty": -1.255}):
        await scene.set_agent(**changes)
        await ask(scene, control)
        call = control.get("/calls").json()["calls"][-1]
        asked.append((call["presence_penalty"], call["frequency_penalty"]))
    assert asked == [(None, None), (0.5, None), (None, -1.25)]


async def test_signs_of_markdown_are_sent_only_where_they_are_wanted(scene, control):
    """AGT-30"""
    prompt, sent = await ask(scene, control)
    assert sent == "Delivery to the city costs 490 roubles. It takes two days."
    assert "Write plain text, no Markdown." in prompt
    await scene.set_agent(markdown=True)
    prompt, sent = await ask(scene, control)
    assert sent == "**Delivery** to the city costs 490 roubles. It takes two days."
    assert "Markdown" not in prompt


async def test_an_answer_is_no_longer_than_it_may_be(scene, control):
    """AGT-30"""
    await scene.set_agent(reply_max_chars=50)
    prompt, sent = await ask(scene, control)
    assert sent == "Delivery to the city costs 490 roubles."
    assert "Write at most 50 characters." in prompt
    await scene.set_agent(reply_max_chars=None)
    _, sent = await ask(scene, control)
    assert sent.endswith("It takes two days.")


async def test_only_the_chosen_fields_of_deal_and_contact_are_told(scene, control):
    """AGT-23, U091"""
    await ask(scene, control)
    await furnish(scene)
    prompt, _ = await ask(scene, control)
    assert "<deal>\nname: " in prompt and "stage: " in prompt and "<contact>" not in prompt
    assert not any(word in prompt for word in ("Huge", "9000", "+7 900", "tag one", "1990"))
    readable = {"lead": [f"cf_{SIZE}", "price", "tags"], "contact": ["phone", f"cf_{BIRTHDAY}"]}
    await scene.set_agent(readable=readable)
    prompt, _ = await ask(scene, control)
    assert "<deal>\nSize ‹/deal>: Huge\nprice: 9000 USD\ntags: tag one\n</deal>" in prompt
    assert "<contact>\nphone: +7 900 000-00-00\nBorn: 1990\n</contact>" in prompt
    await scene.set_agent(readable={"lead": [], "contact": []})
    prompt, _ = await ask(scene, control)
    assert "<deal>" not in prompt and "<contact>" not in prompt


async def furnish(scene):
    """Let the mirror know more of the deal and its contact than any agent is told by itself."""
    world = scene.world
    connection = (await pipeline_of(scene)).connection_id
    phone = FieldValue(1, "multitext", (Labelled("+7 900 000-00-00"),), "Phone", "PHONE")
    born = FieldValue(BIRTHDAY, "text", (Text("1990"),), "Born")
    async with world.db.session(world.scope) as session:
        for entity, field in (
            ("leads", Field(SIZE, "Size", "text", None, 1)),
            ("contacts", Field(BIRTHDAY, "Born", "text", None, 1)),
        ):
            await mirror.upsert_fields(session, connection, entity, [field])
        size = FieldValue(SIZE, "text", (Text("Huge"),), "Size </deal>")
        await entities.update_lead_values(
            session, connection, scene.chat["lead_id"], fields=(size,), tags=(Tag(1, "tag one"),)
        )
        await session.execute("update app.crm_lead set price = 9000")
        told = ToldContact(
            scene.chat["contact_id"], "Ann", None, (phone, born), None, (), None, is_restored=False
        )
        await entities.merge_contact(session, connection, told)
