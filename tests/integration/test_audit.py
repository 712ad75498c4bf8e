"""The record of privileged actions: complete, appended to only, and readable as long as its people are."""

from dataclasses import replace

import asyncpg
import pytest

from gptagent.features.agents import service as agents
from gptagent.features.audit import service
from gptagent.features.audit.model import Entry
from gptagent.features.conversations.service import Inbox
from gptagent.features.crm import service as crm
from gptagent.features.dialog.service import Lanes
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.model import ArticleChange, NewArticle
from gptagent.kernel.clock import utcnow
from gptagent.kernel.events import Subscribers
from gptagent.kernel.scope import PLATFORM_ID, Actor, Origin, Scope
from scenes import Scene

CHANGED = Entry("agent.updated", "agent", "7", {"name": ("Ann", "Bea"), "email": None})


@pytest.fixture
def here(scope):
    """Alice's ticket as a request has it."""
    return replace(scope, request_id="req-1", address="198.51.100.7")


async def entries(database, scope):
    async with database.session(scope) as session:
        return await service.list_entries(session)


async def test_a_row_says_who_did_what_to_what_when_and_where(database, here):
    """TEN-10"""
    async with database.session(here) as session:
        await service.record(session, CHANGED)
    (latest, *_) = await entries(database, here)
    assert (latest.actor_kind, latest.actor_id, latest.acting_for) == ("person", here.actor.id, None)
    assert (latest.action, latest.target_kind, latest.target_id) == ("agent.updated", "agent", "7")
    assert latest.changes == {"name": ("Ann", "Bea"), "email": None}
    assert (latest.request_id, latest.address) == ("req-1", "198.51.100.7")


async def test_an_action_that_fails_leaves_no_row(database, here):
    before = await entries(database, here)
    with pytest.raises(ZeroDivisionError):
        async with database.session(here) as session:
            await service.record(session, CHANGED)
            raise ZeroDivisionError
    assert await entries(database, here) == before


async def test_an_impersonated_action_names_the_administrator(database, here):
    async with database.session(here) as session:
        admin = Actor("person", here.actor.id, impersonator=here.org_id)
        await service.record(session, CHANGED, origin=Origin(admin))
    (latest, *_) = await entries(database, here)
    assert (latest.actor_id, latest.acting_for) == (here.org_id, here.actor.id)


async def test_another_workspace_sees_none_of_it(database, here, other_scope):
    async with database.session(here) as session:
        await service.record(session, Entry("agent.updated", "agent", "of Alice"))
    assert "of Alice" not in [entry.target_id for entry in await entries(database, other_scope)]


async def test_what_concerns_the_platform_goes_to_its_own_chain(database, here):
    async with database.session(here) as session:
        await service.record(session, Entry("workspace.suspended", "workspace", "9"), on_platform=True)
    async with database.installation() as session:
        await service.record(session, Entry("login.failed", "person", "8"), origin=Origin())
    platform = await entries(database, Scope(PLATFORM_ID))
    assert [entry.target_id for entry in platform[:2]] == ["8", "9"]
    assert "9" not in [entry.target_id for entry in await entries(database, here)]


async def test_erasing_a_person_makes_their_values_unreadable_and_keeps_the_row(database, here):
    who = here.actor.id
    left = Entry("member.removed", "person", str(who), personal={"email": "a@example.test"}, personal_of=who)
    async with database.session(here) as session:
        await service.record(session, left)
    assert (await entries(database, here))[0].personal == {"email": "a@example.test"}
    async with database.installation() as session:
        await service.erase_person(session, who)
    (latest, *_) = await entries(database, here)
    assert (latest.personal, latest.address) == (None, None)
    assert latest.action == "member.removed"


@pytest.mark.parametrize(
    "statement",
    [
        "update app.audit_event set action = 'nothing.happened'",
        "delete from app.audit_event",
        "insert into app.audit_event select * from app.audit_event",
        "truncate app.audit_event",
        "update app.audit_head set seq = 0",
    ],
)
async def test_the_application_cannot_change_what_was_recorded(statement, database, here):
    """SEC-13"""
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.session(here) as session:
            await session.execute(statement)


async def test_what_people_do_to_agents_and_knowledge_is_on_record(database, here):
    """TEN-10"""
    async with database.session(here) as session:
        agent = await agents.create_agent(session, "Ann", locale="en")
        new = {"is_active": True, "instructions": "Answer in verse, please.", "name": "Ann"}
        await agents.update_agent(session, agent.id, new)
        await agents.delete_agent(session, agent.id)
        article = await knowledge.create_article(
            session, NewArticle("Delivery", "Delivery takes two days."), now=utcnow()
        )
        change = ArticleChange(article.id, content="Delivery takes three days.", is_active=False)
        await knowledge.update_article(session, change, now=utcnow())
        await knowledge.delete_article(session, article.id)
    *_, made = found = (await entries(database, here))[:6]
    assert [entry.action for entry in reversed(found)] == [
        *("agent.created", "agent.updated", "agent.deleted"),
        *("article.created", "article.updated", "article.deleted"),
    ]
    assert (made.target_id, found[0].target_id) == (str(agent.id), str(article.id))
    # What did not change is not told, and of texts only that they did.
    assert found[4].changes == {"is_active": (False, True), "instructions": None}
    assert found[1].changes == {"is_active": (True, False), "content": None}


async def test_taking_a_chat_over_and_connecting_the_crm_is_on_record(world):
    """TEN-10"""
    scene = await Scene.open(world)
    await scene.says("Hello")
    inbox = Inbox(Lanes(), Subscribers())
    async with world.db.session(world.scope) as session:
        await inbox.take_over(session, scene.conversation_id, by="Alice", now=utcnow())
        await inbox.take_over(session, scene.conversation_id, by="Alice", now=utcnow())
        await inbox.resume(session, scene.conversation_id)
        (connection,) = await crm.list_connections(session)
        await crm.disconnect_crm(session, connection.id)
    actions = [entry.action for entry in reversed(await entries(world.db, world.scope))]
    assert actions.count("conversation.taken_over") == 1  # the second changed nothing
    assert actions[-2:] == ["conversation.resumed", "connection.removed"]
