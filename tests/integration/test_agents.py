"""Agents: settings within their limits, visible at once, one name per workspace."""

import pytest

from gptagent.features.agents import service
from gptagent.features.agents.model import CREATIVITIES, TEMPERATURES
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
    """AGT-1"""
    assert not agent.is_active and agent.version == 1 and agent.model is None
    assert TEMPERATURES[agent.creativity] == 0.7 and agent.response_delay_seconds == 5
    assert agent.instructions and agent.not_found_text and agent.not_found_task
    assert await service.list_agents(session) == [agent]
    assert await service.choose_agent(session) is None


async def test_a_name_is_1_to_255_characters_and_trimmed(agent, session):
    """AGT-2"""
    for name in ("", "  ", "x" * 256):
        assert await wrong(session, agent.id, name=name) == {"name"}
        with pytest.raises(Invalid):
            await service.create_agent(session, name, locale="en")
    assert (await service.update_agent(session, agent.id, {"name": f" {'x' * 255} "})).name == "x" * 255


async def test_a_name_is_unique_in_its_workspace_only(agent, session, database, other_scope):
    """AGT-2"""
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
        ("instructions", ["x" * 10, "я" * 20_000], ["x" * 9, "x" * 20_001, "", " " * 50, 7, None]),
        ("response_delay_seconds", [0, 3_600], [-1, 3_601, 1.5, "5", True, None]),
        ("creativity", list(CREATIVITIES), ["wild", "", None, 0.7]),
        ("not_found_text", ["x", "x" * 500], ["", "x" * 501, None]),
        ("model", ["gpt-4.1", None, "", "x" * 200], ["x" * 201, 7]),
        ("is_active", [True, False], [1, "yes", None]),
        ("not_found_task", [True, False], [0, None]),
    ],
)
async def test_every_setting_keeps_within_its_limits(agent, session, field, good, bad):
    """AGT-4"""
    for value in good:
        changed = await service.update_agent(session, agent.id, {field: value})
        assert getattr(changed, field) == (value or None if field == "model" else value)
    for value in bad:
        assert await wrong(session, agent.id, **{field: value}) == {field}


async def test_a_change_leaves_the_other_settings_and_names_every_fault(agent, session):
    """AGT-5"""
    changed = await service.update_agent(session, agent.id, {"is_active": True, "creativity": "precise"})
    assert (changed.is_active, changed.creativity, changed.version) == (True, "precise", 2)
    assert (changed.name, changed.instructions) == (agent.name, agent.instructions)
    faults = await wrong(session, agent.id, name="", response_delay_seconds=-1, org_id="x", version=9)
    assert faults == {"name", "response_delay_seconds", "org_id", "version"}
    assert await service.get_agent(session, agent.id) == changed


async def test_a_change_of_nothing_is_no_new_version(agent, session):
    assert await service.update_agent(session, agent.id, {}) == agent


async def test_an_agent_answers_from_the_moment_it_is_switched_on_till_it_is_switched_off(agent, session):
    """AGT-6, AGT-10"""
    await service.update_agent(session, agent.id, {"is_active": True})
    assert (await service.choose_agent(session)).id == agent.id
    later = await service.create_agent(session, "Later", locale="en")
    await service.update_agent(session, later.id, {"is_active": True})
    assert (await service.choose_agent(session)).id == agent.id
    await service.update_agent(session, agent.id, {"is_active": False})
    assert (await service.choose_agent(session)).id == later.id


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
