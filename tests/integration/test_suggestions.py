"""A colleague asks what the agent would answer: made by the way of every turn, and never sent by itself."""

import json
from dataclasses import replace

import pytest

from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.dialog.suggesting import service
from gptagent.features.dialog.suggesting.jobs import SuggestionJobs
from gptagent.kernel.errors import Conflict
from gptagent.kernel.jobs import JobContext
from scenes import Scene


@pytest.fixture
async def scene(world):
    scene = await Scene.open(world)
    await scene.write_article("Opening hours", "On Sunday we are open from ten to four.")
    return scene


async def ask(scene):
    async with scene.world.db.session(scene.world.scope) as session:
        return await service.ask(session, scene.conversation_id)


async def suggest(scene, **runner):
    """Run the job twice; return what the page shows then."""
    world = scene.world
    played = replace(scene.runner, **runner)
    jobs = SuggestionJobs(Generation(played.responder, played.fallback, played.understanding))
    for _ in range(2):
        ctx = JobContext(world.db, None, world.scope, 1, 1)
        await jobs.suggest(ctx, conversation_id=str(scene.conversation_id))
    async with world.db.session(world.scope) as session:
        return await service.find_suggestion(session, scene.conversation_id)


async def test_a_stopped_agent_suggests_from_its_sources_and_sends_nothing(scene, world):
    await scene.says("I take this one", author="human")
    await scene.says("When are you open on Sunday?")
    await scene.calm()
    first, second = await ask(scene), await ask(scene)
    assert first.id == second.id and first.state == "pending"  # two clicks ask once
    made = await suggest(scene)
    assert made.state == "ready" and "from ten to four" in made.text
    assert [source.title for source in made.answer.sources] == ["Opening hours"]
    assert await scene.sent() == []
    await scene.says("And on Monday?")
    async with world.db.session(world.scope) as session:
        assert await service.find_suggestion(session, scene.conversation_id) is None


async def test_what_the_sources_do_not_say_is_not_suggested(scene):
    await scene.set_agent(response_delay_seconds=60)
    await scene.says("Do you sell elephants?")
    await ask(scene)
    made = await suggest(scene)
    assert (made.state, made.text) == ("none", "")


async def test_a_model_is_asked_also_where_the_customer_asks_for_a_person(scene, model, control):
    await scene.set_agent(response_delay_seconds=60)
    control.post("/script?replace=1", json=[{"reply": "On Sunday from ten to four [1]."}]).raise_for_status()
    await scene.says("Позовите менеджера: open on Sunday?")
    await ask(scene)
    made = await suggest(scene, responder=ModelResponder(model))
    assert (made.state, made.text) == ("ready", "On Sunday from ten to four.")
    assert await scene.sent() == [] and (await scene.conversation())["taken_over_at"] is None


async def test_a_suggestion_is_told_as_much_of_the_chat_as_is_set(scene, model, control):
    """MSG-7: but for what a colleague has said to us"""
    await scene.set_agent(response_delay_seconds=60, history_messages=30)
    control.post("/script?replace=1", json=[{"reply": "On Sunday from ten to four [1]."}]).raise_for_status()
    for number in range(24):
        await scene.says(f"Word {number}.", author="human")
    await scene.says("/agent", author="human")
    await scene.says("When are you open on Sunday?")
    await ask(scene)
    await suggest(scene, responder=ModelResponder(model))
    told = json.dumps(control.get("/calls").json()["calls"][-1]["prompt"])
    assert [number for number in range(24) if f"Word {number}." not in told] == []
    assert "/agent" not in told


async def test_who_cannot_suggest_says_so(scene):
    await scene.says("Hello")
    await scene.set_agent(is_active=False)
    with pytest.raises(Conflict) as refused:
        await ask(scene)
    assert refused.value.code == "no_agent_to_suggest"
    await scene.set_agent(is_active=True)
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute("delete from app.message")
    with pytest.raises(Conflict) as refused:
        await ask(scene)
    assert refused.value.code == "nothing_to_suggest"
