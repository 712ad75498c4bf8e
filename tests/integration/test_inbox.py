"""The shared inbox: what is shown to whom, whose a conversation is, what is unread."""

import json
import re
from html import unescape
from pathlib import Path

import httpx2
import pytest
from playwright.async_api import async_playwright, expect

from browsers import CHROMIUM
from gptagent.features.conversations import assigning
from gptagent.features.conversations.service import ORDERS
from gptagent.features.dialog.generating import Generation
from gptagent.features.dialog.inbox import service as inbox
from gptagent.features.dialog.inbox import store
from gptagent.features.dialog.inbox.model import Wanted
from gptagent.features.dialog.suggesting import service as suggesting
from gptagent.features.dialog.suggesting.jobs import SuggestionJobs
from gptagent.features.identity.tokens import AccessClaims, AccessTokens
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.errors import Invalid
from gptagent.kernel.ids import new_id
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.paging import Page
from gptagent.kernel.settings import Settings
from integration.conftest import serving_here
from members import add_member, bearer, cookie_of, number_of
from readers import reader_of, texts
from scenes import Scene

NEWEST = Page(ORDERS["-last_message_at"], 25)


@pytest.fixture
async def scenes(world):
    """Two chats: the first one drafts and is held back, the second one is answered."""
    first, second = await Scene.open(world), await Scene.open(world)
    await first.set_agent(check_before_sending=True)
    await first.says("Where is my 100% cotton shirt?")
    await first.calm()
    await first.set_agent(check_before_sending=False)
    await second.says("Hello")
    await second.calm()
    return first, second


@pytest.fixture
async def site(home, roles, kommo):
    async with serving_here(home, registration="open", kommo_sandbox_url=kommo) as url:
        yield url


async def shown(world, **wanted):
    async with world.db.session(world.scope) as session:
        lines, _after = await inbox.page_lines(session, Wanted(**wanted), NEWEST)
    return [line.conversation.id for line in lines]


async def test_each_filter_shows_its_conversations(world, scenes):
    """U187"""
    first, second = (scene.conversation_id for scene in scenes)
    assert await shown(world) == [second, first]
    assert await shown(world, view="drafts") == [first]
    assert await shown(world, view="held") == []
    assert await shown(world, search="100% COTTON") == [first]
    assert await shown(world, search="100_ cotton") == []
    assert await shown(world, search="ann") == [second, first]
    assert await shown(world, channel="waba") == [second, first] and await shown(world, channel="x") == []
    assert await shown(world, agent_id=new_id()) == []
    await scenes[1].says("I will help", author="human")
    assert await shown(world, view="held") == await shown(world, taken_over=True) == [second]


async def test_a_conversation_is_assigned_to_somebody_who_may_answer_and_counts_as_theirs(world, scenes):
    first, second = (scene.conversation_id for scene in scenes)
    viewer, owner = await add_member(world.db, world.scope, "viewer"), world.scope.actor.id
    async with world.db.session(world.scope) as session:
        for nobody in (viewer.actor.id, new_id()):
            with pytest.raises(Invalid):
                await assigning.assign(session, first, nobody)
        await assigning.assign(session, first, owner)
    assert await shown(world, view="mine", person_id=owner) == [first]
    assert await shown(world, view="mine", person_id=viewer.actor.id) == []
    assert await shown(world, view="unassigned") == [second]
    async with world.db.session(world.scope) as session:
        await assigning.assign(session, first, None)
        changes = await session.fetch(
            "select changes from app.audit_event where action = 'conversation.assigned' order by seq"
        )
    assert len(changes) == 2 and str(owner) in str(changes[0])
    assert await shown(world, view="mine", person_id=owner) == []


async def test_no_message_is_read_for_conversations_in_which_nothing_is_new(world, scenes):
    owner, (first, second) = world.scope.actor.id, scenes
    assert await shown(world, view="unread", person_id=owner) == [
        second.conversation_id,
        first.conversation_id,
    ]
    plan = f"explain (analyze, format json) select c.id from app.conversation c where {store._UNREAD}"  # noqa: S608 - a constant of the store
    assert await looked_up(world, plan, owner) > 0
    async with world.db.session(world.scope) as session:
        for scene in scenes:
            await assigning.mark_read(session, scene.conversation_id, owner)
    assert await looked_up(world, plan, owner) == 0
    assert await shown(world, view="unread", person_id=owner) == []
    late = await add_member(world.db, world.scope, "viewer")
    assert await shown(world, view="unread", person_id=late.actor.id) == []
    async with world.db.session(world.scope) as session:
        await session.execute("update app.conversation set last_message_at = now() - interval '2 days'")
    assert await looked_up(world, plan, late.actor.id) == 0
    await first.says("And now?")
    for person_id in (owner, late.actor.id):
        assert await shown(world, view="unread", person_id=person_id) == [first.conversation_id]


async def looked_up(world, plan, person_id):
    """How often the plan went to the messages."""
    async with world.db.session(world.scope) as session:
        nodes = [json.loads(await session.fetchval(plan, person_id))[0]["Plan"]]
    loops = 0
    for node in nodes:
        nodes += node.get("Plans", [])
        loops += node["Actual Loops"] * (node.get("Relation Name") == "message")
    return loops


async def test_a_chat_without_a_channel_gets_that_of_its_next_message(world, scenes):
    first, second = (scene.conversation_id for scene in scenes)
    place = "update app.conversation set channel = $2 where id = $1"
    async with world.db.session(world.scope) as session:
        await session.execute(place, first, "")
        await session.execute(place, second, "telegram")
    for scene in scenes:
        await scene.says("And now?")
    assert await shown(world, channel="waba") == [first]
    assert await shown(world, channel="telegram") == [second]


async def assigned_to_somebody_who_left(world, scene, owner):
    """Who is responsible stays chosen in the form also when they may answer no more."""
    gone = (await add_member(world.db, world.scope, "admin")).actor.id
    async with world.db.session(world.scope) as session:
        await assigning.assign(session, scene.conversation_id, gone)
        await organizations.suspend_member(session, gone)
    at = f"/conversations/{scene.conversation_id}"
    assert re.search(rf'<option value="{gone}" selected[^>]*>Bob Member<', (await owner.open(at)).text)
    await owner.send(f"{at}/assignment", {"assignee_id": str(gone)})
    assert str(scene.conversation_id) in await ids_of(world, gone)


async def ids_of(world, person_id):
    return [str(one) for one in await shown(world, view="mine", person_id=person_id)]


async def test_whoever_is_impersonated_has_read_nothing_over_the_api_either(world, scenes, site, home):
    """TEN-10"""
    member, other = [await add_member(world.db, world.scope, "viewer") for _ in range(2)]
    await cookie_of(world.db, member)
    async with world.db.session(member) as session:
        entered = await session.fetchval(
            """update app.web_session set impersonator_id = $1, impersonation_reason = 'asked'
                where person_id = $2 returning id""",
            other.actor.id,
            member.actor.id,
        )
    vault = load_vault(Settings(gptagent_home=home))
    claims = AccessClaims(member.actor.id, member.org_id, entered, other.actor.id)
    eyes = {"authorization": f"Bearer {AccessTokens(vault).issue(claims, now=utcnow())}"}
    own = await bearer(world.db, vault, member)
    path = f"/api/v1/conversations/{scenes[0].conversation_id}/read"
    async with httpx2.AsyncClient(base_url=site, timeout=30) as http:
        for headers, marks in ((eyes, 0), (own, 1)):
            assert (await http.put(path, headers=headers)).status_code == 204
            async with world.db.session(world.scope) as session:
                assert await session.fetchval("select count(*) from app.conversation_read") == marks


async def test_people_decide_about_drafts_and_see_what_is_unread_without_a_script(world, scenes, site):
    """AGT-19: the screen; each member has read marks of their own."""
    first, second = scenes
    at = f"/conversations/{first.conversation_id}"
    async with reader_of(site, world.db, world.scope) as owner:
        inbox_page = await owner.open("/conversations")
        assert inbox_page.text.count("is-unread") == 2 and "1 draft to approve" in texts(inbox_page)
        page = await owner.open(at)
        assert "Draft, the customer does not see it" in texts(page) and 'data-key="KeyA"' in page.text
        assert "A and then Enter send" in texts(page)
        listed = await owner.open("/conversations?view=unread")
        often, seldom = ('data-live-throttle="300"', 'data-live-throttle="5000"')
        assert often in inbox_page.text and seldom not in inbox_page.text and seldom in listed.text
        assert str(second.conversation_id) in listed.text and str(first.conversation_id) not in listed.text
        draft = re.search(r"/drafts/([0-9a-f-]{36})/approval", page.text)[1]
        empty = await owner.send(f"{at}/drafts/{draft}/approval", {"text": " "})
        assert empty.status_code == 422 and "Write the reply." in texts(empty)
        sent = await owner.send(f"{at}/drafts/{draft}/approval", {"text": "In the post."})
        assert "it is being sent" in texts(await owner.follow(sent))
        await first.calm()
        assert await first.sent() == ["In the post."]
        again = await owner.send(f"{at}/drafts/{draft}/rejection", {"reason": "no"})
        assert again.status_code == 409 and "Somebody has decided" in texts(again)
        assert "Edited by" in texts(await owner.open(at))
        assigned = await owner.send(f"{at}/assignment", {"assignee_id": str(world.scope.actor.id)})
        assert str(first.conversation_id) in (await owner.open("/conversations?view=mine")).text
        assert assigned.status_code == 303
        wrong = await owner.send(f"{at}/assignment", {"assignee_id": "me"})
        assert wrong.status_code == 422 and "Choose a member who may answer" in texts(wrong)
        await assigned_to_somebody_who_left(world, first, owner)
        none = await owner.open("/conversations?q=nowhere&view=nonsense&agent=x")
        assert "Nothing fits what you have chosen." in texts(none)
    viewer = await add_member(world.db, world.scope, "viewer")
    async with reader_of(site, world.db, viewer) as looker:
        await first.says("And now?")
        page = await looker.open(at)
        assert "Assign" not in texts(page) and "is-unread" not in page.text.partition('id="thread"')[0]
        refused = await looker.send(f"{at}/assignment", {"assignee_id": ""})
        assert refused.status_code == 403


TYPED = "We are open from ten."


async def test_whatever_is_pressed_on_the_page_keeps_what_was_typed_into_it(world, scenes, site):
    """AGT-19: one form without a script; the words stand in the page, never in an address."""
    scene = scenes[0]
    at = f"/conversations/{scene.conversation_id}"
    own = str(world.scope.actor.id)
    async with reader_of(site, world.db, world.scope) as owner:
        page = (await owner.open(at)).text
        draft = re.search(r"/drafts/([0-9a-f-]{36})/approval", page)[1]
        (first,) = re.findall(r'name="handoff.first" value="([^"]*)"', page)
        buttons = set(re.findall(rf'form="desk" formaction="[^"]*{at}/([^"]+)"', page))
        assert {"takeover", "suggestion", "assignment", "handoffs", f"drafts/{draft}/approval"} <= buttons
        assert re.search(r'<button type="submit" form="desk" disabled hidden>', page).start() < page.index(
            "formaction"
        )
        typed = {"reply.text": TYPED, "handoff.text": first, "handoff.first": first, "draft.reason": ""}
        typed |= {"draft.id": draft, "draft.text": "Edited", "draft.first": "As drafted"}
        typed |= {"memory.form": "new", "memory.text": "Likes tea", "memory.kind": "fact"}
        typed["handoff.note"] = "A regular"
        (drafted,) = re.findall(r'name="draft.first" value="([^"]*)"', page)
        taking = {**typed, "use": "draft"}
        for own_words in (TYPED, f"{TYPED}\r\n\r\n{unescape(drafted)}"):  # pressed twice it is there once
            taken = await owner.send(f"{at}/suggestion", {**taking, "reply.text": own_words})
            assert f">\n{TYPED}\n\n{drafted}</textarea>" in taken.text and "Likes tea" in taken.text
        for opened in ("new", ""):
            shown = await owner.send(f"{at}/memories", {**typed, "open": opened})
            assert shown.status_code == 200 and TYPED in shown.text and "Edited" in shown.text
            assert ('id="memory-text"' in shown.text) == bool(opened)
        for path in ("takeover", "resume", "suggestion", "assignment"):
            shown = await owner.send(f"{at}/{path}", {**typed, "assignment.assignee_id": own})
            assert shown.status_code == 200, path
            for words in (TYPED, "A regular", "Likes tea", "Edited"):
                assert words in shown.text, (path, words)
            assert f">\n{TYPED}\n\nEdited</textarea>" in shown.text  # taking over has taken its draft back
            assert re.search(r'<details class="draft-bar__part" name="draft" open>', shown.text), path
        assert re.search(rf'<option value="{own}" selected', shown.text)
        wrong = await owner.send(f"{at}/assignment", {**typed, "assignment.assignee_id": "me"})
        assert wrong.status_code == 422 and TYPED in wrong.text
        refused = await owner.send(f"{at}/memories", {**typed, "memory.expires_on": "soon"})
        assert refused.status_code == 422 and TYPED in refused.text and "Likes tea" in refused.text
        kept = await owner.send(f"{at}/memories", typed)
        assert "It is remembered" in texts(kept) and TYPED in kept.text
        empty = await owner.send(f"{at}/replies", {**typed, "reply.text": " "})
        assert empty.status_code == 422 and "A regular" in empty.text
        sent = await owner.send(f"{at}/replies", typed)
        assert TYPED not in sent.text.partition('id="reply-text"')[2].partition("</textarea>")[0]
        assert ">\nA regular</textarea>" in sent.text
        gone = await owner.send(f"{at}/suggestion", taking)
        assert gone.status_code == 200 and f">\n{TYPED}\n\nEdited</textarea>" in gone.text
        alone = await owner.send(f"{at}/takeover", {"handoff.text": first, "handoff.first": first})
        assert alone.status_code == 303


async def test_words_edited_for_a_draft_that_is_sent_as_it_was_become_the_reply(world, scenes, site):
    """AGT-19"""
    scene = scenes[0]
    at = f"/conversations/{scene.conversation_id}"
    async with reader_of(site, world.db, world.scope) as owner:
        page = (await owner.open(at)).text
        draft = re.search(r"/drafts/([0-9a-f-]{36})/approval", page)[1]
        drafted = unescape(re.search(r'name="draft.first" value="([^"]*)"', page)[1])
        pressed = {"as_is": "1", "draft.id": draft, "draft.first": drafted, "draft.text": "In the post."}
        sent = await owner.send(f"{at}/drafts/{draft}/approval", pressed)
    assert sent.status_code == 200 and ">\nIn the post.</textarea>" in sent.text
    await scene.calm()
    assert await scene.sent() == [drafted]


async def test_a_suggestion_does_not_take_the_place_of_what_was_typed(world, scenes, site):
    """AGT-27: it stands beside the reply, and a press puts it below what was typed there."""
    scene = scenes[0]
    at = f"/conversations/{scene.conversation_id}"
    runner = scene.runner
    jobs = SuggestionJobs(Generation(runner.responder, runner.fallback, runner.understanding))
    await scene.write_article("Shirts", "A cotton shirt costs forty euros.")
    await scene.says("What does a cotton shirt cost?")
    async with reader_of(site, world.db, world.scope) as owner:
        asked = await owner.send(f"{at}/suggestion", {"reply.text": TYPED})
        assert asked.status_code == 200 and "making a suggestion" in texts(asked)
        assert 'name="suggestion.state" value="pending"' in asked.text
        ctx = JobContext(world.db, None, world.scope, 1, 1)
        await jobs.suggest(ctx, conversation_id=str(scene.conversation_id))
        async with world.db.session(world.scope) as session:
            made = await suggesting.get_suggestion(session, scene.conversation_id)
        pressed = {"reply.text": TYPED, "suggestion.state": "pending"}
        looked = await owner.send(f"{at}/suggestion", pressed)  # without a script: is it there?
        assert f">\n{TYPED}</textarea>" in looked.text and made.text in unescape(looked.text)
        async with world.db.session(world.scope) as session:
            assert (await suggesting.get_suggestion(session, scene.conversation_id)).id == made.id
        used = await owner.send(f"{at}/suggestion", {"reply.text": TYPED, "use": "1"})
        assert f">\n{TYPED}\n\n{made.text}</textarea>" in unescape(used.text)


@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="needs Chromium")
async def test_a_key_alone_sends_no_draft_and_none_that_came_in_meanwhile(world, scenes, site):
    first, values = scenes[0], {"session": await cookie_of(world.db, world.scope), "language": "en"}
    await first.set_agent(check_before_sending=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page()
        await page.context.add_cookies([{"name": n, "value": v, "url": site} for n, v in values.items()])
        number = await number_of(world.db, world.scope)
        await page.goto(f"{site}/manage/{number}/conversations/{first.conversation_id}")
        send = page.locator("[data-key=KeyA]")
        seen = await send.get_attribute("id")
        await page.keyboard.press("a")
        await expect(send).to_be_focused()
        # Nothing comes in until the next draft is there: it is put in the place of the first one at once.
        await page.route("**part=thread**", lambda route: route.abort())
        await first.says("And where are my trousers?")
        await first.calm()
        await page.unroute("**part=thread**")
        refreshed = (
            "id => document.dispatchEvent(new CustomEvent('live:told', { detail: 'agents' }))"
            " && !document.getElementById(id)"
        )
        await page.wait_for_function(refreshed, arg=seen, polling=400)
        await expect(send).to_have_count(1)
        await expect(send).not_to_be_focused()
        await page.keyboard.press("Enter")
        await first.calm()
        assert await first.sent() == []
        await page.keyboard.press("a")
        await expect(send).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(page.locator("body")).to_contain_text("it is being sent")
        await first.calm()
        assert len(await first.sent()) == 1
        await browser.close()
