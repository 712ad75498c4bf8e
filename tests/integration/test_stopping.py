"""What happens when a person writes in a chat that an agent answers: a setting of the workspace."""

from datetime import timedelta

import pytest

from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.resuming import sweep_resumes
from gptagent.features.dialog import gates
from gptagent.features.dialog.service import claim_lane
from gptagent.features.dialog.tracing.model import Trace
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Invalid
from readers import shown_in, texts
from scenes import PACE, Scene
from worlds import NOT_FOUND


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


async def rule(world, **changes):
    async with world.db.session(world.scope) as session:
        return await organizations.update_settings(session, changes)


async def resume_due(scene):
    """Look for chats whose time has come; tell whether this one is still held."""
    await sweep_resumes(scene.world.db, scene.world.inbox)
    return (await scene.conversation())["taken_over_at"] is not None


async def pass_hours(scene, hours):
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute(
            "update app.conversation set quiet_since = quiet_since - $1::interval", timedelta(hours=hours)
        )


async def resumes_at(scene):
    async with scene.world.db.session(scene.world.scope) as session:
        return (await conversations.get_conversation(session, scene.conversation_id)).resume_at


async def seen_by_model(scene):
    """Return the texts of the history and of the question that the next turn has; None if it is refused."""
    async with scene.world.db.session(scene.world.scope) as session:
        turn = await claim_lane(session, scene.conversation_id, 1, PACE.lease)
        seen = await gates.gather(session, turn, PACE, Trace())
    if isinstance(seen, gates.Refusal):
        return None
    return [one.text for one in seen.history], [one.text for one in seen.unanswered]


async def test_a_new_workspace_lets_its_agents_go_on_and_a_persons_answer_stands_for_theirs(scene, world):
    """AGT-27, MSG-26, U186: off by default; exactly one answer to each message."""
    await rule(world, stop_on_human=False)
    await scene.says("Are you open on Sunday?")
    await scene.says("We are, from ten.", author="human")
    await scene.calm()
    assert (await scene.conversation())["taken_over_at"] is None
    assert await scene.outcomes() == [("refused", "person_answered")]
    await scene.says("And on Monday?")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_a_person_in_the_middle_of_a_burst_leaves_the_agent_only_what_came_after(scene, world):
    """MSG-26"""
    await rule(world, stop_on_human=False)
    await scene.write_article("Hours", "On Sunday we are open from ten. On Monday we are closed.")
    await scene.says("Are you open on Sunday?")
    await scene.says("We are, from ten.", author="human")
    await scene.says("And are you closed on Monday?")
    await scene.calm()
    (sent,) = await scene.sent()
    assert "Monday" in sent and "Sunday" not in sent


async def test_a_stopped_agent_resumes_by_itself_so_long_after_the_persons_last_message(scene, world):
    """AGT-27: after N hours; the agent answers from the next message on."""
    await rule(world, resume_after_hours=2)
    await scene.says("Hello")
    await scene.says("I am on it", author="human")
    await scene.calm()
    first = await resumes_at(scene)
    await scene.says("Still on it", author="human")
    assert await resumes_at(scene) > first
    assert await resume_due(scene)  # too early
    await pass_hours(scene, 2)
    assert not await resume_due(scene)
    assert await resumes_at(scene) is None
    assert not await resume_due(scene)
    assert await scene.sent() == []
    await scene.says("Anybody?")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_a_held_chat_follows_the_rule_of_now(scene, world):
    """AGT-27: switched off, switched on and shortened while a person holds the chat."""
    await rule(world, resume_after_hours=2)
    await scene.says("I am on it", author="human")
    await pass_hours(scene, 3)
    await rule(world, resume_after_hours=0)
    assert await resumes_at(scene) is None and await resume_due(scene)
    await rule(world, resume_after_hours=5)
    assert await resumes_at(scene) is not None and await resume_due(scene)
    await rule(world, resume_after_hours=3)
    assert not await resume_due(scene)
    async with world.db.session(world.scope) as session:
        told = await session.fetchval(
            "select count(*) from app.audit_event where action = 'conversation.resumed'"
        )
    assert told == 1


async def test_the_command_is_no_answer_and_no_model_reads_it(scene, world):
    """AGT-27: like the button, it leaves the question that has just been asked to the agent."""
    await scene.set_agent(response_delay_seconds=30)
    await scene.says("I will help", author="human")
    await scene.says("Are you there?")
    await scene.says("/agent", author="human")
    assert await seen_by_model(scene) == (["I will help"], ["Are you there?"])


async def test_the_command_in_a_chat_nobody_holds_leaves_a_reply_in_the_making_alone(scene):
    """AGT-27"""
    await scene.says("Hello")
    await scene.break_send(action="status", status=503)
    await scene.advance()
    await scene.says("/agent", author="human")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]
    (turn,) = await scene.turns()
    assert turn["outcome"] == "not_found"


async def test_what_a_person_wrote_before_the_customer_is_no_answer_however_late_it_is_told(scene, world):
    """MSG-26"""
    await rule(world, stop_on_human=False)
    now = utcnow()
    await scene.says("And on Monday?", at=now)
    await scene.says("On Sunday from ten.", author="human", at=now - timedelta(seconds=5))
    assert await seen_by_model(scene) == (["On Sunday from ten."], ["And on Monday?"])
    await scene.says("On Monday, too.", author="human", at=now)
    assert await seen_by_model(scene) is None


async def test_a_command_in_the_chat_gives_it_back_and_is_no_takeover(scene, world):
    """AGT-27: by command, whichever the workspace has chosen."""
    await rule(world, resume_command="/robot")
    await scene.says("Hello")
    await scene.says("I will help", author="human")
    assert (await scene.conversation())["taken_over_by"] == "Ann"
    await scene.says(" /ROBOT ", author="human")
    assert (await scene.conversation())["taken_over_at"] is None
    await scene.says("One more question")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]
    await scene.says("/robot please", author="human")
    assert (await scene.conversation())["taken_over_by"] == "Ann"


async def test_what_cannot_be_is_refused_field_by_field(world):
    wrong = {"stop_on_human": "yes", "resume_after_hours": 721, "resume_command": "/"}
    with pytest.raises(Invalid) as refused:
        await rule(world, **wrong)
    assert {fault.pointer for fault in refused.value.fields} == wrong.keys()
    kept = await rule(world, resume_after_hours=720, resume_command=" /a ")
    assert (kept.stop_on_human, kept.resume_after_hours, kept.resume_command) == (True, 720, "/a")


async def test_the_rule_is_set_on_the_page_of_settings_and_shown_again(alice, dora, database, scope):
    """AGT-27, U186"""
    path, place = "/settings/stopping", f"{alice.base}/settings/stopping"
    typed = shown_in(await alice.open("/settings"), place)
    del typed["csrf_token"]
    assert "stop_on_human" not in typed, "off by default"
    refused = await alice.send(path, {**typed, "stop_on_human": "on", "resume_after_hours": "soon"})
    assert refused.status_code == 422 and shown_in(refused, place)["resume_after_hours"] == ["soon"]
    typed |= {"stop_on_human": ["on"], "resume_after_hours": ["24"], "resume_command": ["/robot"]}
    page = await alice.follow(await alice.send(path, typed))
    assert "Saved" in texts(page) and shown_in(page, place).items() >= typed.items()
    async with database.session(scope) as session:
        kept = await organizations.get_settings(session)
    assert (kept.stop_on_human, kept.resume_after_hours, kept.resume_command) == (True, 24, "/robot")
    assert (await dora.send(path, typed)).status_code == 403
