"""The shared inbox: what is shown to whom, whose a conversation is, what is unread."""

import re

import httpx2
import pytest

from gptagent.features.conversations import assigning
from gptagent.features.conversations.service import ORDERS
from gptagent.features.dialog.inbox import service as inbox
from gptagent.features.dialog.inbox.model import Wanted
from gptagent.features.identity.tokens import AccessClaims, AccessTokens
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.errors import Invalid
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page
from gptagent.kernel.settings import Settings
from integration.conftest import serving_here
from members import add_member, bearer, cookie_of
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
    async with httpx2.AsyncClient(base_url=site) as http:
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
        listed = await owner.open("/conversations?view=unread")
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
