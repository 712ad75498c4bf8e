"""What the tabs of an agent's editor show: all that is set, under the names the CRM has for it."""

from collections.abc import Mapping

import pytest

from gptagent.features.agents import service as agents
from gptagent.features.agents.checking import described
from gptagent.features.agents.forms import TABS
from gptagent.features.agents.model import Settings
from gptagent.features.agents.table import CONDITION_MAX_CHARS, SETTINGS
from gptagent.features.crm.mirror import store as mirror
from gptagent.features.crm.records import Channel, Field, FieldEnum
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.kernel.clock import utcnow
from integration.conftest import serving_here
from integration.test_agent_gates import pipeline_of
from readers import reader_of, shown_in, texts
from scenes import Scene

WOOD = (FieldEnum(1, "Oak"), FieldEnum(2, "Pine"))


@pytest.fixture
async def scene(world):
    """A chat whose account has channels and fields of its own."""
    scene = await Scene.open(world)
    connection = world.hook.connection_id
    async with world.db.session(world.scope) as session:
        await mirror.upsert_channels(session, connection, [Channel("telegram"), Channel("waba")])
        deals = [Field(7, "Delivery day", "text", None, 1), Field(8, "Kind of wood", "select", None, 2, WOOD)]
        await mirror.upsert_fields(session, connection, "leads", deals)
        await mirror.upsert_fields(session, connection, "contacts", [Field(9, "Nickname", "text", None, 1)])
    return scene


@pytest.fixture
async def owner(home, scene):
    async with (
        serving_here(home, llm_model="gpt-test") as url,
        reader_of(url, scene.world.db, scene.world.scope) as reader,
    ):
        yield reader


def everything(pipeline, category_id):
    """Return a value for each setting, and none is its default."""
    first, second = (stage.id for stage in pipeline.stages[1:3])
    rule = {
        "connection_id": pipeline.connection_id,
        "pipeline_id": pipeline.id,
        "all_stages": False,
        "stages": [first],
        "instructions": [{"stage_id": first, "text": "Ask for the size.\nThen for the colour."}],
        "goals": [{"stage_id": first, "text": "A day is named.", "next_stage_id": second}],
        "follow_ups": [{"stage_id": second, "after_hours": 48, "text": "Are you still there?"}],
    }
    degrees = ("move_deal", "create_task", "add_note", "change_responsible", "add_tags", "create_contact")
    degrees += ("fill_contact", "send_message", "send_email")
    oak = {"field": "cf_8", "condition": "When a wood\nis named", "overwrite": True}
    return {
        "instructions": "Be kind to all.\n\n<b>Never</b> hurry & wait.",
        "check_before_sending": True,
        "goal": "A visit",
        "pipelines": {"all": False, "chosen": [rule]},
        "channels": {"all": False, "chosen": ["telegram"]},
        "knowledge": {"all": False, "categories": [category_id]},
        "not_found_task": False,
        "not_found_text": "One moment.",
        "handoff_text": "A colleague answers.",
        "readable": {"lead": ["price", "cf_7"], "contact": ["phone", "cf_9"]},
        "update_rules": {"lead": [oak], "contact": [{"field": "name", "condition": "When it is named"}]},
        "actions": {**dict.fromkeys(degrees, "approve"), "confidence": 90},
        "model": "gpt-5",
        "language": {"detect": False, "fixed": "kk"},
        "creativity": "creative",
        "response_delay_seconds": 7,
        "presence_penalty": 0.5,
        "frequency_penalty": -1,
        "history_messages": 20,
        "reply_max_chars": 300,
        "markdown": True,
        "split_replies": True,
        "welcome_text": "Good day!",
        "hours": {
            "is_on": True,
            "timezone": "Asia/Almaty",
            "week": [{"day": 3, "opens": "10:00", "closes": "16:00"}],
            "holidays": ["2027-01-01", "2027-01-07"],
        },
        "remembers_customers": False,
        "budget": {"day_cents": 100, "month_cents": 1_000, "day_tokens": 10_000, "month_tokens": 100_000},
    }


async def test_what_a_tab_shows_and_sends_is_each_setting_as_it_is_set(owner, scene):
    """U074, U078, U082, U086, U088, U127: a tab that is sent as it was opened changes nothing."""
    world, pipeline = scene.world, await pipeline_of(scene)
    async with world.db.session(world.scope) as session:
        category = await categories.create_category(session, NewCategory("Delivery"), now=utcnow())
        (agent,) = await agents.list_agents(session)
        agent = await agents.update_agent(session, agent.id, everything(pipeline, str(category.id)))
    told, defaults = described(agent.settings), described(Settings())
    assert [path for path in SETTINGS if told[path] == defaults[path]] == []
    for tab in TABS:
        page = await owner.open(f"/ai-agents/{agent.id}/{tab}")
        sent = shown_in(page, f"{owner.base}/ai-agents/{agent.id}/{tab}")
        await owner.follow(await owner.send(f"/ai-agents/{agent.id}/{tab}", sent))
        async with world.db.session(world.scope) as session:
            now = await agents.get_agent(session, agent.id)
        assert differing(described(now.settings), told) == {}, tab
        assert (now.name, now.draft, now.published) == (agent.name, None, agent.published), tab


def differing(now: Mapping[str, object], before: Mapping[str, object]):
    return {path: (before[path], value) for path, value in now.items() if value != before[path]}


async def test_channels_and_fields_have_the_names_of_the_crm_and_lists_tell_their_values(owner, scene):
    """U086, U090, U093, U094, U098"""
    async with scene.world.db.session(scene.world.scope) as session:
        (agent,) = await agents.list_agents(session)
    basic = await owner.open(f"/ai-agents/{agent.id}/edit")
    assert "Telegram" in texts(basic) and "WhatsApp" in texts(basic) and "Instagram" not in texts(basic)
    assert f'<a href="{owner.base}/knowledge-base">Open the knowledge base</a>' in basic.text
    fields = f"/ai-agents/{agent.id}/leads-contacts"
    page = await owner.open(fields)
    for name in ("Delivery day", "Kind of wood", "Nickname"):
        assert name in texts(page), name
    assert "cf_" not in texts(page) and "Values: Oak" not in texts(page)
    rule = {"update_rules.lead.shown": "0", "update_rules.lead.0.field": "cf_8"}
    condition = "update_rules.lead.0.condition"
    long = await owner.send(fields, {**rule, condition: "x" * (CONDITION_MAX_CHARS + 1)})
    assert long.status_code == 422 and "in 1 to 500 characters." in texts(long)
    page = await owner.follow(await owner.send(fields, {**rule, condition: "x" * CONDITION_MAX_CHARS}))
    assert "1. Kind of wood" in texts(page) and "Values: Oak, Pine" in texts(page)
