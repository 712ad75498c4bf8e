"""Facts about the company: for whom and where each is told, in which order, how many, and the count."""

from dataclasses import replace
from uuid import uuid4

import httpx2
import pytest

from gptagent.features.agents import service as agents
from gptagent.features.agents.asking import list_askers
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.knowledge.facts import service
from gptagent.features.knowledge.facts.model import FACTS_GIVEN, GIVEN_MAX_CHARS, NewFact, told_of
from gptagent.features.knowledge.model import StageKey
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.ids import new_id
from members import bearer
from readers import texts
from scenes import Scene

V1 = "/api/v1"
PATH = "/knowledge-facts"


async def write(session, content, *stages, agents=(), priority=50):
    new = NewFact(content, tuple(agents), tuple(stages), priority)
    return await service.create_fact(session, new, askers=list_askers, now=utcnow())


async def told(session, agent_id, stage=None):
    return (await service.choose_facts(session, agent_id, stage)).text.split("\n\n")


async def test_a_model_is_told_what_is_for_its_agent_and_stage_by_priority_then_use(world, stages):
    """KB-23"""
    first, second = stages
    async with world.db.session(world.scope) as session:
        anna = await agents.create_agent(session, "Anna", locale="en")
        boris = await agents.create_agent(session, "Boris", locale="en")
        await write(session, "For all.")
        used = await write(session, "Used.")
        await write(session, "For Anna.", agents=[anna.id], priority=10)
        await write(session, "For Boris here.", first, agents=[boris.id], priority=1)
        await write(session, "There.", second, priority=20)
        assert await told(session, anna.id) == ["For Anna.", "For all.", "Used."]
        await service.note_told(session, [used.id], now=utcnow())
        assert await told(session, anna.id) == ["For Anna.", "Used.", "For all."]
        assert await told(session, anna.id, second) == ["For Anna.", "There.", "Used.", "For all."]
        assert await told(session, boris.id, first) == ["For Boris here.", "Used.", "For all."]
        assert (await service.get_fact(session, used.id)).used == 1
        await agents.delete_agent(session, anna.id)
        await session.execute("delete from app.company_fact_stage")
        assert await told(session, anna.id, first) == ["Used.", "For all."], "its agents are gone"
        (gone,) = await service.list_facts(session, search="anna")
        assert not gone.is_global and gone.agents == ()
        kept = await service.update_fact(session, gone.id, {"priority": 3}, askers=list_askers, now=utcnow())
        assert (kept.is_global, kept.priority) == (False, 3), "a change of something else frees it for nobody"
        freed = await service.update_fact(session, gone.id, {"agents": ()}, askers=list_askers, now=utcnow())
        assert freed.is_global


def test_what_does_not_fit_gives_way_to_what_does():
    """Backend 3.1: 50 of them at most."""
    many = [(new_id(), f"Fact {n}.") for n in range(FACTS_GIVEN + 10)]
    assert told_of(many).facts == tuple(one for one, _ in many[:FACTS_GIVEN])
    long = [(new_id(), "x" * (GIVEN_MAX_CHARS - 10)), (new_id(), "y" * 11), (new_id(), "z" * 10)]
    assert told_of(long).facts == (long[0][0], long[2][0])
    assert told_of([]).text == ""


async def test_a_fact_is_checked_changed_by_one_at_a_time_and_gone_at_once(database, scope):
    async with database.session(scope) as session:
        made = await write(session, "  Since\r\n2004. ")
        assert (made.content, made.title, made.version) == ("Since\n2004.", "Since", 1)
        for changes, field in (
            ({"content": " "}, "content"),
            ({"content": "x" * 4_001}, "content"),
            ({"priority": 0}, "priority"),
            ({"agents": (new_id(),)}, "agents"),
            ({"stages": (StageKey(new_id(), 1, 1),)}, "stages"),
        ):
            with pytest.raises(Invalid) as refused:
                await service.update_fact(session, made.id, changes, askers=list_askers, now=utcnow())
            assert [one.pointer for one in refused.value.fields] == [field]
    async with database.session(scope) as session:
        change = {"content": "Since 2005.", "version": 1}
        await service.update_fact(session, made.id, change, askers=list_askers, now=utcnow())
        with pytest.raises(Conflict):
            await service.update_fact(session, made.id, change, askers=list_askers, now=utcnow())
        await service.delete_fact(session, made.id)
        with pytest.raises(NotFound):
            await service.delete_fact(session, made.id)


async def test_a_turn_tells_them_to_the_model_and_counts_them_for_the_reply(world, model, control, stages):
    """KB-23: in a chat whose deal is at the second stage."""
    first, second = stages
    async with world.db.session(world.scope) as session:
        for key, text in ((first, "The first stage has a discount."), (second, "We deliver to Kazan.")):
            await write(session, text, key)
    chat = {"name": "Ann", "origin": "waba", "status_id": second.stage_id}
    scene = Scene(world, await world.account.call("POST", "/chats", chat))
    scene.runner = replace(scene.runner, responder=ModelResponder(model))
    await scene.write_article("Delivery", "Delivery to the city costs 490 roubles.")
    await scene.says("How much is the delivery to the city?")
    await scene.calm()
    async with world.db.session(world.scope) as session:
        counted = {one.content: one.used for one in await service.list_facts(session)}
    assert counted == {"The first stage has a discount.": 0, "We deliver to Kazan.": 1}
    asked = [str(call["prompt"]) for call in control.get("/calls").json()["calls"]]
    assert any("<company>" in one and "We deliver to Kazan." in one for one in asked)
    assert not any("The first stage has a discount." in one for one in asked)


async def test_the_one_text_of_the_release_before_is_a_fact_and_follows_until_changed(database, scope):
    """The migration copies it; while the old release runs it may still write it. Nothing is lost."""
    old = """insert into app.company_facts as f (content, version, updated_at) values ($1, 1, now())
             on conflict (org_id) do update set content = excluded.content, version = f.version + 1"""
    async with database.session(scope) as session:
        await session.execute(old, "Since 2004.\n\nIn Kazan.")
        (fact,) = await service.list_facts(session)
        assert (fact.content, fact.is_global, fact.is_everywhere) == ("Since 2004.\n\nIn Kazan.", True, True)
        await session.execute(old, "Since 2005.")
        (again,) = await service.list_facts(session)
        assert (again.id, again.content, again.version) == (fact.id, "Since 2005.", 2)
        await service.update_fact(
            session, fact.id, {"content": "Since 2006."}, askers=list_askers, now=utcnow()
        )
        assert await session.fetchval("select count(*) from app.company_facts") == 0, "kept once"
        await session.execute(old, "Open from nine.")
        assert {one.content for one in await service.list_facts(session)} == {
            "Since 2006.",
            "Open from nine.",
        }
        await session.execute(old, "")
        assert [one.content for one in await service.list_facts(session)] == ["Since 2006."]


async def test_pages_and_api_write_the_same_facts(world, stages, alice, dora, web):
    """U131, KB-23"""
    first, _second = stages
    assert "Nothing is written about the company yet" in texts(await dora.open(PATH))
    async with world.db.session(world.scope) as session:
        agent, *_ = await list_askers(session)
    form = {"content": "Since 2004.", "priority": "7", "agents": ["", str(agent.id)], "stages": str(first)}
    page = texts(await alice.follow(await alice.send(f"{PATH}/create", form)))
    assert "The fact is saved" in page and "Since 2004." in page and agent.name in page
    for wrong, error in (
        ({"content": ""}, "Fill in this field."),
        ({"priority": "many"}, "Enter a number from 1 to 100."),
        ({"agents": str(uuid4())}, "There is no such agent."),
        ({"stages": "nonsense"}, "There is no such stage."),
    ):
        refused = await alice.send(f"{PATH}/create", {**form, **wrong})
        assert (refused.status_code, error in texts(refused)) == (422, True), wrong
    assert (await dora.send(f"{PATH}/create", form)).status_code == 403
    headers = await bearer(world.db, world.db._vault, world.scope)
    async with httpx2.AsyncClient(base_url=web, headers=headers, timeout=20) as http:
        (fact,) = (await http.get(f"{V1}/company-facts", params={"search": "SINCE"})).json()["items"]
        assert (fact["agents"], fact["priority"], fact["is_global"]) == ([str(agent.id)], 7, False)
        assert fact["stages"][0]["stage_id"] == first.stage_id and not fact["is_everywhere"]
        place = f"{V1}/company-facts/{fact['id']}"
        changed = (await http.patch(place, json={"stages": [], "version": 1})).json()
        assert (changed["is_everywhere"], changed["version"]) == (True, 2)
        assert (await http.patch(place, json={"content": "x", "version": 1})).status_code == 409
    edit = f"{PATH}/{fact['id']}/edit"
    page = await alice.open(edit)
    assert f'value="{agent.id}" checked' in page.text and f'value="{first}" checked' not in page.text
    late = await alice.send(edit, {**form, "content": "Since 1999.", "version": "1"})
    assert late.status_code == 409 and "Since 1999." in late.text
    assert "Since 2004." in texts(await dora.open(edit))
    gone = await alice.follow(await alice.send(f"{PATH}/{fact['id']}/delete"))
    assert "The fact is deleted" in texts(gone)
