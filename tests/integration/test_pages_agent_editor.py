"""The tabs of an agent's editor without a script: what they save, show again, and say of what is lost."""

import re

import pytest

from gptagent.features.agents import service as agents
from integration.conftest import serving_here
from integration.test_agent_gates import pipeline_of
from readers import reader_of, texts
from scenes import Scene


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


@pytest.fixture
async def owner(home, scene):
    async with (
        serving_here(home, llm_model="gpt-test") as url,
        reader_of(url, scene.world.db, scene.world.scope) as reader,
    ):
        yield reader


async def the_agent(scene):
    async with scene.world.db.session(scene.world.scope) as session:
        (agent,) = await agents.list_agents(session)
        return agent


def checked(page, name, value):
    found = re.search(rf'name="{re.escape(name)}" value="{re.escape(value)}"([^>]*)>', page.text)
    return " checked" in found[1]


async def test_pipelines_stages_and_their_texts_are_saved_shown_and_flagged(owner, scene):
    """AGT-13, AGT-14"""
    pipeline, agent = await pipeline_of(scene), await the_agent(scene)
    first, second = pipeline.stages[1:3]
    key = f"{pipeline.connection_id}/{pipeline.id}"
    edit = f"/ai-agents/{agent.id}/edit"
    typed = {
        "name": "Desk",
        "instructions": "Be kind to all.",
        "not_found_text": "One moment.",
        "handoff_text": "A colleague answers.",
        "knowledge.all": "on",
        "channels.all": "on",
        "pipelines.chosen.shown": key,
        "pipelines.chosen.active": key,
        "pipelines.chosen.stages": f"{key}/{first.id}",
        f"pipelines.chosen.text/{key}/{second.id}": "Ask for the size.",
    }
    refused = await owner.send(edit, {**typed, "pipelines.chosen.stages": ""})
    assert refused.status_code == 422 and "Ask for the size." in refused.text
    assert "Choose at least one stage of each pipeline that is on." in texts(refused)
    page = await owner.follow(await owner.send(edit, typed))
    (rule,) = (await the_agent(scene)).settings.pipelines.chosen
    assert (rule.stages, rule.all_stages, rule.is_active) == ((first.id,), False, True)
    assert [(one.stage_id, one.text) for one in rule.instructions] == [(second.id, "Ask for the size.")]
    assert checked(page, "pipelines.chosen.active", key) and "Ask for the size." in page.text
    assert checked(page, "pipelines.chosen.stages", f"{key}/{first.id}")
    assert not checked(page, "pipelines.chosen.stages", f"{key}/{second.id}")
    assert "deleted in the CRM" not in page.text
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute("update app.crm_stage set removed_at = now() where external_id = $1", first.id)
    page = await owner.open(edit)
    assert "deleted in the CRM" in page.text
    assert "Something that the settings name is no longer there." in texts(page)
    assert checked(page, "pipelines.chosen.stages", f"{key}/{first.id}")


async def test_fields_language_and_hours_are_saved_and_shown_again(owner, scene):
    """AGT-21, AGT-23, AGT-28, AGT-29, AGT-30"""
    agent = await the_agent(scene)
    fields = f"/ai-agents/{agent.id}/leads-contacts"
    page = await owner.follow(
        await owner.send(fields, {"readable.lead": "price", "readable.contact": "phone"})
    )
    assert checked(page, "readable.lead", "price") and not checked(page, "readable.lead", "name")
    advanced = f"/ai-agents/{agent.id}/advanced-settings"
    typed = {
        "creativity": "precise",
        "language.fixed": "kk",
        "response_delay_seconds": "7",
        "history_messages": "20",
        "reply_max_chars": "300",
        "welcome_text": "Good day!",
        "hours.is_on": "on",
        "hours.timezone": "Asia/Almaty",
        "hours.week.day": "3",
        "hours.week.opens.3": "10:00",
        "hours.week.closes.3": "16:00",
        "hours.holidays": "2027-01-01\n2027-01-07",
    }
    wrong = {**typed, "hours.week.closes.3": "09:00", "hours.holidays": "soon", "reply_max_chars": "a lot"}
    refused = await owner.send(advanced, wrong)
    assert refused.status_code == 422 and refused.text.count('aria-invalid="true"') == 3
    assert 'value="a lot"' in refused.text and "soon</textarea>" in refused.text
    page = await owner.follow(await owner.send(advanced, typed))
    settings = (await the_agent(scene)).settings
    assert (settings.readable.lead, settings.readable.contact) == (("price",), ("phone",))
    assert (settings.language.detect, settings.language.fixed) == (False, "kk")
    assert settings.history_messages == 20
    assert (settings.reply_max_chars, settings.welcome_text, settings.markdown) == (300, "Good day!", False)
    hours = settings.hours
    (day,) = hours.week
    assert (hours.timezone, day.day, day.opens, day.closes) == ("Asia/Almaty", 3, "10:00", "16:00")
    assert [str(one) for one in hours.holidays] == ["2027-01-01", "2027-01-07"]
    assert 'value="16:00"' in page.text and "2027-01-01\n2027-01-07</textarea>" in page.text


async def test_who_saves_a_tab_that_a_colleague_changed_is_told_and_keeps_what_was_typed(owner, scene):
    """AGT-1"""
    agent = await the_agent(scene)
    edit, advanced = (f"/ai-agents/{agent.id}/{tab}" for tab in ("edit", "advanced-settings"))
    hidden = re.compile(r'name="version" value="([^"]+)"')
    seen = hidden.search((await owner.open(edit)).text)[1]
    typed = {"name": "Desk", "instructions": "Be kind to all.", "not_found_text": "One moment."}
    typed["handoff_text"] = "A colleague answers."
    typed |= {"knowledge.all": "on", "channels.all": "on", "pipelines.all": "on"}
    await owner.follow(await owner.send(edit, {**typed, "version": seen}))
    late = {**typed, "version": seen, "instructions": "Be brief, whoever asks."}
    refused = await owner.send(edit, late)
    assert refused.status_code == 409 and "Be brief, whoever asks." in refused.text
    assert "Somebody else changed it." in texts(refused) and "Open the saved one" in texts(refused)
    assert (await the_agent(scene)).settings.instructions == "Be kind to all."
    now = hidden.search(refused.text)[1]
    async with scene.world.db.session(scene.world.scope) as session:
        await agents.update_agent(session, agent.id, {"is_active": False, "reply_max_chars": 400})
    await owner.follow(await owner.send(edit, {**late, "version": now}))
    kept = (await the_agent(scene)).settings
    assert (kept.instructions, kept.reply_max_chars) == ("Be brief, whoever asks.", 400)
    assert hidden.search((await owner.open(advanced)).text)[1] not in {seen, now}
    page = await owner.open(edit)
    assert 'name="seen" value=""' in page.text
    whole = {**late, "version": hidden.search(page.text)[1], "seen": ""}
    async with scene.world.db.session(scene.world.scope) as session:
        await agents.save_draft(session, agent.id, {"markdown": True})  # on another tab
    unseen = await owner.send(edit, whole)
    assert unseen.status_code == 409 and "Somebody has changed the draft meanwhile." in texts(unseen)
    assert not (await the_agent(scene)).settings.markdown
    shown = re.search(r'name="seen" value="([^"]+)"', unseen.text)[1]
    await owner.follow(await owner.send(edit, {**whole, "seen": shown}))
    assert (await the_agent(scene)).settings.markdown


async def test_update_rules_are_added_moved_taken_out_and_saved_without_a_script(owner, scene):
    """AGT-24, AGT-26"""
    agent = await the_agent(scene)
    fields = f"/ai-agents/{agent.id}/leads-contacts"
    page = await owner.open(fields)
    assert "No rules yet: the agent writes no field." in texts(page)
    pressed_by_enter = re.search(r"<button[^>]*>", page.text.partition('class="editor__form"')[2])[0]
    assert 'name="action"' in pressed_by_enter and 'value="draft"' in pressed_by_enter  # as on the other tabs
    added = await owner.send(fields, {"rearrange": "add/update_rules.lead"})
    assert added.status_code == 200 and "Not saved yet." in texts(added) and "1. New rule" in texts(added)
    first, second = "update_rules.lead.0", "update_rules.lead.1"
    typed = {
        "update_rules.lead.shown": ["0", "1"],
        f"{first}.field": "name",
        f"{first}.condition": "When the customer names the order",
        f"{second}.field": "price",
        f"{second}.condition": "When we hear of a sum",
        f"{second}.overwrite": "on",
        "actions.create_task": "suggest",
    }
    moved = await owner.send(fields, {**typed, "rearrange": "up/update_rules.lead/1"})
    assert moved.text.index("hear of a sum") < moved.text.index("names the order")
    assert "1. Budget" in texts(moved) and "2. Name" in texts(moved)
    fewer = await owner.send(fields, {**typed, "rearrange": "delete/update_rules.lead/0"})
    assert "names the order" not in fewer.text and "hear of a sum" in fewer.text
    for nonsense in (
        "up/update_rules.lead/0",
        "delete/update_rules.lead/9",
        "up/instructions/0",
        "add/",
        "x",
    ):
        same = await owner.send(fields, {**typed, "rearrange": nonsense})
        assert same.status_code == 200
        assert same.text.index("names the order") < same.text.index("hear of a sum")
    assert (await the_agent(scene)).settings.update_rules.lead == ()
    seen = re.search(r'name="version" value="([^"]+)"', page.text)[1]
    async with scene.world.db.session(scene.world.scope) as session:
        await agents.update_agent(session, agent.id, {"actions": {"add_note": "suggest"}})
    rearranged = await owner.send(fields, {**typed, "version": seen, "rearrange": "up/update_rules.lead/1"})
    assert f'name="version" value="{seen}"' in rearranged.text
    late = await owner.send(fields, {**typed, "version": seen})
    assert late.status_code == 409 and "Somebody else changed it." in texts(late)
    refused = await owner.send(fields, {**typed, f"{first}.condition": ""})
    assert refused.status_code == 422
    assert "Rule 1: say when the field is to be written, in 1 to 500 characters." in texts(refused)
    page = await owner.follow(await owner.send(fields, typed))
    settings = (await the_agent(scene)).settings
    assert [(one.field, one.overwrite) for one in settings.update_rules.lead] == [
        ("name", False),
        ("price", True),
    ]
    assert (settings.actions.create_task, settings.actions.confidence) == ("suggest", 80)
    assert "Something that the settings name is no longer there." not in texts(page)
    lost = {**typed, f"{first}.field": "cf_999999"}
    refused = await owner.send(fields, lost)
    assert refused.status_code == 422 and "Choose one of the offered values." in texts(refused)
