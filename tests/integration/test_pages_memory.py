"""The card of a customer's memory beside the conversation: real HTTP, both languages, no script."""

import html
import re

import pytest

from gptagent.features.conversations.memory.jobs import MemoryJobs
from gptagent.kernel.jobs import JobContext
from integration.conftest import serving_here
from members import add_member
from readers import reader_of, texts
from scenes import Scene


@pytest.fixture
async def scene(world):
    """A customer of two chats, read by patterns."""
    scene = await Scene.open(world)
    for text in ("My name is Anna <b>.", "I'll pay on Friday."):
        await scene.says(text)
        await scene.calm()
    await MemoryJobs(None).read(
        JobContext(world.db, None, world.scope, 1, 1), conversation_id=str(scene.conversation_id)
    )
    return scene


@pytest.fixture
async def site(home, roles, kommo):
    async with serving_here(home, registration="open", kommo_sandbox_url=kommo) as url:
        yield url


@pytest.fixture
async def owner(site, world):
    async with reader_of(site, world.db, world.scope) as reader:
        yield reader


def card(page):
    return page.text[page.text.index('id="memory"') : page.text.index('id="changes"')]


def said(page):
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", card(page))))


def one_of(page):
    """Return the id of the newest entry."""
    return re.search(r'name="open" value="([0-9a-f-]{36})"', card(page))[1]


async def test_the_card_shows_where_each_thing_is_from_and_how_long_it_lasts(owner, scene):
    """MSG-16"""
    at = f"/conversations/{scene.conversation_id}"
    page = await owner.open(at)
    shown = said(page)
    async with scene.world.db.session(scene.world.scope) as session:
        over = await session.fetchval("select max(expires_on) from app.memory")
    assert "I'll pay on Friday" in shown and "Promise" in shown and "70% certain" in shown
    assert "noted by patterns" in shown and "until the chat is deleted" in shown
    assert f"until {over:%m/%d/%Y}" in shown
    (first, second) = re.findall(r'href="([^"]*#message-\d+)"', card(page))
    assert first.endswith(f"{scene.conversation_id}#message-3") and second.endswith("#message-1")
    assert 'id="message-3"' in page.text
    part = await owner.open(f"{at}?part=memory")
    assert "I'll pay on Friday" in html.unescape(part.text) and "<html" not in part.text
    owner.http.cookies.set("language", "ru")
    shown = said(await owner.open(at))
    assert "Память о клиенте" in shown and "Обещание" in shown and "пока есть чат" in shown
    assert "уверенность 70" in shown and "записано по образцам" in shown


async def test_it_is_added_changed_and_forgotten_by_forms_without_a_script(owner, scene):
    """MSG-16"""
    at = f"/conversations/{scene.conversation_id}"
    form = await owner.open(f"{at}?memory=new")
    assert 'name="memory.expires_on"' in card(form) and "data-live-topic" not in card(form)
    new = {"kind": "preference", "text": "Likes <i>tea</i>", "expires_on": ""}
    page = await owner.follow(await owner.send(f"{at}/memories", new))
    assert "Likes &lt;i&gt;tea&lt;/i&gt;" in card(page) and "written by a colleague" in said(page)
    one = one_of(page)
    wrong = await owner.send(f"{at}/memories/{one}", {**new, "text": " ", "expires_on": "2020-01-01"})
    assert wrong.status_code == 422
    assert "From 1 to 300 characters." in said(wrong) and "This day is over already." in said(wrong)
    assert 'value="2020-01-01"' in card(wrong)
    odd = await owner.send(f"{at}/memories", {"kind": "fact", "text": "x", "expires_on": "soon"})
    assert odd.status_code == 422 and "Write a day as YYYY-MM-DD." in said(odd)
    assert (await owner.send(f"{at}/memories", {"kind": "policy", "text": "x"})).status_code == 422
    edited = await owner.follow(await owner.send(f"{at}/memories", {"open": one}))
    assert "Likes &lt;i&gt;tea&lt;/i&gt;</textarea>" in card(edited)
    folded = await owner.follow(await owner.send(f"{at}/memories", {"open": "", "memory.form": one}))
    assert "data-live-topic" in card(folded) and "memory-text" not in card(folded)
    saved = {"kind": "fact", "text": "Likes coffee", "expires_on": "2099-01-31"}
    page = await owner.follow(await owner.send(f"{at}/memories/{one}", saved))
    assert "Likes coffee" in said(page) and "until 01/31/2099" in said(page)
    page = await owner.follow(await owner.send(f"{at}/memories/{one}/erase"))
    assert "Likes coffee" not in said(page) and "My name is Anna" in said(page)
    page = await owner.follow(await owner.send(f"{at}/memories/erase"))
    assert "Nothing is remembered yet." in said(page) and 'id="message-1"' in page.text


async def test_who_may_only_look_changes_nothing(site, scene, world):
    at = f"/conversations/{scene.conversation_id}"
    async with reader_of(site, world.db, await add_member(world.db, world.scope, "viewer")) as dora:
        page = await dora.open(f"{at}?memory=new")
        assert "My name is Anna" in said(page)
        assert "<form" not in card(page) and "memories" not in card(page) and "forget-all" not in page.text
        assert (await dora.send(f"{at}/memories/erase")).status_code == 403


async def test_the_agents_page_switches_it_off_and_the_card_says_so(owner, scene):
    """MSG-16"""
    async with scene.world.db.session(scene.world.scope) as session:
        agent_id = await session.fetchval("select id from app.agent")
    edit = f"/ai-agents/{agent_id}/advanced-settings"
    assert re.search(r'name="remembers_customers"[^>]* checked', (await owner.open(edit)).text)
    kept = {"response_delay_seconds": "0", "hours.timezone": "UTC"}
    await owner.follow(await owner.send(edit, kept))
    shown = said(await owner.open(f"/conversations/{scene.conversation_id}"))
    assert "Memory is off in the agent's settings" in shown and "My name is Anna" in shown
    await owner.follow(await owner.send(edit, {**kept, "remembers_customers": "on"}))
    assert "Memory is off" not in texts(await owner.open(f"/conversations/{scene.conversation_id}"))


async def test_the_period_is_set_with_the_others(owner):
    saved = await owner.send("/settings/privacy", {"memories": "0"})
    assert saved.status_code == 422
    page = await owner.follow(await owner.send("/settings/privacy", {"memories": "30"}))
    assert re.search(r'name="memories"[^>]*value="30"|value="30"[^>]*name="memories"', page.text)
