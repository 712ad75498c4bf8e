"""The editor saves itself as a draft a moment after the last change: what its script sends, and hears."""

import html
import re

import pytest

from gptagent.features.agents import service as agents
from gptagent.features.audit import service as audit
from integration.conftest import serving_here
from integration.test_pages_agent_editor import the_agent
from members import add_member
from readers import reader_of, shown_in, texts
from scenes import Scene

SCRIPT = {"HX-Request": "true"}


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


@pytest.fixture
async def place(scene):
    return f"/ai-agents/{(await the_agent(scene)).id}/edit"


@pytest.fixture
async def owner(web, scene):
    async with reader_of(web, scene.world.db, scene.world.scope) as reader:
        yield reader


async def form_of(reader, place):
    return shown_in(await reader.open(place), f"{reader.base}{place}")


async def keep(reader, place, form):
    return await reader.send(f"{place}?by=itself", form, headers=SCRIPT)


def followed(form, answer):
    """Return the form with the signs that the answer brings."""
    signs = re.findall(r'name="(version|seen)" value="([^"]*)"', answer.text)
    return {**form, **dict(signs)}


async def drafted(scene):
    async with scene.world.db.session(scene.world.scope) as session:
        found = await audit.list_entries(session)
    return [one for one in found if one.action == "agent.drafted"]


async def test_it_is_saved_as_a_draft_and_neither_the_name_nor_what_customers_get_changes(
    owner, scene, place
):
    """spec 2.4: the page says when, that there is a draft, and its form goes on from there"""
    before = await the_agent(scene)
    form = await form_of(owner, place)
    typed = {**form, "handoff_text": "Somebody comes.", "name": "Half a na"}
    answer = await keep(owner, place, typed)
    assert answer.status_code == 200 and "<html" not in answer.text
    assert re.search(r"Draft saved at \d?\d:\d\d[\s\u202f]?[AP]M\.", texts(answer))
    assert "The name is saved by a button only." in texts(answer)
    assert 'id="draft" hx-swap-oob' in answer.text and "There are unpublished changes." in texts(answer)
    agent = await the_agent(scene)
    assert (agent.name, agent.settings, agent.published) == (before.name, before.settings, before.published)
    assert agent.draft.handoff_text == "Somebody comes."
    shown = await owner.open(place)
    assert "Somebody comes.</textarea>" in shown.text and "There are unpublished changes." in texts(shown)

    typed = followed({**typed, "name": before.name}, answer)
    again = await keep(owner, place, {**typed, "handoff_text": before.settings.handoff_text})
    assert "All as it is published." in texts(again) and "unpublished" not in texts(again)
    assert (await the_agent(scene)).draft is None
    last = followed(typed, again)
    await owner.follow(await owner.send(place, {**last, "handoff_text": "At once."}))
    published = await the_agent(scene)
    assert (published.settings.handoff_text, published.draft) == ("At once.", None)


async def test_what_is_not_right_yet_is_not_saved_and_says_so(owner, scene, place):
    form = await form_of(owner, place)
    refused = await keep(owner, place, {**form, "handoff_text": ""})
    assert refused.status_code == 422
    said = html.unescape(texts(refused)).strip()
    asked = "What the customer is told when a colleague takes over"
    assert said == f"Not saved yet. {asked}: From 1 to 500 characters."
    assert (await the_agent(scene)).draft is None and "aria-invalid" not in refused.text
    owner.http.cookies.set("language", "ru")
    russian = texts(await keep(owner, place, {**form, "handoff_text": ""}))
    assert "Ещё не сохранено." in russian and "От 1 до 500 символов." in russian


async def test_a_colleague_in_the_way_is_told_and_nothing_of_theirs_is_overwritten(owner, scene, place):
    form = await form_of(owner, place)
    agent = await the_agent(scene)
    async with scene.world.db.session(scene.world.scope) as session:
        await agents.save_draft(session, agent.id, {"handoff_text": "Theirs."})
    refused = await keep(owner, place, {**form, "handoff_text": "Mine."})
    assert refused.status_code == 409
    assert "Somebody else changed it while you were typing." in texts(refused)
    assert "Nothing is saved by itself any more" in texts(refused)
    assert (await the_agent(scene)).draft.handoff_text == "Theirs."
    for button in ({"action": "draft"}, {}):
        both = await owner.send(place, {**form, "handoff_text": "Mine.", **button})
        assert both.status_code == 409 and "data-autosave" not in both.text
        assert re.search(r"Theirs\.</del>.*?Mine\.</ins>", both.text, re.DOTALL)
    # What else waits in that draft is shown before it is published, now that this tab is known.
    rest = await owner.send(place, {**followed(form, both), "handoff_text": "Mine."})
    assert rest.status_code == 409 and "Somebody has changed the draft meanwhile." in texts(rest)
    await owner.follow(await owner.send(place, {**followed(form, rest), "handoff_text": "Mine."}))
    assert (await the_agent(scene)).settings.handoff_text == "Mine."


async def test_what_a_colleague_does_on_another_tab_is_told_before_it_is_published_with_this(
    owner, scene, place
):
    """What saves itself has shown nobody the draft of meanwhile."""
    form = await form_of(owner, place)
    agent = await the_agent(scene)
    async with scene.world.db.session(scene.world.scope) as session:
        await agents.save_draft(session, agent.id, {"split_replies": True})
    kept = await keep(owner, place, {**form, "handoff_text": "Mine."})
    assert kept.status_code == 200
    draft = (await the_agent(scene)).draft
    assert (draft.handoff_text, draft.split_replies) == ("Mine.", True)
    told = await owner.send(place, {**followed(form, kept), "handoff_text": "Mine."})
    assert told.status_code == 409 and "Somebody has changed the draft meanwhile." in texts(told)
    assert not (await the_agent(scene)).settings.split_replies


async def test_a_draft_goes_on_record_once_for_each_who_has_a_hand_in_it(owner, web, scene, place):
    form = await form_of(owner, place)
    for letters in ("S", "So", "Somebody comes."):
        kept = await keep(owner, place, {**form, "handoff_text": letters})
        assert kept.status_code == 200
        form = followed(form, kept)
    (begun,) = await drafted(scene)
    assert begun.actor_id == scene.world.scope.actor.id
    bob = await add_member(scene.world.db, scene.world.scope, "admin")
    async with reader_of(web, scene.world.db, bob) as colleague:
        for letters in ("Somebody comes a", "Somebody comes at once."):
            typed = {**await form_of(colleague, place), "handoff_text": letters}
            assert (await keep(colleague, place, typed)).status_code == 200
    assert [one.actor_id for one in await drafted(scene)] == [bob.actor.id, scene.world.scope.actor.id]


async def test_who_may_only_look_saves_nothing_and_has_nothing_that_would(owner, web, scene, place):
    form = await form_of(owner, place)
    assert "data-autosave" in (await owner.open(place)).text
    viewer = await add_member(scene.world.db, scene.world.scope, "viewer")
    async with reader_of(web, scene.world.db, viewer) as dora:
        assert "data-autosave" not in (await dora.open(place)).text
        token = await dora.token()
        refused = await keep(dora, place, {**form, "handoff_text": "Mine.", "csrf_token": token})
    assert refused.status_code == 403
    assert (await the_agent(scene)).draft is None


async def test_a_list_that_was_rearranged_saves_itself_without_another_change(owner, place):
    form = await form_of(owner, place)
    page = await owner.send(place, {**form, "rearrange": "look"})
    trigger = re.search(r'data-autosave="[^"]*".*?hx-trigger="([^"]*)"', page.text)[1]
    assert trigger == "input from:#editor delay:3s, load delay:3s"
    trigger = re.search(r'data-autosave="[^"]*".*?hx-trigger="([^"]*)"', (await owner.open(place)).text)[1]
    assert trigger == "input from:#editor delay:3s"


async def test_every_tab_saves_itself_and_what_is_half_typed_in_a_rule_waits(home, scene, place):
    """AGT-24, U128"""
    fields, advanced = (place.replace("/edit", f"/{tab}") for tab in ("leads-contacts", "advanced-settings"))
    async with (
        serving_here(home, llm_model="gpt-test") as url,
        reader_of(url, scene.world.db, scene.world.scope) as owner,
    ):
        form = await form_of(owner, fields)
        rule = {"update_rules.lead.shown": "0", "update_rules.lead.0.field": "price"}
        half = await keep(owner, fields, {**form, **rule})
        assert half.status_code == 422 and "What the agent writes into the deal: " in texts(half)
        assert (await the_agent(scene)).draft is None
        whole = await keep(
            owner, fields, {**form, **rule, "update_rules.lead.0.condition": "They say a sum."}
        )
        assert whole.status_code == 200
        (kept,) = (await the_agent(scene)).draft.update_rules.lead
        assert (kept.field, kept.condition) == ("price", "They say a sum.")
        form = await form_of(owner, advanced)
        wrong = await keep(owner, advanced, {**form, "response_delay_seconds": "-1"})
        assert "Answer delay, seconds: The delay cannot be negative." in texts(wrong)
        assert (await keep(owner, advanced, {**form, "response_delay_seconds": "40"})).status_code == 200
    draft = (await the_agent(scene)).draft
    assert (draft.response_delay_seconds, len(draft.update_rules.lead)) == (40, 1)
