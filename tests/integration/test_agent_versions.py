"""Versions of an agent: what is published acts, a draft does not; an earlier version comes back."""

import html
import re
from dataclasses import replace
from datetime import date

import asyncpg
import pytest

from gptagent.features.agents import service as agents
from gptagent.features.agents.model import Agent, Settings
from gptagent.features.agents.table import SETTINGS
from gptagent.features.agents.versions import service
from gptagent.features.agents.versions.model import VERSIONS_KEPT, differences
from gptagent.features.agents.versions.showing import tell_differences
from gptagent.features.agents.versions.telling import TITLES, lines_of, tell
from gptagent.features.dialog.scenarios import service as scenarios
from gptagent.features.dialog.scenarios.model import Condition
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.model import NewCategory
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.i18n import translate
from gptagent.kernel.paging import Page
from integration.conftest import serving_here
from readers import reader_of, texts
from scenes import Scene

FIRST, SECOND = "We will look into it.", "A colleague answers tomorrow."


@pytest.fixture
async def session(database, scope):
    async with database.session(scope) as session:
        yield session


@pytest.fixture
async def agent(session):
    return await agents.create_agent(session, "Sales", locale="en")


async def versions(session, agent_id):
    page = Page(service.VERSION_ORDERS["-number"])
    return (await service.page_versions(session, page, agent_id))[0]


async def test_each_publishing_is_a_version_with_who_when_and_a_note(agent, session, scope):
    """AGT-6"""
    assert (agent.published, agent.draft) == (1, None)
    changed = await agents.update_agent(session, agent.id, {"goal": "A visit", "is_active": True})
    published = await agents.publish(session, agent.id, {"goal": "A call"}, note=" Calls work better ")
    unchanged = await agents.update_agent(session, agent.id, {"name": "Desk", "goal": "A call"})
    assert (changed.published, published.published, unchanged.published) == (2, 3, 3)
    third, second, first = await versions(session, agent.id)
    assert [one.settings.goal for one in (first, second, third)] == ["", "A visit", "A call"]
    assert (third.note, second.note) == ("Calls work better", "")
    assert {(one.actor_kind, one.actor_id) for one in (first, second, third)} == {("person", scope.actor.id)}
    assert third.settings == unchanged.settings
    with pytest.raises(Invalid):
        await agents.publish(session, agent.id, {"goal": "x"}, note="x" * 501)


async def test_a_draft_changes_nothing_until_it_is_published(agent, session):
    drafted = await agents.save_draft(session, agent.id, {"goal": "A visit", "hours": {"is_on": True}})
    assert drafted.settings == agent.settings and drafted.published == 1
    assert drafted.draft == replace(
        agent.settings, goal="A visit", hours=replace(agent.settings.hours, is_on=True)
    )
    drafted = await agents.save_draft(session, agent.id, {"goal": "A call"})
    assert drafted.draft.hours.is_on and drafted.draft.goal == "A call"
    for wrong in ({"goal": 7}, {"nonsense": 1}, {"hours": {"week": []}}):
        with pytest.raises(Invalid):
            await agents.save_draft(session, agent.id, wrong)
    published = await agents.publish_draft(session, agent.id, note="Calls")
    assert (published.settings, published.draft, published.published) == (drafted.draft, None, 2)
    with pytest.raises(Conflict):
        await agents.publish_draft(session, agent.id)


async def test_a_draft_like_what_is_published_is_none_and_a_discarded_one_is_gone(agent, session):
    await agents.save_draft(session, agent.id, {"goal": "A visit"})
    assert (await agents.save_draft(session, agent.id, {"goal": ""})).draft is None
    await agents.save_draft(session, agent.id, {"goal": "A visit"})
    assert (await agents.discard_draft(session, agent.id)).draft is None
    assert len(await versions(session, agent.id)) == 1


async def test_a_change_published_beside_a_draft_is_made_in_the_draft_too(agent, session):
    """AGT-5"""
    await agents.save_draft(session, agent.id, {"goal": "A visit", "markdown": True})
    changed = await agents.update_agent(session, agent.id, {"creativity": "precise", "markdown": True})
    assert (changed.settings.goal, changed.settings.creativity) == ("", "precise")
    assert changed.draft == replace(changed.settings, goal="A visit")
    whole = await agents.publish(session, agent.id, {"welcome_text": "Hello!"})
    assert whole.settings == replace(changed.draft, welcome_text="Hello!") and whole.draft is None


async def test_an_earlier_version_is_published_anew_and_a_draft_stays(agent, session, database, other_scope):
    await agents.update_agent(session, agent.id, {"goal": "A visit"})
    await agents.save_draft(session, agent.id, {"welcome_text": "Hello!"})
    back = await service.restore_version(session, agent.id, 1)
    assert (back.settings, back.published) == (agent.settings, 3)
    assert back.draft.welcome_text == "Hello!" and back.draft.goal == "A visit"
    newest = (await versions(session, agent.id))[0]
    assert (newest.number, newest.restored_from, newest.settings) == (3, 1, agent.settings)
    assert await service.restore_version(session, agent.id, 1) == back
    with pytest.raises(NotFound):
        await service.restore_version(session, agent.id, 9)
    async with database.session(other_scope) as others:
        with pytest.raises(NotFound):
            await service.get_version(others, agent.id, 1)


async def test_a_version_is_never_changed(agent, session):
    with pytest.raises(asyncpg.RaiseError):
        await session.execute("update app.agent_version set note = 'Other' where agent_id = $1", agent.id)


async def test_what_the_release_before_writes_is_a_version_too(agent, session):
    await session.execute("update app.agent set instructions = 'Be brief.' where id = $1", agent.id)
    now = await agents.get_agent(session, agent.id)
    assert now.published == 2
    newest = (await versions(session, agent.id))[0]
    assert (newest.number, newest.settings, newest.actor_kind) == (2, now.settings, None)
    assert newest.settings.instructions == "Be brief."
    await session.execute(
        "update app.agent set is_active = true, version = version + 1 where id = $1", agent.id
    )
    assert (await agents.get_agent(session, agent.id)).published == 2


async def test_a_document_of_before_a_setting_existed_is_no_new_version_by_being_switched(agent, session):
    await session.execute("update app.agent set settings = settings - 'goal' where id = $1", agent.id)
    switched = await agents.update_agent(session, agent.id, {"is_active": True})
    drafted = await agents.save_draft(session, agent.id, {"goal": "A visit"})
    assert (switched.published, drafted.published) == (2, 2) and drafted.settings == agent.settings
    assert [one.number for one in await versions(session, agent.id)] == [2, 1]
    published = await agents.publish_draft(session, agent.id)
    assert (published.settings.goal, published.published) == ("A visit", 3)


async def test_only_the_newest_versions_are_kept(agent, session):
    await session.execute("update app.agent set published = $2 where id = $1", agent.id, VERSIONS_KEPT)
    changed = await agents.update_agent(session, agent.id, {"goal": "A visit"})
    assert [one.number for one in await versions(session, agent.id)] == [VERSIONS_KEPT + 1]
    assert changed.published == VERSIONS_KEPT + 1


async def test_two_versions_of_which_one_is_on_another_page_of_the_list_are_compared_by_number(
    database, scope, alice
):
    """AGT-6"""
    async with database.session(scope) as session:
        agent = await agents.create_agent(session, "Sales", locale="en")
        for number in range(60):
            await agents.update_agent(session, agent.id, {"goal": f"Visit {number}"})
    page = await alice.open(f"/ai-agents/{agent.id}/versions?before=1&after=2")
    assert "From version 1 to version 2" in texts(page) and "Visit 0</ins>" in page.text
    assert re.search(r'<option value="1" selected', page.text)
    assert re.search(r'<option value="2" selected', page.text)


async def test_who_publishes_from_a_page_older_than_what_is_kept_is_told_and_keeps_the_note(
    database, scope, alice
):
    async with database.session(scope) as session:
        agent = await agents.create_agent(session, "Sales", locale="en")
        await agents.save_draft(session, agent.id, {"welcome_text": "Hello!"})
        await session.execute("update app.agent set published = $2 where id = $1", agent.id, VERSIONS_KEPT)
        await agents.update_agent(session, agent.id, {"goal": "A visit"})
        with pytest.raises(NotFound):
            await service.get_version(session, agent.id, 1)
    late = await alice.send(f"/ai-agents/{agent.id}/draft/publish", {"published": "1", "note": "Mine"})
    assert late.status_code == 409 and 'value="Mine"' in late.text
    assert "Version 1001 is what customers get." in texts(late).replace(",", "")


async def test_a_condition_holds_back_what_would_be_published_but_neither_drafts_nor_the_way_back(
    agent, session
):
    asked = []

    async def refuse(_session, who: Agent, wanted: Settings):
        asked.append((who.published, wanted.goal))
        raise Conflict("publish_refused", "Not yet.")

    for publishing in (
        agents.update_agent(session, agent.id, {"goal": "A visit"}, condition=refuse),
        agents.publish(session, agent.id, {"goal": "A visit"}, condition=refuse),
    ):
        with pytest.raises(Conflict, match="Not yet"):
            await publishing
    assert asked == [(1, "A visit")] * 2
    await agents.update_agent(session, agent.id, {"is_active": True, "name": "Desk"}, condition=refuse)
    await agents.save_draft(session, agent.id, {"goal": "A visit"})
    with pytest.raises(Conflict, match="Not yet"):
        await agents.publish_draft(session, agent.id, condition=refuse)
    await agents.publish_draft(session, agent.id)
    with pytest.raises(Conflict) as told:
        await service.restore_version(session, agent.id, 1, condition=refuse)
    assert told.value.code == "version_not_passed"
    back = await service.restore_version(session, agent.id, 1, condition=refuse, anyway=True)
    assert back.settings.goal == "" and asked[-1] == (2, "")
    seen = len(asked)
    await service.restore_version(session, agent.id, 1, condition=refuse)  # is what is published
    assert len(asked) == seen


async def test_a_version_that_has_not_passed_comes_back_once_a_person_has_confirmed_it(
    database, scope, alice
):
    """AGT-28: the way back is open, but nobody takes it without knowing what it skips."""
    async with database.session(scope) as session:
        agent = await agents.create_agent(session, "Sales", locale="en")
        await agents.update_agent(session, agent.id, {"goal": "A visit"})
        await scenarios.set_condition(session, agent.id, Condition(is_on=True))
    page = f"/ai-agents/{agent.id}/versions"
    for tried in ({}, {"anyway": "2"}, {"anyway": "yes"}):
        refused = await alice.send(f"{page}/1/restore", {"published": "2", **tried})
        assert refused.status_code == 409
    assert "Version 1 has not passed the agent's scenarios" in html.unescape(texts(refused))
    assert "Publish version 1 all the same?" in texts(refused)
    why = re.search(r'<div class="banner banner--warning"[^>]* autofocus.*?</div>', refused.text, re.DOTALL)
    assert why and "Version 1 has not passed" in html.unescape(why[0]), "beside the button, and in sight"
    fields = dict(re.findall(r'name="(published|anyway)" value="([^"]+)"', refused.text))
    done = await alice.follow(await alice.send(f"{page}/1/restore", fields))
    assert "The earlier version is back" in texts(done)
    async with database.session(scope) as session:
        assert (await agents.get_agent(session, agent.id)).settings.goal == ""
        recorded = await session.fetch(
            "select changes from app.audit_event where action = 'agent.updated' order by seq"
        )
    assert "scenarios_passed" in str(recorded[-1]["changes"])


async def test_a_copy_has_the_draft_and_begins_its_own_versions(agent, session):
    """AGT-9"""
    await agents.update_agent(session, agent.id, {"goal": "A visit"})
    source = await agents.save_draft(session, agent.id, {"goal": "A call"})
    copy = await agents.copy_agent(session, agent.id, locale="en")
    assert (copy.settings, copy.draft, copy.published) == (source.settings, source.draft, 1)


def test_differences_are_told_by_setting_with_names_and_lines():
    old = Settings(instructions="Be kind.\nOne.\nTwo.\nThree.\nFour.\nPrices are in the base.")
    new = replace(
        old,
        instructions=old.instructions.replace("Be kind.", "Be brief."),
        creativity="precise",
        markdown=True,
        readable=replace(old.readable, lead=("name", "cf_7")),
        language=replace(old.language, fixed="en"),
        hours=replace(old.hours, week=old.hours.week[:1]),
    )
    told = {one.setting: one for one in tell(differences(old, new), {"cf_7": "Size"}, str)}
    assert list(told) == [
        "instructions",
        "readable.lead",
        "language.fixed",
        "creativity",
        "markdown",
        "hours.week",
    ]
    marks = [(line.mark, line.text) for line in told["instructions"].lines]
    assert marks == [
        ("gone", "Be kind."),
        ("new", "Be brief."),
        ("kept", "One."),
        ("kept", "Two."),
        ("left_out", ""),
    ]
    assert [line.text for line in told["readable.lead"].lines if line.mark == "new"] == ["Size"]
    assert [line.text for line in told["language.fixed"].lines] == ["Русский", "English"]
    assert told["markdown"].title == "Markdown" and told["markdown"].lines[1].text == "yes"
    assert told["hours.week"].lines[0].text == "Monday 09:00–18:00"
    assert all(translate("ru", title) != title for title in TITLES.values() if title != "Markdown")


async def test_figures_and_days_are_told_as_the_reader_writes_them(session):
    """U204"""
    old = Settings()
    new = replace(
        old,
        hours=replace(old.hours, holidays=(date(2027, 1, 7),)),
        budget=replace(old.budget, month_tokens=1_000_000),
    )
    lines = [line.text for one in await tell_differences(session, "ru", old, new) for line in one.lines]
    assert lines == ["07.01.2027", "1\u00a0000\u00a0000"]


def test_every_setting_has_a_title_and_what_may_be_written_its_field():
    assert TITLES.keys() == SETTINGS.keys()
    rule = {"field": "cf_7", "condition": "When a size is named", "overwrite": True}
    assert lines_of("update_rules.lead", [rule, {**rule, "overwrite": False}], {"cf_7": "Size"}, str) == [
        "Size: When a size is named (overwrites what is there)",
        "Size: When a size is named",
    ]
    assert lines_of("actions.create_task", "alone", {}, str) == ["Do it alone"]


def test_rules_of_pipelines_are_told_by_the_names_of_the_crm():
    rule = {"connection_id": "c", "pipeline_id": 1, "is_active": True, "all_stages": False, "stages": [5, 6]}
    rule["instructions"] = [{"stage_id": 5, "text": "Ask for the size."}]
    rule["follow_ups"] = [{"stage_id": 5, "after_hours": 24, "text": "Still there?"}]
    rule["goals"] = [{"stage_id": 5, "text": "A budget", "next_stage_id": 6}]
    names = {"c/1": "Sales", "c/1/5": "New"}
    assert lines_of("pipelines.chosen", [rule, {**rule, "is_active": False}], names, str) == [
        "Sales: New, 6",
        "Sales, told at “New”: Ask for the size.",
        "Sales, to be reached at “New”: A budget",
        "Sales, then the deal goes to “6”",
        "Sales, follow-up at “New” after 24 h: Still there?",
        "Sales: off",
        "Sales, told at “New”: Ask for the size.",
        "Sales, to be reached at “New”: A budget",
        "Sales, then the deal goes to “6”",
        "Sales, follow-up at “New” after 24 h: Still there?",
    ]


async def test_turns_use_what_is_published_and_keep_its_number(world):
    """AGT-6, AGT-17: a draft changes no reply, publishing it changes the next one"""
    scene = await Scene.open(world)

    async def ask():
        await scene.says("Do you repair clocks?")
        await scene.calm()
        row = await scene._row("""select agent_version, (trace ->> 'agent_version')::int as explained
                                      from app.turn t join app.turn_trace e on e.turn_id = t.id
                                     where t.conversation_id = $1
                                     order by t.created_at desc limit 1""")
        assert row["explained"] == row["agent_version"]
        return (await scene.sent())[-1], row["agent_version"]

    await scene.set_agent(not_found_text=FIRST)
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
        await agents.save_draft(session, agent.id, {"not_found_text": SECOND})
    assert await ask() == (FIRST, agent.published)
    async with world.db.session(world.scope) as session:
        await agents.publish_draft(session, agent.id)
    assert await ask() == (SECOND, agent.published + 1)
    async with world.db.session(world.scope) as session:
        await service.restore_version(session, agent.id, agent.published)
    assert await ask() == (FIRST, agent.published + 2)


async def test_the_pages_save_a_draft_show_it_compare_publish_and_go_back(home, database, scope):
    """AGT-6"""
    async with database.session(scope) as session:
        agent = await agents.create_agent(session, "Sales", locale="en")
        delivery = await categories.create_category(session, NewCategory("Delivery"), now=utcnow())
    async with serving_here(home, llm_model="gpt-test") as url, reader_of(url, database, scope) as owner:
        place = f"/ai-agents/{agent.id}"
        typed = {"name": "Sales", "instructions": "Be kind to all.", "not_found_text": "One moment."}
        typed["handoff_text"] = "A colleague answers."
        typed |= {"handoff_text": "A colleague comes."}
        typed |= {"channels.all": "on", "pipelines.all": "on", "knowledge.categories": str(delivery.id)}
        page = await owner.follow(await owner.send(f"{place}/edit", {**typed, "action": "draft"}))
        assert "There are unpublished changes." in texts(page) and "Be kind to all.</textarea>" in page.text
        async with database.session(scope) as session:
            assert (await agents.get_agent(session, agent.id)).settings == agent.settings
        advanced = await owner.open(f"{place}/advanced-settings")
        assert "There are unpublished changes." in texts(advanced)
        assert "unpublished changes" in texts(await owner.open("/ai-agents?status=draft"))
        page = await owner.open(f"{place}/versions")
        shown = texts(page)
        assert (
            re.search(r"<del[^>]*>You are a helpful employee", page.text)
            and "Be kind to all.</ins>" in page.text
        )
        assert "Chosen categories" in shown and "Delivery</ins>" in page.text
        seen = re.search(r'name="seen" value="([^"]+)"', page.text)[1]
        assert page.text.count(seen) == 2  # to publish and to discard
        too_long = await owner.send(f"{place}/draft/publish", {"seen": seen, "note": "Kinder " * 100})
        assert too_long.status_code == 422 and "At most 500 characters." in texts(too_long)
        assert f'value="{"Kinder " * 100}"' in too_long.text
        async with database.session(scope) as session:
            await agents.save_draft(session, agent.id, {"goal": "What nobody has looked at yet"})
        for button in ("publish", "discard"):
            late = await owner.send(f"{place}/draft/{button}", {"seen": seen, "note": "Kinder"})
            assert late.status_code == 409 and "Somebody has changed the draft meanwhile." in texts(late)
            assert 'value="Kinder"' in late.text and "What nobody has looked at yet</ins>" in late.text
        seen = re.search(r'name="seen" value="([^"]+)"', late.text)[1]
        note = {"note": "Kinder <b>now</b>", "seen": seen, "published": "1"}
        page = await owner.follow(await owner.send(f"{place}/draft/publish", note))
        assert "Kinder &lt;b&gt;now&lt;/b&gt;" in page.text and "Unpublished changes" not in texts(page)
        again = await owner.send(f"{place}/draft/publish")
        assert again.status_code == 409 and "There are no unpublished changes." in texts(again)
        page = await owner.open(f"{place}/versions?before=1&after=2")
        assert "From version 1 to version 2" in texts(page) and "Be kind to all.</ins>" in page.text
        for wrong in ("before=9", "before=x", "after=0"):
            assert (await owner.open(f"{place}/versions?{wrong}")).status_code == 404
        page = await owner.follow(await owner.send(f"{place}/versions/1/restore"))
        assert "The earlier version is back" in texts(page) and "Version 1 anew" in texts(page)
        await owner.send(f"{place}/edit", {**typed, "action": "draft"})
        page = await owner.follow(await owner.send(f"{place}/draft/discard"))
        assert "The draft is discarded" in texts(page)
        async with database.session(scope) as session:
            now = await agents.get_agent(session, agent.id)
        assert (now.settings, now.draft, now.published) == (agent.settings, None, 3)
        await two_publish_at_once(owner, database, scope, agent)


async def two_publish_at_once(owner, database, scope, agent):
    """The second one is told who was first by what has changed, and keeps the note."""
    place = f"/ai-agents/{agent.id}"
    async with database.session(scope) as session:
        await agents.save_draft(session, agent.id, {"goal": "A visit"})
    page = await owner.open(f"{place}/versions")
    hidden = 'name="{}" value="([^"]+)"'
    fields = {name: re.search(hidden.format(name), page.text)[1] for name in ("seen", "published")}
    assert fields["published"] == "3"
    first, second = [
        await owner.send(f"{place}/draft/publish", {**fields, "note": note}) for note in ("Mine", "Yours")
    ]
    assert (first.status_code, second.status_code) == (303, 409)
    assert "Somebody has published version 4 meanwhile. What it changed is shown here." in texts(second)
    assert "From version 3 to version 4" in texts(second) and "A visit</ins>" in second.text
    late = await owner.send(f"{place}/versions/1/restore", {"published": fields["published"]})
    assert late.status_code == 409 and "A visit</ins>" in late.text
    shown = re.search('name="published" value="([^"]+)"', late.text)[1]
    assert (await owner.send(f"{place}/versions/1/restore", {"published": shown})).status_code == 303
