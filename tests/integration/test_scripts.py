"""Scripts and answers to objections: kept, chosen by the deal's stage, used, counted."""

import asyncio
import re
from uuid import uuid4

import pytest

from gptagent.features.crm import service as crm
from gptagent.features.crm.mirror import store as mirror
from gptagent.features.knowledge.scripts import service
from gptagent.features.knowledge.scripts import store as script_store
from gptagent.features.knowledge.scripts.model import NewScript
from gptagent.features.knowledge.staging.model import StageKey
from gptagent.features.knowledge.staging.service import list_stages
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from readers import texts
from scenes import Scene

ANSWER = "We pay in parts, {{customer_name}}: {{lead_value}} over a year. Shall I count it?"
OBJECTION = NewScript("price", "It is too expensive\nothers are cheaper", ANSWER)


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


async def write(scene, family, new):
    async with scene.world.db.session(scene.world.scope) as session:
        return await service.create_script(session, family, new, now=utcnow())


async def given(session, stage, message):
    return service.give_scripts(await service.find_scripts(session, stage, message), {})


async def stages_of(scene):
    """Two stages of one pipeline, known from the account."""
    world = scene.world
    async with world.db.session(world.scope) as session:
        link = await crm.open_link(session, world.hook.connection_id, world.vault)
    pipelines = await scene.crm.fetch_pipelines(link)
    async with world.db.session(world.scope) as session:
        await mirror.upsert_pipelines(session, world.hook.connection_id, pipelines)
        listed = await list_stages(session)
    return [key for key, _ in listed][:2]


async def test_scripts_of_the_very_stage_come_first_and_those_of_other_stages_not_at_all(scene):
    """KB-23, KB-24"""
    first, second = await stages_of(scene)
    await write(scene, "script", NewScript("closing", "Anywhere", "Say goodbye."))
    await write(scene, "script", NewScript("greeting", "Here", "Say hello.", (first,)))
    await write(scene, "script", NewScript("greeting", "There", "Say nothing.", (second,)))
    await write(scene, "script", NewScript("greeting", "Off", "Say no.", (first,), is_active=False))
    await write(scene, "script", NewScript("greeting", "Urgent", "Say hi.", (first,), priority=1))
    world = scene.world
    async with world.db.session(world.scope) as session:
        here = await given(session, first, "Hello")
        nowhere = await given(session, None, "Hello")
    assert [one.title for one in here] == ["Urgent", "Here", "Anywhere"]
    assert [one.title for one in nowhere] == ["Anywhere"]
    async with world.db.session(world.scope) as session:  # the account of its stages is gone
        await session.execute("delete from app.script_stage")
        left = await given(session, first, "Hello")
        (bound,) = await service.list_scripts(session, "script", search="There")
        with pytest.raises(Invalid, match="invalid"):
            await service.update_script(session, "script", bound.id, {"priority": 2}, now=utcnow())
    assert [one.title for one in left] == ["Anywhere"]
    async with world.db.session(world.scope) as session:
        with pytest.raises(Invalid):
            strange = StageKey(uuid4(), 1, 1)
            await service.create_script(
                session, "script", NewScript("greeting", "T", "C", (strange,)), now=utcnow()
            )


async def test_an_objection_is_recognised_by_its_words_and_the_best_one_comes_first(scene):
    """KB-25"""
    await write(scene, "objection", OBJECTION)
    await write(
        scene, "objection", NewScript("trust", "I do not know your company", "We are here since 2004.")
    )
    world = scene.world
    async with world.db.session(world.scope) as session:
        for message, expected in (
            ("Hm, that is expensive for us", ["price"]),
            ("The others are cheaper by far", ["price"]),
            ("I have never heard of your company, I do not know it", ["trust"]),
            ("When do you open?", []),
        ):
            found = await given(session, None, message)
            assert [one.kind for one in found] == expected, message


async def test_without_a_model_an_objection_is_answered_word_for_word_and_the_use_is_counted(scene):
    """KB-25, KB-26"""
    made = await write(scene, "objection", OBJECTION)
    await scene.says("But it is too expensive!")
    await scene.calm()
    (said,) = await scene.sent()
    assert said == "We pay in parts, Ann: 0 over a year. Shall I count it?"
    (turn,) = await scene.turns()
    assert [(one["kind"], one["source_id"]) for one in turn["answer"]["sources"]] == [
        ("objection", str(made.id))
    ]
    async with scene.world.db.session(scene.world.scope) as session:
        after = await service.get_script(session, "objection", made.id)
    assert after.used == 1 and after.used_at is not None


async def test_a_change_needs_the_version_it_was_made_for_and_is_recorded(scene):
    world = scene.world
    made = await write(scene, "script", NewScript("greeting", "Hello", "Say hello."))
    async with world.db.session(world.scope) as session:
        changes = {"title": "Good day", "is_active": False, "version": 1}
        changed = await service.update_script(session, "script", made.id, changes, now=utcnow())
    assert (changed.title, changed.is_active, changed.version) == ("Good day", False, 2)
    async with world.db.session(world.scope) as session:
        with pytest.raises(Conflict):
            await service.update_script(
                session, "script", made.id, {"version": 1, "title": "x"}, now=utcnow()
            )
        with pytest.raises(NotFound):  # it is no objection
            await service.get_script(session, "objection", made.id)
        await service.delete_script(session, "script", made.id)
        actions = await session.fetch(
            "select action from app.audit_event where target_id = $1 order by seq", str(made.id)
        )
    assert [row["action"] for row in actions] == ["script.created", "script.updated", "script.deleted"]


async def test_of_two_that_take_the_last_place_one_is_refused(scene, monkeypatch):
    monkeypatch.setattr(service, "SCRIPTS_MAX", 1)
    outcomes = await asyncio.gather(
        *(write(scene, "script", NewScript("greeting", f"No. {n}", "Hello")) for n in range(2)),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in outcomes) == ["Conflict", "Script"]
    async with scene.world.db.session(scene.world.scope) as session:
        assert await script_store.lock_family(session, "script") == 1


async def test_the_pages_write_filter_report_variables_and_keep_what_was_typed(alice, dora):
    """U131, MSG-17"""
    form = {
        "kind": "greeting",
        "title": "Hello",
        "content": "Hi {{customer_name}} {{moon_phase}}.",
        "priority": "5",
    }
    wrong = await alice.send("/knowledge-scripts/create", {**form, "priority": "none", "is_active": "on"})
    assert wrong.status_code == 422
    assert "moon_phase" in wrong.text and "Enter a number from 1 to 100." in texts(wrong)
    made = await alice.send("/knowledge-scripts/create", {**form, "is_active": "on"})
    page = await alice.follow(made)
    drawn = re.sub(r"<template.*?</template>", "", page.text, flags=re.DOTALL)
    assert "Nothing is known by this name" in drawn and drawn.count("banner--warning") == 1
    listed = await alice.open("/knowledge-scripts?kind=greeting&q=hello")
    assert ">Hello</a>" in listed.text
    assert ">Hello</a>" not in (await alice.open("/knowledge-scripts?kind=closing")).text
    objection = {
        "kind": "price",
        "title": "Dear!",
        "content": "It is not.",
        "priority": "50",
        "is_active": "on",
    }
    page = await alice.follow(await alice.send("/knowledge-objections/create", objection))
    assert "Dear!" in page.text
    assert (await dora.open("/knowledge-objections")).status_code == 200


async def test_the_name_that_the_crm_was_asked_for_is_in_the_very_reply(scene):
    """KB-26: the turn that reads it says it."""
    await write(scene, "objection", OBJECTION)
    await scene.says("Hello")
    await scene.calm()
    await scene.says("But it is too expensive!")
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute("update app.conversation set customer_name = ''")
    await scene.calm()
    assert (await scene.sent())[-1] == "We pay in parts, Ann: 0 over a year. Shall I count it?"
