"""Agents as files and from templates, and what the plan allows of them."""

import json
from html import unescape
from uuid import UUID

import pytest

from gptagent.features.agents import service
from gptagent.features.agents.checking import described, merge
from gptagent.features.agents.exchange.api import as_file
from gptagent.features.agents.exchange.matching import Matching, Unmatched
from gptagent.features.agents.exchange.service import take_file
from gptagent.features.agents.limits import SHORT_MODELS
from gptagent.features.agents.listing.service import change_agents
from gptagent.features.agents.model import Problem, Settings
from gptagent.features.agents.presets.model import PRESETS
from gptagent.features.agents.presets.service import list_presets
from gptagent.features.agents.versions.service import restore_version
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid
from gptagent.kernel.i18n import LOCALES
from gptagent.kernel.ids import new_id
from integration.conftest import serving_here
from readers import reader_of, texts

SHORT = f"{SHORT_MODELS}-4"


@pytest.fixture
async def session(database, scope):
    async with database.session(scope) as session:
        yield session


async def on_plan(session, plan):
    await session.execute("update app.organization set plan = $1", plan)


async def document(session, agent):
    """Return what a file of the agent holds."""
    return json.loads((await as_file(session, agent)).model_dump_json())


async def test_a_file_brings_all_settings_and_flags_what_the_other_workspace_lacks(
    session, database, other_scope
):
    """AGT-9"""
    delivery = await categories.create_category(session, NewCategory("Delivery"), now=utcnow())
    agent = await service.create_agent(session, "Sales", locale="en")
    changes = {"knowledge": {"all": False, "categories": [delivery.id]}, "goal": "A visit", "markdown": True}
    agent = await service.update_agent(session, agent.id, {**changes, "is_active": True})
    await service.save_draft(session, agent.id, {"goal": "Not published"})
    file = await document(session, agent)
    assert file["names"] == {"/knowledge/categories": {str(delivery.id): "Delivery"}}
    assert file["format"] == "gptagent.agent" and "id" not in file and "draft" not in json.dumps(file)
    async with database.session(other_scope) as others:
        made = await service.import_agent(others, file["name"], file["settings"], locale="en")
        assert (made.name, made.is_active, made.published, made.draft) == ("Sales", False, 1, None)
        assert made.settings == agent.settings
        lost = (await service.find_problems(others, [made]))[made.id]
        assert lost == [Problem("knowledge.categories", str(delivery.id))]
    again = await service.import_agent(session, file["name"], file["settings"], locale="en")
    assert again.name == "Sales (copy)"
    assert (await service.find_problems(session, [again]))[again.id] == []


def test_what_a_file_refers_to_is_found_by_its_name_and_only_where_one_has_it():
    """AGT-9"""
    there, here = (str(UUID(int=number)) for number in (1, 2))
    theirs = {
        "pipelines.chosen": {
            f"{there}/10": "Sales",
            f"{there}/10/100": "New",
            f"{there}/10/101": "Offer",
            f"{there}/10/102": "Gone",
            f"{there}/11": " sales ",
            f"{there}/12": "Repairs",
        },
        "knowledge.categories": {there: "Delivery / Abroad"},
        "readable.lead": {"cf_1": "Size", "cf_2": "Colour"},
        "update_rules.lead": {"cf_1": "Size"},
    }
    ours = {
        "pipelines.chosen": {
            f"{here}/20": "SALES",
            f"{here}/20/200": "new",
            f"{here}/20/201": "Offer",
            f"{here}/21": "Other",
            f"{here}/21/210": "Gone",  # of another pipeline
        },
        "knowledge.categories": {here: "delivery / abroad"},
        "readable.lead": {"cf_7": "Size", "cf_8": "Colour", "cf_9": "Colour"},
        "update_rules.lead": {"cf_7": "Size"},
        "channels.chosen": {"waba": "WhatsApp"},
    }
    rule = {"connection_id": there, "stages": [100, 102], "all_stages": False}
    rule |= {"follow_ups": [{"stage_id": 100, "after_hours": 2, "text": "There?"}]}
    rule |= {"goals": [{"stage_id": 100, "text": "A size", "next_stage_id": 101}]}
    rule |= {"instructions": [{"stage_id": 101, "text": "Offer it."}]}
    bare = {"connection_id": there}
    changes = {
        "pipelines": {
            "chosen": [{**rule, "pipeline_id": 10}, *({**bare, "pipeline_id": n} for n in (11, 12))]
        },
        "channels": {"chosen": ["waba", "telegram"]},
        "knowledge": {"categories": [there]},
        "readable": {"lead": ["name", "cf_1", "cf_2"]},
        "update_rules": {"lead": [{"field": "cf_1", "condition": "When named"}]},
    }
    document, faults = merge(Settings(), changes)
    assert faults == []
    matching = Matching(theirs, ours)
    found = matching.match(document)
    sales, second, repairs = found.pipelines.chosen
    assert (str(sales.connection_id), sales.pipeline_id, sales.stages) == (here, 20, (200, 102))
    assert [one.stage_id for one in (*sales.follow_ups, *sales.goals, *sales.instructions)] == [200, 200, 201]
    assert sales.goals[0].next_stage_id == 201
    assert (second.pipeline_id, repairs.pipeline_id) == (11, 12)
    assert [str(one) for one in found.knowledge.categories] == [here]
    assert found.readable.lead == ("name", "cf_7", "cf_2") and found.update_rules.lead[0].field == "cf_7"
    assert {(one.setting, one.reference, one.name) for one in matching.unmatched} == {
        ("pipelines.chosen", f"{there}/10/102", "Gone"),
        ("pipelines.chosen", f"{there}/11", " sales "),
        ("pipelines.chosen", f"{there}/12", "Repairs"),
        ("channels.chosen", "telegram", ""),
        ("readable.lead", "cf_2", "Colour"),
    }
    assert Matching({}, ours).match(found).pipelines.chosen[0].stages == (200, 102)  # what is there stays


async def test_a_file_is_taken_by_names_and_says_what_it_could_not_find(session, database, other_scope):
    """AGT-9"""
    delivery = await categories.create_category(session, NewCategory("Delivery"), now=utcnow())
    abroad = await categories.create_category(
        session, NewCategory("Abroad", parent_id=delivery.id), now=utcnow()
    )
    agent = await service.create_agent(session, "Sales", locale="en")
    chosen = {"all": False, "categories": [delivery.id, abroad.id]}
    agent = await service.update_agent(session, agent.id, {"knowledge": chosen})
    file = await document(session, agent)
    names = {pointer.strip("/").replace("/", "."): these for pointer, these in file["names"].items()}
    async with database.session(other_scope) as others:
        own = await categories.create_category(others, NewCategory("delivery"), now=utcnow())
        made, unmatched = await take_file(others, "Sales", file["settings"], names, locale="en")
        assert made.settings.knowledge.categories == (own.id, abroad.id)
        assert unmatched == [Unmatched("knowledge.categories", str(abroad.id), "Delivery / Abroad")]
        with pytest.raises(Invalid):
            await take_file(others, "Sales", {"goal": 7}, names, locale="en")


async def test_a_file_that_is_wrong_is_refused_field_by_field(session):
    wrong = {"goal": 7, "nonsense": 1, "hours": {"week": [], "is_on": True}}
    with pytest.raises(Invalid) as refused:
        await service.import_agent(session, "Sales", wrong, locale="en")
    assert {one.pointer for one in refused.value.fields} == {
        "settings.goal",
        "settings.nonsense",
        "settings.hours.week",
    }
    for name in ("", "x" * 256):
        with pytest.raises(Invalid):
            await service.import_agent(session, name, {}, locale="en")


@pytest.mark.parametrize("locale", LOCALES)
def test_each_template_is_whole_and_within_the_limits_of_settings(locale):
    presets = list_presets(locale)
    assert tuple(presets) == PRESETS
    for one in presets.values():
        settings = one.put_into(Settings())
        assert merge(Settings(), described_as_changes(settings)) == (settings, [])
        assert len(one.instructions) > 900 and len(one.instructions.splitlines()) >= 16
        assert one.title and one.summary and one.welcome_text and one.not_found_text
        assert one.instructions.isascii() == (locale == "en")


def described_as_changes(settings):
    own = ("instructions", "goal", "welcome_text", "not_found_text", "creativity", "response_delay_seconds")
    return {path: value for path, value in described(settings).items() if path in own}


async def test_an_agent_may_begin_with_a_template(session):
    """AGT-1, U068"""
    for locale in LOCALES:
        for key, preset in list_presets(locale).items():
            agent = await service.create_agent(session, f"{key} {locale}", locale=locale, preset=key)
            assert agent.settings.instructions == preset.instructions and not agent.is_active


async def test_the_plan_bounds_the_number_of_agents(session):
    """AGT-11, U067"""
    await on_plan(session, "free")
    agent = await service.create_agent(session, "One", locale="en")
    for more in (
        service.create_agent(session, "Two", locale="en"),
        service.copy_agent(session, agent.id, locale="en"),
        service.import_agent(session, "Two", {}, locale="en"),
    ):
        with pytest.raises(Conflict, match="agent_limit"):
            await more
    await on_plan(session, "premium")
    assert (await service.copy_agent(session, agent.id, locale="en")).name == "One (copy)"
    await on_plan(session, "free")
    assert (await service.update_agent(session, agent.id, {"goal": "A visit"})).settings.goal == "A visit"


async def test_the_plan_bounds_instructions(session):
    """AGT-3, U076"""
    agent = await service.create_agent(session, "One", locale="en")
    await service.update_agent(session, agent.id, {"instructions": "x" * 40_000})
    with pytest.raises(Invalid):
        await service.update_agent(session, agent.id, {"model": SHORT})
    await service.update_agent(session, agent.id, {"instructions": "x" * 20_000, "model": SHORT})
    await service.update_agent(session, agent.id, {"instructions": "x" * 40_000, "model": None})
    await on_plan(session, "premium")
    assert (await service.update_agent(session, agent.id, {"goal": "A visit"})).settings.goal == "A visit"
    for change in ({"instructions": "x" * 20_001}, {"instructions": "x" * 39_999}):
        for verb in (service.update_agent, service.save_draft):
            with pytest.raises(Invalid) as refused:
                await verb(session, agent.id, change)
            assert [one.pointer for one in refused.value.fields] == ["instructions"]
    await service.update_agent(session, agent.id, {"instructions": "x" * 20_000})


async def test_a_plan_without_field_updates_takes_no_new_rules_and_leaves_old_ones(session):
    """AGT-24: taking rules out is no new rule"""
    one, two = ({"field": field, "condition": "When it is named"} for field in ("price", "name"))
    agent = await service.create_agent(session, "One", locale="en")
    await service.update_agent(session, agent.id, {"update_rules": {"lead": [one], "contact": [two]}})
    await on_plan(session, "free")
    with pytest.raises(Invalid) as refused:
        await service.update_agent(session, agent.id, {"update_rules": {"lead": [one, two]}})
    assert [fault.pointer for fault in refused.value.fields] == ["update_rules.lead"]
    kept = await service.update_agent(session, agent.id, {"update_rules": {"contact": []}, "goal": "A visit"})
    assert (len(kept.settings.update_rules.lead), kept.settings.update_rules.contact) == (1, ())
    await on_plan(session, "premium")
    done = await service.update_agent(session, agent.id, {"update_rules": {"lead": [two]}})
    assert done.settings.update_rules.lead[0].field == "name"


async def test_a_model_that_is_not_of_the_plan_is_refused(session):
    """AGT-12, U125"""
    agent = await service.create_agent(session, "One", locale="en")
    await service.update_agent(session, agent.id, {"model": "anything"})
    await on_plan(session, "free")
    assert (await service.update_agent(session, agent.id, {"goal": "A visit"})).settings.model == "anything"
    for model in ("gemini-2.5-flash", SHORT):
        for change in (
            service.update_agent(session, agent.id, {"model": model}),
            service.save_draft(session, agent.id, {"model": model}),
        ):
            with pytest.raises(Invalid) as refused:
                await change
            assert [one.pointer for one in refused.value.fields] == ["model"]
    for model in ("gpt-5", None):
        assert (await service.update_agent(session, agent.id, {"model": model})).settings.model == model
    await on_plan(session, "premium")
    await service.update_agent(session, agent.id, {"model": "gemini-2.5-flash"})


async def test_no_way_into_force_passes_the_limits_of_the_plan(session):
    """AGT-3, AGT-12: a draft, an earlier version, a copy, being switched on, alone and among several."""
    agent = await service.create_agent(session, "One", locale="en")
    long, short = {"instructions": "x" * 30_000}, {"instructions": "x" * 100}
    await service.save_draft(session, agent.id, long)
    # Short instructions bear the model; the draft, which gets it too, has long ones.
    await service.update_agent(session, agent.id, {"model": SHORT})
    await fails("instructions", service.publish_draft(session, agent.id))
    await service.discard_draft(session, agent.id)
    await service.update_agent(session, agent.id, {**long, "model": "anything"})
    await service.update_agent(session, agent.id, {**short, "model": None})
    await service.save_draft(session, agent.id, long)
    number = (await service.get_agent(session, agent.id)).published - 1
    await on_plan(session, "premium")
    await fails("instructions", service.publish_draft(session, agent.id))
    await fails("instructions", service.publish(session, agent.id, {"goal": "A visit"}))
    assert (await service.save_draft(session, agent.id, {"goal": "A call"})).draft.goal == "A call"
    await on_plan(session, "free")
    faults = await fails("instructions", restore_version(session, agent.id, number))
    assert [one.pointer for one in faults] == ["instructions", "model"]
    assert (await service.get_agent(session, agent.id)).settings.instructions == "x" * 100
    await on_plan(session, "vip")
    await service.discard_draft(session, agent.id)
    await service.update_agent(session, agent.id, long)
    await on_plan(session, "premium")
    assert (await service.update_agent(session, agent.id, {"goal": "Any"})).settings.goal == "Any"
    await fails("instructions", service.copy_agent(session, agent.id, locale="en"))
    await fails("instructions", service.update_agent(session, agent.id, {"is_active": True}))
    assert not (await service.get_agent(session, agent.id)).is_active
    with pytest.raises(Invalid) as refused:
        await change_agents(session, [agent.id], "activate")
    assert refused.value.params == {"agent": "One"}
    whole = (await document(session, await service.get_agent(session, agent.id)))["settings"]
    await fails("settings.instructions", service.import_agent(session, "Two", whole, locale="en"))
    await service.update_agent(session, agent.id, {**short, "is_active": True})
    await on_plan(session, "free")
    faults = await fails("model", service.save_draft(session, agent.id, {"model": SHORT}))
    said = faults[0].message.format(**faults[0].params)
    assert SHORT in said and "gpt-5" in said and "Choose one of them, or ask for a larger plan." in said


async def fails(pointer, doing):
    """Check that it names this setting first; return all that it names."""
    with pytest.raises(Invalid) as refused:
        await doing
    assert refused.value.fields[0].pointer == pointer
    return refused.value.fields


async def test_the_pages_offer_templates_take_files_and_say_what_the_plan_forbids(home, database, scope):
    """AGT-3, AGT-11, U067, U068, U076"""
    async with serving_here(home, llm_model="gpt-test") as url, reader_of(url, database, scope) as owner:
        page = await owner.open("/ai-agents/create")
        assert "Lead qualifier" in texts(page) and "Without a template" in texts(page)
        page = await owner.follow(await owner.send("/ai-agents/create", {"name": "One", "template": "faq"}))
        assert "You answer frequent questions about our company" in page.text
        assert 'maxlength="40000"' in page.text
        async with database.session(scope) as session:
            (agent,) = await service.list_agents(session)
            await on_plan(session, "premium")
        edit = await owner.open(f"/ai-agents/{agent.id}/edit")
        assert 'maxlength="20000"' in edit.text
        file = await owner.open(f"/ai-agents/{agent.id}/export")
        assert file.headers["content-disposition"].startswith("attachment")
        async with database.session(scope) as session:
            assert json.loads(file.text) == await document(session, agent)
        taken = {"files": {"file": ("agent.json", file.content, "application/json")}}
        page = await owner.follow(await owner.send("/ai-agents/import", **taken))
        assert "The agent is created" in texts(page) and "One (copy)" in page.text
        named = json.loads(file.text)
        named["settings"]["knowledge"] = {"all": False, "categories": [str(new_id())]}
        named["names"] = {
            "/knowledge/categories": {named["settings"]["knowledge"]["categories"][0]: "Returns"}
        }
        sent = {"files": {"file": ("agent.json", json.dumps(named).encode(), "application/json")}}
        page = texts(await owner.follow(await owner.send("/ai-agents/import", **sent)))
        assert "Not found in this workspace, and marked where it is set: Chosen categories – Returns" in page
        unknown = json.dumps({**json.loads(file.text), "settings": {"nonsense": "<b>"}}).encode()
        for content, said in (
            (b"", "Choose a file first."),
            (b"not JSON", "This is no file of an agent."),
            (b'{"format": "other"}', "This is missing, unknown or of the wrong kind."),
            (unknown, "settings.nonsense"),
            (b"x" * 2_000_001, "This is no file of an agent."),
        ):
            refused = await owner.send("/ai-agents/import", files={"file": ("agent.json", content)})
            assert refused.status_code == 422 and said in texts(refused), content[:50]
        async with database.session(scope) as session:
            await on_plan(session, "free")
        refused = await owner.send("/ai-agents/create", {"name": "Three"})
        assert refused.status_code == 409 and "The plan has room for so many agents: 1." in texts(refused)
        page = await owner.follow(await owner.send(f"/ai-agents/{agent.id}/copy"))
        assert "The plan has room for so many agents: 1." in texts(page)
        refused = await owner.send("/ai-agents/import", **taken)
        assert refused.status_code == 409 and "The plan has room for so many agents: 1." in texts(refused)
        async with database.session(scope) as session:
            await on_plan(session, "vip")
            await service.update_agent(session, agent.id, {"instructions": "x" * 30_000})
            await on_plan(session, "premium")
        switch = (f"/ai-agents/{agent.id}/active", {"is_active": "on"})
        why = "The instructions may have at most 20000 characters in your plan"
        assert why in texts(await owner.follow(await owner.send(*switch)))
        unmoved = await owner.send(*switch, headers={"hx-request": "true"})
        assert unmoved.status_code == 422 and why in texts(unmoved) and 'id="toasts"' in unmoved.text
        ticked = {"ids": str(agent.id), "action": "activate"}
        listed = texts(await owner.follow(await owner.send("/ai-agents/bulk", ticked)))
        assert "Nothing was changed: with “One” it is not possible." in unescape(listed) and why in listed
