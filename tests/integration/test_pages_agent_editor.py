"""The tabs of an agent's editor without a script: what they save, show again, and say of what is lost."""

import re

import pytest

from gptagent.features.agents import service as agents
from gptagent.features.agents.limits import SHORT_MODELS
from integration.conftest import serving_here
from integration.test_agent_gates import pipeline_of
from members import add_member
from readers import reader_of, shown_in, texts
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
    """AGT-13, AGT-14, U074, U081, U082, U083, U084"""
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


async def test_what_is_half_typed_at_a_stage_is_told_beside_its_field_and_stays(owner, scene):
    """AGT-14, U073, U077"""
    pipeline, agent = await pipeline_of(scene), await the_agent(scene)
    first, second = (f"{pipeline.connection_id}/{pipeline.id}/{one.id}" for one in pipeline.stages[1:3])
    edit = f"/ai-agents/{agent.id}/edit"
    typed = {
        "name": "Desk",
        "instructions": "short",
        "not_found_text": "One moment.",
        "handoff_text": "A colleague answers.",
        "knowledge.all": "on",
        "channels.all": "on",
        "pipelines.all": "on",
        "pipelines.chosen.shown": first.rpartition("/")[0],
        f"pipelines.chosen.hours/{first}": "48",
        f"pipelines.chosen.follow/{first}": "",
        f"pipelines.chosen.hours/{second}": "soon",
        f"pipelines.chosen.follow/{second}": "Still there?",
        f"pipelines.chosen.goal/{first}": "",
        f"pipelines.chosen.next/{first}": second.rpartition("/")[2],
        f"pipelines.chosen.text/{first}": "x" * 2_001,
    }
    for action in ("publish", "draft"):
        refused = await owner.send(edit, {**typed, "action": action})
        assert refused.status_code == 422 and "Not saved: correct 5 fields." in texts(refused)
        wrong = [f"hours/{second}", f"follow/{first}", f"goal/{first}", f"text/{first}"]
        for name in (*(f"pipelines.chosen.{one}" for one in wrong), "instructions"):
            told = f'aria-invalid="true" aria-describedby="{name}-error'
            assert re.search(rf'name="{name}"[^>]* {told}', refused.text), name
            assert f'id="{name}-error"' in refused.text
        assert 'value="48"' in refused.text and 'value="soon"' in refused.text
        assert "Still there?</textarea>" in refused.text and "x" * 2_001 in refused.text
        assert "Write what the customer is sent, or empty the hours." in texts(refused)
        assert f'<option value="{second.rpartition("/")[2]}" selected' in refused.text
    now = await the_agent(scene)
    assert (now.settings, now.draft) == (agent.settings, None)
    empty = {name: "" for name in typed if name.startswith("pipelines.chosen.") and "/" in name}
    await owner.follow(await owner.send(edit, {**typed, **empty, "instructions": "Be kind to all."}))
    assert (await the_agent(scene)).settings.pipelines.chosen == ()


async def test_fields_language_and_hours_are_saved_and_shown_again(owner, scene):
    """AGT-21, AGT-23, AGT-28, AGT-29, AGT-30, U074, U091, U092, U126, U129"""
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
        "presence_penalty": "0,5",
        "frequency_penalty": "-1",
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
    assert (settings.presence_penalty, settings.frequency_penalty) == (0.5, -1)
    assert (settings.reply_max_chars, settings.welcome_text, settings.markdown) == (300, "Good day!", False)
    hours = settings.hours
    (day,) = hours.week
    assert (hours.timezone, day.day, day.opens, day.closes) == ("Asia/Almaty", 3, "10:00", "16:00")
    assert [str(one) for one in hours.holidays] == ["2027-01-01", "2027-01-07"]
    assert 'value="16:00"' in page.text and "2027-01-01\n2027-01-07</textarea>" in page.text


async def test_the_crm_is_read_anew_from_the_tab_and_what_was_typed_stays(owner, scene):
    """U079, U080: when it was last read, that it is being read, that it failed"""
    agent, world = await the_agent(scene), scene.world
    for tab, field in (("edit", "goal"), ("leads-contacts", "update_rules.lead.0.condition")):
        place = f"/ai-agents/{agent.id}/{tab}"
        page = await owner.open(place)
        assert 'name="rearrange" value="sync"' in page.text and 'value="look"' not in page.text
        pressed_by_enter = re.search(r"<button[^>]*>", page.text.partition('class="editor__form"')[2])[0]
        assert 'value="draft"' in pressed_by_enter
        typed = {field: "What I type", "rearrange": "sync", "update_rules.lead.shown": "0"}
        asked = await owner.send(place, typed)
        assert asked.status_code == 200 and "The CRM is being read" in texts(asked)
        assert "What I type</textarea>" in asked.text and "Being read" in texts(asked)
        assert "Not saved yet." in texts(asked) and (await the_agent(scene)).settings == agent.settings
    async with world.db.session(world.scope) as session:
        runs = await session.fetch("select id from app.crm_sync where kind = 'manual'")
        assert len(runs) == 1  # the one under way goes on
        await session.execute("update app.crm_sync set state = 'failed', finished_at = now()")
        await session.execute("update app.crm_connection set synced_at = now()")
    part = await owner.open(f"/ai-agents/{agent.id}/edit?part=crm&seen=0")
    shown = texts(part)
    assert "The last reading failed" in shown and "Try again" in shown and "Show what was read" in shown
    assert "Read from the CRM" in shown and "<html" not in part.text
    member = await add_member(world.db, world.scope, "member")
    async with reader_of(str(owner.http.base_url), world.db, member) as bob:
        page = await bob.open(f"/ai-agents/{agent.id}/edit")
        assert 'value="sync"' not in page.text and "The last reading failed" in texts(page)
        refused = await bob.send(f"/ai-agents/{agent.id}/edit", {"rearrange": "sync"})
        assert refused.status_code == 403


async def test_the_tab_of_integrations_says_where_the_agent_answers(owner, scene):
    """U119"""
    agent, world = await the_agent(scene), scene.world
    place = f"/ai-agents/{agent.id}/integrations"
    page = await owner.open(place)
    rows = re.findall(r"<tr>.*?</tr>", page.text, re.DOTALL)[1:]
    connection = world.hook.connection_id
    (there,) = [row for row in rows if f"/integrations/{connection}" in row]
    (absent,) = [row for row in rows if row is not there]
    assert there.count(">Yes<") == 3 and absent.count(">No<") == 3
    assert "brand=" in absent and "#connect" in absent
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_connection set is_active = false")
    there = (await owner.open(f"{place}?part=list&q=kommo")).text
    assert there.count(">Yes<") == 1 and "<html" not in there
    nothing = texts(await owner.open(f"{place}?q=telegraph"))
    assert "No integrations found" in nothing and "Clear the search" in nothing


async def test_a_model_is_chosen_of_those_of_the_plan_or_named(owner, scene):
    """U125: one that the plan lacks cannot be chosen, and says so"""
    agent, world = await the_agent(scene), scene.world
    place = f"/ai-agents/{agent.id}/advanced-settings"
    async with world.db.session(world.scope) as session:
        await session.execute("update app.organization set plan = 'premium'")
    page = await owner.open(place)
    radios = dict(re.findall(r'<input[^>]*name="model" value="([^"]*)"([^>]*)>', page.text))
    assert [key for key, more in radios.items() if "disabled" in more] == [f"{SHORT_MODELS}-sonnet-4"]
    assert "Not in your plan. Ask for a larger one to choose it." in texts(page)
    assert " checked" in radios[""] and {"gpt-4.1", "gpt-5", "gemini-2.5-flash", "*"} < set(radios)
    typed = {"language.fixed": "en", "response_delay_seconds": "5", "creativity": "balanced"}
    typed |= {"hours.timezone": "Europe/Moscow", "model": "*", "history_messages": "20"}
    nameless = await owner.send(place, typed)
    assert nameless.status_code == 422 and "Name the model, or choose one of those above." in texts(nameless)
    absent = await owner.send(place, {**typed, "model.other": "other-1"})
    assert absent.status_code == 422 and 'value="other-1"' in absent.text
    assert "The model other-1 is not in your plan" in texts(absent)
    await owner.follow(await owner.send(place, {**typed, "model": "gpt-5"}))
    assert (await the_agent(scene)).settings.model == "gpt-5"


DELAYS = [
    ("en", "soon", "Enter a number of whole seconds.", "from 30 seconds on also one who types slowly"),
    ("en", "1.5", "Enter a number of whole seconds.", "from 30 seconds on also one who types slowly"),
    ("en", "-1", "The delay cannot be negative.", "from 30 seconds on also one who types slowly"),
    ("en", "3601", "The delay cannot be more than 3600 seconds.", "from 30 seconds on"),
    ("ru", "скоро", "Введите число целых секунд.", "от 30 секунд — и тот, кто набирает медленно"),
    ("ru", "-1", "Задержка не может быть отрицательной.", "от 30 секунд — и тот, кто набирает медленно"),
    ("ru", "3601", "Задержка не может превышать 3600 секунд.", "от 30 секунд"),
]


@pytest.mark.parametrize("refusal", DELAYS, ids=str)
async def test_a_delay_that_is_none_is_refused_in_its_own_words(owner, scene, refusal):
    """U128: what is typed stays, and the hint says from when on slow typists get one answer, too"""
    language, delay, said, hint = refusal
    agent = await the_agent(scene)
    owner.http.cookies.set("language", language)
    place = f"/ai-agents/{agent.id}/advanced-settings"
    page = await owner.open(place)
    told = page.text.partition('id="response_delay_seconds"')[2].partition(
        'id="response_delay_seconds-help"'
    )[2]
    assert hint in told.partition("</p>")[0]
    form = shown_in(page, f"{owner.base}{place}")
    refused = await owner.send(place, {**form, "response_delay_seconds": delay})
    assert refused.status_code == 422 and f'value="{delay}"' in refused.text
    error = refused.text.partition('id="response_delay_seconds-error"')[2].partition("</p>")[0]
    assert said in error
    assert (await the_agent(scene)).settings.response_delay_seconds == agent.settings.response_delay_seconds


async def test_who_saves_a_tab_that_a_colleague_changed_is_told_and_keeps_what_was_typed(owner, scene):
    """AGT-1, U075"""
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
    assert "Somebody else changed it while you were typing." in texts(refused)
    assert "Open the saved one" in texts(refused)
    # Both values stand there, so that a second press overwrites knowingly; what both have is not shown.
    shown = refused.text.partition('id="differing"')[2].partition("Saving once more puts")[0]
    assert "<del" in shown and "Be kind to all.</del>" in shown
    assert "Be brief, whoever asks.</ins>" in shown and "One moment." not in shown
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
    assert re.search(r"Markdown</h3>.*?yes</ins>", unseen.text, re.DOTALL)  # what would be published with it
    assert not (await the_agent(scene)).settings.markdown
    shown = re.search(r'name="seen" value="([^"]+)"', unseen.text)[1]
    await owner.follow(await owner.send(edit, {**whole, "seen": shown}))
    assert (await the_agent(scene)).settings.markdown


async def test_update_rules_are_added_moved_taken_out_and_saved_without_a_script(owner, scene):
    """AGT-24, AGT-26, U094, U095, U096, U208"""
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
    assert late.status_code == 409 and "Somebody else changed it while you were typing." in texts(late)
    half = {**typed, f"{first}.condition": "", f"{second}.field": "", "actions.confidence": "much"}
    refused = await owner.send(fields, half)
    assert refused.status_code == 422 and "Not saved: correct 3 fields." in texts(refused)
    assert "Say when it is to be written, in 1 to 500 characters." in texts(refused)
    for name in (f"{first}.condition", f"{second}.field"):
        assert re.search(rf'name="{name}"[^>]* aria-invalid="true"', refused.text), name
    assert "When we hear of a sum</textarea>" in refused.text
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
