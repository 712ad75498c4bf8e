"""What providers of models really get of a person's data, read from the wire of the emulated one."""

import json
import re
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from gptagent.adapters.embeddings.port import OpenAiEmbeddings
from gptagent.features.conversations.memory.jobs import MemoryJobs
from gptagent.features.crm import service as crm
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.inference.guarded import GuardedModel
from gptagent.features.inference.masking.service import get_masking, set_masking
from gptagent.features.inference.model import ChatTurn, EmbeddingModel, ModelRequest, ToolSpec, Use
from gptagent.features.knowledge.extraction.jobs import GraphJobs
from gptagent.features.knowledge.vectors.jobs import VectorJobs
from gptagent.kernel.clock import utcnow
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import Conflict, Invalid
from gptagent.kernel.jobs import JobContext
from integration.acting_desk import Desk
from readers import texts
from scenes import Scene

PHONE, CARD, EMAIL = "+7 912 345-67-89", "4111 1111 1111 1111", "ann@customer.example"
OURS = "+7 495 123-45-67"
ASKED = f"How do I reach you about delivery? I am {EMAIL}, {PHONE}, my card is {CARD}."


@pytest.fixture
async def scene(world, model):
    """A chat whose agent asks a model through the platform's one door."""
    scene = await Scene.open(world)
    scene.door = GuardedModel(world.db, model)
    scene.runner = replace(scene.runner, responder=ModelResponder(scene.door))
    await scene.write_article("Delivery", f"Ask about delivery by phone {OURS}. It costs 490 roubles.")
    return scene


def wire(control):
    """Everything the provider was sent, as text."""
    calls = control.get("/calls").json()["calls"]
    return json.dumps([call["prompt"] for call in calls], ensure_ascii=False)


def answers(control, text):
    control.post("/script?replace=1", json=[{"reply": text}]).raise_for_status()


async def mask(world, *kinds):
    async with world.db.session(world.scope) as session:
        return await set_masking(session, kinds, now=utcnow())


async def test_a_reply_repeats_a_value_that_no_provider_has_seen(scene, control):
    """By default nothing personal leaves; the customer gets values, and the fact gate judges values."""
    answers(control, "Call us at [PHONE_1] [1]. We have noted your number [PHONE_2] and [EMAIL_1].")
    await scene.says(ASKED)
    await scene.calm()
    sent = wire(control)
    assert "[CARD_1]" in sent
    for value in (PHONE, CARD, EMAIL, OURS, "4111"):
        assert value not in sent
    assert await scene.sent() == [f"Call us at {OURS}. We have noted your number {PHONE} and {EMAIL}."]
    (turn,) = await scene.turns()
    assert (turn["outcome"], turn["model_calls"]) == ("reply", 1)


async def test_a_mark_that_a_model_makes_up_reaches_nobody(scene, control):
    answers(control, "Delivery costs 490 roubles [1]. Or write to [EMAIL_7] instead.")
    await scene.says(ASKED)
    await scene.calm()
    assert await scene.sent() == ["Delivery costs 490 roubles."]


async def test_an_invented_number_is_still_found_among_masked_ones(scene, control):
    """The gate compares values: a phone of nobody has no source, whatever marks there are."""
    answers(control, "Call +7 495 999-99-99 or [PHONE_1] [1].")
    await scene.says(ASKED)
    await scene.calm()
    (turn,) = await scene.turns()
    assert (turn["outcome"], turn["reason"]) == ("not_found", "fact_gate")
    objection = control.get("/calls").json()["calls"][-1]["prompt"][-1]["content"]
    assert "has no source" in objection
    assert "- [PHONE_" in objection


async def test_a_workspace_chooses_what_is_hidden_from_the_next_question_on(scene, control, world):
    answers(control, f"Call us at {OURS} [1].")
    await mask(world, "card")
    await scene.says(ASKED)
    await scene.calm()
    sent = wire(control)
    assert PHONE in sent
    assert OURS in sent
    assert EMAIL in sent
    assert CARD not in sent
    assert await scene.sent() == [f"Call us at {OURS}."]


async def test_memory_the_graph_and_vectors_are_made_without_the_values(scene, control, world, llm):
    await mask(world, "phone", "email", "card")
    await scene.says(ASKED)
    ctx = JobContext(world.db, None, world.scope, 1, 1)
    await MemoryJobs(scene.door).read(ctx, conversation_id=str(scene.conversation_id))
    async with world.db.session(world.scope) as session:
        source = await session.fetchval("select id from app.article")
    await GraphJobs(scene.door, pause=0).extract(ctx, str(source))
    parts = urlsplit(llm)
    egress = Egress(frozenset({(parts.hostname, parts.port)}))
    embedder = OpenAiEmbeddings(egress, EmbeddingModel(f"{llm}/v1", "sandbox-embedding"), "key")
    await VectorJobs(embedder).embed(ctx)
    await egress.aclose()
    calls = control.get("/calls").json()["calls"]
    assert {call["kind"] for call in calls} == {"chat", "embeddings"}
    assert len([call for call in calls if call["kind"] == "chat"]) >= 2
    sent = wire(control)
    assert "[PHONE]" in sent
    assert "[PHONE_1]" in sent
    for value in (PHONE, CARD, EMAIL, OURS):
        assert value not in sent


async def test_what_tools_offer_to_choose_from_is_hidden_and_chosen_as_it_stands(scene, control):
    """Names of stages, colleagues and tags come from the CRM, and are often a number or an address."""
    ann, bob, late = f"Ann {EMAIL}", "Bob 8 (912) 345-67-89", "Call later"
    form = {
        "type": "object",
        "properties": {
            "person": {"type": "string", "enum": [ann, bob, late]},
            "tags": {"type": "array", "items": {"type": "string", "enum": [PHONE, "VIP"]}},
            "text": {"type": "string", "description": f"As {EMAIL} would say it.", "maxLength": 100},
        },
        "required": ["person"],
    }
    called = {"person": "Bob [PHONE_1]", "tags": ["[PHONE_1]", "VIP"], "text": "Ask [EMAIL_1] or [CARD_9]"}
    control.post("/script", json={"tools": [{"name": "change", "arguments": called}]}).raise_for_status()
    turns = (ChatTurn("user", f"I am {PHONE}."),)
    use = Use(scene.world.scope)
    tools = (ToolSpec("change", f"Ask {EMAIL} first.", form),)
    reply = await scene.door.complete(ModelRequest("", turns, 0, 60, use=use, tools=tools))
    (asked,) = control.get("/calls").json()["calls"]
    shown = json.dumps(asked["tools"], ensure_ascii=False)
    for value in (EMAIL, PHONE, "345-67-89"):
        assert value not in shown
    offered = asked["tools"][0]["function"]["parameters"]["properties"]
    assert offered["person"]["enum"] == ["Ann [EMAIL_1]", "Bob [PHONE_1]", late]
    assert offered["tags"]["items"]["enum"] == ["[PHONE_1]", "VIP"]
    assert "[EMAIL_1]" in json.dumps(asked["prompt"]) or "unchanged" in json.dumps(asked["prompt"])
    (call,) = reply.tool_calls
    assert call.arguments == {"person": bob, "tags": [PHONE, "VIP"], "text": f"Ask {EMAIL} or [CARD_9]"}
    assert reply.masked == ("phone 1", "email 1")


async def test_no_turn_shows_a_provider_the_numbers_that_stand_in_names_of_the_crm(world, model, control):
    """A whole turn: a stage, a tag and a colleague with personal data are chosen, and none of it leaves."""
    async with world.db.session(world.scope) as session:
        link = await crm.open_link(session, world.hook.connection_id, world.vault)
    main = next(one for one in await world.crm().fetch_pipelines(link) if one.is_main)
    names = {"stage": f"Call {PHONE}", "tag": f"Ask {EMAIL}", "person": "Bob 8 (495) 123-45-67"}
    await world.account.call("POST", f"/pipelines/{main.id}/stages", {"name": names["stage"]})
    await world.account.call("POST", "/tags", {"entity": "leads", "name": names["tag"]})
    await world.account.call("POST", "/users", {"name": names["person"]})
    desk = await Desk(await Scene.open(world), control, GuardedModel(world.db, model)).open()
    kinds = ("move_deal", "add_tags", "change_responsible")
    await desk.scene.set_agent(actions=dict.fromkeys(kinds, "alone"))
    desk.calls(("tell_intent", {"intent": "other", "confidence": 1}))
    await desk.says()
    shown = tools_of(control)
    begins = {"stage": "Call", "tag": "Ask", "person": "Bob"}
    offered = {key: choice_of(shown, begin) for key, begin in begins.items()}
    marks = [re.sub(r"\d", "1", one) for one in offered.values()]
    assert marks == ["Call [PHONE_1]", "Ask [EMAIL_1]", "Bob [PHONE_1]"]
    sure = {"reason": "", "confidence": 1}
    desk.calls(
        ("move_deal", {"stage": offered["stage"], **sure}),
        ("add_tags", {"tags": [offered["tag"]], **sure}),
        ("change_responsible", {"person": offered["person"], **sure}),
    )
    await desk.says("And now?")
    assert {verdict for _tool, verdict in await desk.verdicts()} == {"taken"}
    values = await desk.values()
    assert names["tag"] in values["tags"].names
    stage = next(one for row in desk.known.pipelines for one in row.stages if one.name == names["stage"])
    person = next(one for one in desk.known.users if one.name == names["person"])
    assert values["place"].stage_id == stage.id
    assert values["responsible_user_id"].value == person.id
    sent = wire(control) + json.dumps(tools_of(control, every=True), ensure_ascii=False)
    for value in (PHONE, EMAIL, "123-45-67", "345-67-89"):
        assert value not in sent


def tools_of(control, *, every=False):
    """The tools that were offered with the last question that had some, or with all."""
    found = [call["tools"] for call in control.get("/calls").json()["calls"] if call["tools"]]
    return found if every else found[-1]


def choice_of(tools, begin):
    """The choice among what tools offer that begins so."""
    (choice,) = set(re.findall(rf'"({begin} [^"]*)"', json.dumps(tools)))
    return choice


async def test_what_says_not_whose_it_is_never_leaves(scene, control):
    with pytest.raises(TypeError, match="whose it is"):
        await scene.door.complete(ModelRequest("Hello", (), 0.2, 10))
    assert control.get("/calls").json()["calls"] == []


async def test_the_choice_is_checked_recorded_and_kept_from_being_overwritten(database, scope):
    async with database.session(scope) as session:
        assert len((await get_masking(session)).kinds) == 7
        saved = await set_masking(session, ["snils", "card"], version=0, now=utcnow())
        assert (saved.kinds, saved.version) == (("card", "snils"), 1)
        assert await set_masking(session, ["card", "snils"], now=utcnow()) == saved
    async with database.session(scope) as session:
        with pytest.raises(Conflict) as refused:
            await set_masking(session, [], version=0, now=utcnow())
        assert refused.value.code == "masking_changed"
        with pytest.raises(Invalid):
            await set_masking(session, ["name"], now=utcnow())
        rows = await session.fetch("select changes from app.audit_event where action = 'masking.updated'")
    assert len(rows) == 1


async def test_the_page_says_what_is_hidden_and_a_viewer_only_sees_it(alice, dora):
    page = await alice.open("/settings/models")
    assert page.text.count('name="kinds"') == 7
    saved = await alice.send("/settings/models/masking", {"kinds": ["card", "inn"], "version": "0"})
    assert saved.status_code == 303
    page = await alice.open("/settings/models")
    assert len(re.findall(r'name="kinds"[^>]* checked', page.text)) == 2
    late = await alice.send("/settings/models/masking", {"kinds": ["card"], "version": "0"})
    assert late.status_code == 409
    assert "Somebody else changed this" in texts(late)
    assert "Save" not in texts(await dora.open("/settings/models"))
