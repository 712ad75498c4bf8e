"""Agents: settings within their limits, visible at once, one name per workspace."""

import json
from dataclasses import replace
from types import UnionType
from typing import get_args, get_origin

import pytest
from pydantic import BaseModel

from gptagent.features.agents import service
from gptagent.features.agents.checking import described
from gptagent.features.agents.forms import TABS
from gptagent.features.agents.model import (
    CREATIVITIES,
    TEMPERATURES,
    KnowledgeAccess,
    Problem,
    Settings,
)
from gptagent.features.agents.table import SETTINGS
from gptagent.features.agents.wire import AgentOut, AgentPatch
from gptagent.features.knowledge.categories import service as knowledge
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Invalid, NotFound
from gptagent.kernel.ids import new_id


async def wrong(session, agent_id, **changes):
    """Return the fields a change is refused for."""
    with pytest.raises(Invalid) as refused:
        await service.update_agent(session, agent_id, changes)
    return {fault.pointer for fault in refused.value.fields}


@pytest.fixture
async def session(database, scope):
    async with database.session(scope) as session:
        yield session


@pytest.fixture
async def agent(session):
    return await service.create_agent(session, "Sales", locale="en")


async def test_a_name_is_enough_for_a_silent_agent_with_defaults(agent, session):
    """AGT-1, U066, U089, U127"""
    settings = agent.settings
    assert not agent.is_active and agent.version == 1 and settings.model is None
    assert TEMPERATURES[settings.creativity] == 0.7 and settings.response_delay_seconds == 5
    assert settings.instructions and settings.not_found_text and settings.not_found_task
    assert await service.list_agents(session) == [agent]
    assert await service.list_active(session) == []


async def test_a_name_is_1_to_255_characters_and_trimmed(agent, session):
    """AGT-2, U066"""
    for name in ("", "  ", "x" * 256):
        assert await wrong(session, agent.id, name=name) == {"name"}
        with pytest.raises(Invalid):
            await service.create_agent(session, name, locale="en")
    assert (await service.update_agent(session, agent.id, {"name": f" {'x' * 255} "})).name == "x" * 255


async def test_a_name_is_unique_in_its_workspace_only(agent, session, database, other_scope):
    """AGT-2, U066"""
    for name in ("Sales", " SALES "):
        with pytest.raises(Invalid):
            await service.create_agent(session, name, locale="en")
    assert (await service.update_agent(session, agent.id, {"name": "sales"})).name == "sales"
    support = await service.create_agent(session, "Support", locale="en")
    assert await wrong(session, support.id, name="Sales") == {"name"}
    async with database.session(other_scope) as others:
        assert (await service.create_agent(others, "Sales", locale="en")).name == "Sales"


@pytest.mark.parametrize(
    ("field", "good", "bad"),
    [
        ("instructions", ["x" * 10, "я" * 40_000], ["x" * 9, "x" * 40_001, "", " " * 50, 7, None]),
        ("response_delay_seconds", [0, 3_600], [-1, 3_601, 1.5, "5", True, None]),
        ("creativity", list(CREATIVITIES), ["wild", "", None, 0.7]),
        ("not_found_text", ["x", "x" * 500], ["", "x" * 501, None]),
        ("handoff_text", ["x", "x" * 500], ["", "x" * 501, None]),
        ("model", ["gpt-4.1", None, "", "x" * 200], ["x" * 201, 7]),
        ("is_active", [True, False], [1, "yes", None]),
        ("not_found_task", [True, False], [0, None]),
    ],
)
async def test_every_setting_keeps_within_its_limits(agent, session, field, good, bad):
    """AGT-4, U077, U089, U127, U128"""
    for value in good:
        changed = await service.update_agent(session, agent.id, {field: value})
        told = {"is_active": changed.is_active, **described(changed.settings)}[field]
        assert told == (value or None if field == "model" else value)
    for value in bad:
        assert await wrong(session, agent.id, **{field: value}) == {field}


async def test_a_change_leaves_the_other_settings_and_names_every_fault(agent, session):
    """AGT-5"""
    changed = await service.update_agent(session, agent.id, {"is_active": True, "creativity": "precise"})
    assert (changed.is_active, changed.settings.creativity, changed.version) == (True, "precise", 2)
    assert changed.name == agent.name
    assert replace(changed.settings, creativity="balanced") == agent.settings
    faults = await wrong(session, agent.id, name="", response_delay_seconds=-1, org_id="x", version=9)
    assert faults == {"name", "response_delay_seconds", "org_id", "version"}
    assert await service.get_agent(session, agent.id) == changed


async def test_a_group_is_changed_by_its_parts_and_refers_to_what_is_there(
    agent, session, database, other_scope
):
    """AGT-5, AGT-16, U087"""
    made = await knowledge.create_category(session, NewCategory("Delivery"), now=utcnow())
    async with database.session(other_scope) as others:
        theirs = await knowledge.create_category(others, NewCategory("Theirs"), now=utcnow())
    for wrong_one in ([], ["x"], [7], [str(new_id())], [theirs.id], "x", None):
        change = {"knowledge": {"all": False, "categories": wrong_one}}
        assert await wrong(session, agent.id, **change) == {"knowledge.categories"}
    assert await wrong(session, agent.id, knowledge={"all": False}) == {"knowledge.categories"}
    assert await wrong(session, agent.id, knowledge=True) == {"knowledge"}
    assert await wrong(session, agent.id, knowledge={"some": 1, "all": 0}) == {
        "knowledge.some",
        "knowledge.all",
    }
    chosen = await service.update_agent(
        session, agent.id, {"knowledge": {"categories": [made.id, str(made.id)]}}
    )
    assert chosen.settings.knowledge == KnowledgeAccess(all=True, categories=(made.id,))
    only = await service.update_agent(session, agent.id, {"knowledge": {"all": False}})
    assert only.settings.knowledge == KnowledgeAccess(all=False, categories=(made.id,))


async def test_what_is_lost_is_flagged_stays_and_hinders_no_other_change(agent, session):
    """AGT-16"""
    kept, lost = [
        await knowledge.create_category(session, NewCategory(title), now=utcnow())
        for title in ("Kept", "Lost")
    ]
    change = {"knowledge": {"all": False, "categories": [kept.id, lost.id]}}
    agent = await service.update_agent(session, agent.id, change)
    assert (await service.find_problems(session, [agent]))[agent.id] == []
    await knowledge.delete_category(session, lost.id, cascade=False, now=utcnow())
    assert (await service.find_problems(session, [agent]))[agent.id] == [
        Problem("knowledge.categories", str(lost.id))
    ]
    agent = await service.update_agent(session, agent.id, {**change, "name": "Other"})
    assert agent.name == "Other" and lost.id in agent.settings.knowledge.categories
    agent = await service.update_agent(session, agent.id, {"knowledge": {"categories": [kept.id]}})
    assert (await service.find_problems(session, [agent]))[agent.id] == []
    assert await wrong(session, agent.id, knowledge={"categories": [kept.id, lost.id]}) == {
        "knowledge.categories"
    }


async def test_the_audit_says_which_settings_changed_and_of_texts_no_more(agent, session):
    changes = {"instructions": "Call Mr Smith at noon.", "creativity": "precise", "knowledge": {"all": True}}
    await service.update_agent(session, agent.id, changes)
    told = await session.fetchval("select changes from app.audit_event where action = 'agent.updated'")
    assert json.loads(told) == {"instructions": None, "creativity": ["balanced", "precise"]}


def test_the_document_its_table_and_its_wire_are_one():
    """AGT-4, U212: each setting has limits and a sentence, and the API takes and tells it."""
    document = described(Settings())
    assert document.keys() == SETTINGS.keys()
    own = {"id", "name", "is_active", "version", "created_at", "updated_at", "problems"}
    own |= {"published_version", "has_draft"}
    assert fields_of(AgentOut) - own == fields_of(AgentPatch) - own == set(SETTINGS)
    assert fields_of(AgentPatch) & own == {"name", "is_active"}
    for path, setting in SETTINGS.items():
        assert setting.says and (setting.kind not in {"text", "number"} or setting.high), path
    shown = [path for tab in TABS.values() for path in tab]
    assert sorted(shown) == sorted(SETTINGS)


def fields_of(model, above=""):
    """Return the paths of a body's fields, those of its groups included."""
    found = set()
    for name, one in model.model_fields.items():
        kinds = get_args(one.annotation) if get_origin(one.annotation) is UnionType else (one.annotation,)
        group = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        found |= fields_of(group, f"{above}{name}.") if group else {f"{above}{name}"}
    return found


async def test_a_change_of_nothing_is_no_new_version(agent, session):
    same = {"name": agent.name, "creativity": agent.settings.creativity, "knowledge": {}}
    for nothing in ({}, same):
        assert await service.update_agent(session, agent.id, nothing) == agent


async def test_an_agent_answers_from_the_moment_it_is_switched_on_till_it_is_switched_off(agent, session):
    """AGT-6, AGT-10"""
    await service.update_agent(session, agent.id, {"is_active": True})
    assert (await service.list_active(session))[0].id == agent.id
    later = await service.create_agent(session, "Later", locale="en")
    await service.update_agent(session, later.id, {"is_active": True})
    assert (await service.list_active(session))[0].id == agent.id
    await service.update_agent(session, agent.id, {"is_active": False})
    assert (await service.list_active(session))[0].id == later.id


async def test_a_foreign_agent_is_not_found(database, scope, other_scope):
    async with database.session(scope) as session:
        agent = await service.create_agent(session, "Sales", locale="ru")
    async with database.session(other_scope) as session:
        for verb in (service.get_agent, service.delete_agent):
            with pytest.raises(NotFound):
                await verb(session, agent.id)
        with pytest.raises(NotFound):
            await service.update_agent(session, agent.id, {"name": "Mine"})
        assert (
            await service.find_agent(session, agent.id) is None and await service.list_agents(session) == []
        )
    async with database.session(scope) as session:
        assert await service.get_agent(session, agent.id) == agent


async def test_a_deleted_agent_is_gone(agent, session):
    await service.delete_agent(session, agent.id)
    for gone in (agent.id, new_id()):
        with pytest.raises(NotFound):
            await service.delete_agent(session, gone)
    assert await service.find_agent(session, agent.id) is None
    assert await service.find_agent(session, None) is None


async def test_open_pages_are_told_of_every_change(agent, session):
    await service.update_agent(session, agent.id, {"is_active": True})
    await service.delete_agent(session, agent.id)
    rows = await session.fetch("select topic, kind, ids->>'agent_id' as id from app.live_event order by id")
    assert [tuple(row) for row in rows] == [("agents", "changed", str(agent.id))] * 3
