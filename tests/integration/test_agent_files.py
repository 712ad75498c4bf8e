"""Agents as files and from templates, and what the plan allows of them."""

import json

import pytest

from gptagent.features.agents import service
from gptagent.features.agents.checking import described, merge
from gptagent.features.agents.exchange.api import as_file
from gptagent.features.agents.limits import SHORT_MODELS
from gptagent.features.agents.model import Problem, Settings
from gptagent.features.agents.presets.model import PRESETS
from gptagent.features.agents.presets.service import list_presets
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid
from gptagent.kernel.i18n import LOCALES
from integration.conftest import serving_here
from readers import reader_of, texts

SHORT = f"{SHORT_MODELS}-4"


@pytest.fixture
async def session(database, scope):
    async with database.session(scope) as session:
        yield session


async def on_plan(session, plan):
    await session.execute("update app.organization set plan = $1", plan)


def document(agent):
    """Return what a file of the agent holds."""
    return json.loads(as_file(agent).model_dump_json())


async def test_a_file_brings_all_settings_and_flags_what_the_other_workspace_lacks(
    session, database, other_scope
):
    """AGT-9"""
    delivery = await categories.create_category(session, NewCategory("Delivery"), now=utcnow())
    agent = await service.create_agent(session, "Sales", locale="en")
    changes = {"knowledge": {"all": False, "categories": [delivery.id]}, "goal": "A visit", "markdown": True}
    agent = await service.update_agent(session, agent.id, {**changes, "is_active": True})
    await service.save_draft(session, agent.id, {"goal": "Not published"})
    file = document(agent)
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
    """AGT-1"""
    for locale in LOCALES:
        for key, preset in list_presets(locale).items():
            agent = await service.create_agent(session, f"{key} {locale}", locale=locale, preset=key)
            assert agent.settings.instructions == preset.instructions and not agent.is_active


async def test_the_plan_bounds_the_number_of_agents(session):
    """AGT-11"""
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
    """AGT-3"""
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
    """AGT-12"""
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


async def test_the_pages_offer_templates_take_files_and_say_what_the_plan_forbids(home, database, scope):
    """AGT-3, AGT-11"""
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
        assert json.loads(file.text) == document(agent)
        taken = {"files": {"file": ("agent.json", file.content, "application/json")}}
        page = await owner.follow(await owner.send("/ai-agents/import", **taken))
        assert "The agent is created" in texts(page) and "One (copy)" in page.text
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
