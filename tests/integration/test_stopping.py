"""What happens when a person writes in a chat that an agent answers: a setting of the workspace."""

from datetime import timedelta

import pytest

from gptagent.features.conversations.service import RESUME
from gptagent.features.organizations import service as organizations
from gptagent.kernel.errors import Invalid
from gptagent.kernel.jobs import JobContext
from scenes import Scene
from worlds import NOT_FOUND


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


async def rule(world, **changes):
    async with world.db.session(world.scope) as session:
        return await organizations.update_settings(session, changes)


async def resume_due(scene):
    """Run the job that gives the chat back, whether its time has come or not."""
    ctx = JobContext(scene.world.db, None, scene.world.scope, 1, 1)
    await scene.world.inbox.resume_due(ctx, conversation_id=str(scene.conversation_id))


async def pass_hours(scene, hours):
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute(
            "update app.conversation set resume_at = resume_at - $1::interval", timedelta(hours=hours)
        )


async def resumes_queued(scene):
    async with scene.world.db.installation() as session:
        return await session.fetchval("select count(*) from jobs.pgqueuer where entrypoint = $1", RESUME)


async def test_a_new_workspace_lets_its_agents_go_on_and_a_persons_answer_stands_for_theirs(scene, world):
    """AGT-27, MSG-26: off by default; exactly one answer to each message."""
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
    first = (await scene.conversation())["resume_at"]
    await scene.says("Still on it", author="human")
    assert (await scene.conversation())["resume_at"] > first
    assert await resumes_queued(scene) == 1
    await resume_due(scene)  # too early: it looks again later
    assert (await scene.conversation())["taken_over_at"] is not None
    await pass_hours(scene, 2)
    await resume_due(scene)
    held = await scene.conversation()
    assert (held["taken_over_at"], held["resume_at"]) == (None, None)
    await resume_due(scene)
    assert await scene.sent() == []
    await scene.says("Anybody?")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


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
