"""Replies that a person looks at before they are sent."""

import asyncio
from datetime import timedelta

import pytest

from gptagent.features.agents import service as agents
from gptagent.features.dialog.drafts import service as drafts
from gptagent.features.dialog.service import ADVANCE
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.ids import new_id
from scenes import Scene
from worlds import NOT_FOUND, UNANSWERED

WORDS = "We open at nine."


@pytest.fixture
async def scene(world):
    scene = await Scene.open(world)
    await scene.set_agent(check_before_sending=True)
    return scene


async def approve(scene, draft_id, **given):
    async with scene.world.db.session(scene.world.scope) as session:
        await drafts.approve(session, scene.conversation_id, draft_id, by="Bob", **given)


async def reject(scene, draft_id, note=""):
    async with scene.world.db.session(scene.world.scope) as session:
        await drafts.reject(session, scene.conversation_id, draft_id, by="Bob", note=note)


async def current(scene):
    async with scene.world.db.session(scene.world.scope) as session:
        return await drafts.find_current(session, scene.conversation_id)


async def asked(scene, text="Hello"):
    """Let the customer write and the agent draft; return the draft."""
    await scene.says(text)
    await scene.calm()
    return await current(scene)


async def states(scene):
    return [(turn["outcome"], turn["draft_state"]) for turn in await scene.turns()]


async def test_a_checked_reply_waits_with_one_task_and_leaves_once_two_people_have_approved_it(scene):
    """AGT-19, MSG-25: the setting keeps the reply back; two clicks at the same moment send it once."""
    draft = await asked(scene)
    assert (draft.text, draft.state) == (NOT_FOUND, "waiting")
    assert await scene.sent() == []
    assert await scene.outcomes() == [("draft", "no_relevant_knowledge")]
    await scene.perform_tasks()
    (task,) = await scene.tasks()
    assert "waits for your approval" in str(task) and "Hello" in str(task)
    clicks = await asyncio.gather(approve(scene, draft.id), approve(scene, draft.id), return_exceptions=True)
    assert [getattr(one, "code", None) for one in clicks if one] == ["reply_draft_decided"]
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]
    assert await states(scene) == [("not_found", "approved")]
    with pytest.raises(Conflict):
        await approve(scene, draft.id)
    await scene.perform_tasks()
    assert len(await scene.tasks()) == 1


async def test_an_approved_reply_whose_answer_never_came_is_read_back_and_not_sent_again(scene):
    draft = await asked(scene)
    await approve(scene, draft.id)
    await scene.break_send(**UNANSWERED)
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_a_worker_that_dies_after_the_approval_leaves_a_turn_that_goes_on(scene):
    draft = await asked(scene)
    await approve(scene, draft.id)
    (turn,) = await scene.turns()
    assert (turn["state"], turn["outcome"]) == ("open", None)  # the job is lost here; the sweep wakes another
    await scene.advance(job_id=7)
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_a_person_edits_before_it_is_sent(scene):
    draft = await asked(scene)
    for text in ("  ", "x" * 4_001):
        with pytest.raises(Invalid):
            await approve(scene, draft.id, text=text)
    await approve(scene, draft.id, text=WORDS)
    await scene.calm()
    assert await scene.sent() == [WORDS]
    (turn,) = await scene.turns()
    assert (turn["outcome"], turn["draft_is_edited"], turn["draft_by"]) == ("reply", True, "Bob")
    await scene.says(WORDS, author="human", provider_id=turn["provider_message_id"])
    assert (await scene.conversation())["taken_over_at"] is None


async def test_a_rejected_draft_sends_nothing_and_the_next_message_is_answered_anew(scene):
    draft = await asked(scene)
    await reject(scene, draft.id, "Too curt")
    with pytest.raises(Conflict):
        await approve(scene, draft.id)
    await scene.calm()
    assert await scene.sent() == []
    (turn,) = await scene.turns()
    assert (turn["outcome"], turn["draft_note"]) == ("rejected", "Too curt")
    await asked(scene, "Are you there?")
    assert [(t["first_seq"], t["draft_state"]) for t in await scene.turns()] == [
        (1, "rejected"),
        (2, "waiting"),
    ]


async def test_a_newer_message_outdates_the_draft_and_one_new_reply_covers_both(scene):
    old = await asked(scene)
    new = await asked(scene, "And on Sunday?")
    assert (new.first_seq, new.last_seq) == (1, 2)
    with pytest.raises(Conflict) as refused:
        await approve(scene, old.id)
    assert refused.value.code == "reply_draft_outdated"
    await scene.perform_tasks()
    assert len(await scene.tasks()) == 1  # the one task speaks of both
    await approve(scene, new.id)
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]
    assert await states(scene) == [("draft", "outdated"), ("not_found", "approved")]


async def test_a_message_between_the_approval_and_the_send_keeps_the_approved_draft_back(scene):
    draft = await asked(scene)
    await approve(scene, draft.id)
    await scene.says("One moment, something else")
    await scene.calm()
    assert await scene.sent() == []
    new = await current(scene)
    assert (new.first_seq, new.last_seq, new.state) == (1, 2, "waiting")
    assert (await scene.turns())[0]["draft_state"] == "outdated"


async def test_a_takeover_outdates_the_draft(scene, world):
    draft = await asked(scene)
    await scene.says("I will do this", author="human")
    with pytest.raises(Conflict):
        await approve(scene, draft.id)
    await scene.calm()
    assert await scene.sent() == []
    assert await scene.outcomes() == [("draft", "no_relevant_knowledge"), ("refused", "taken_over")]


async def test_a_closed_window_and_an_agent_that_is_off_refuse_the_approval(scene, world):
    draft = await asked(scene)
    await scene.set_agent(is_active=False)
    with pytest.raises(Conflict) as off:
        await approve(scene, draft.id)
    assert off.value.code == "reply_draft_agent_off"
    await scene.set_agent(is_active=True)
    async with world.db.session(world.scope) as session:
        await session.execute("update app.message set sent_at = sent_at - $1::interval", timedelta(hours=25))
    with pytest.raises(Conflict) as late:
        await approve(scene, draft.id)
    assert late.value.code == "reply_draft_window_closed"
    async with world.db.session(world.scope) as session:
        await session.execute("update app.conversation set channel = 'telegram'")
    await approve(scene, draft.id)  # this channel takes it, however late
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_the_setting_acts_at_once_on_a_reply_that_is_about_to_leave(scene):
    """AGT-19"""
    await scene.set_agent(check_before_sending=False)
    await scene.says("Hello")
    await scene.break_send(action="status", status=503)
    await scene.advance()
    await scene.set_agent(check_before_sending=True)
    await scene.calm()
    assert await scene.sent() == []
    assert (await current(scene)).state == "waiting"


async def test_words_of_a_persons_own_leave_without_the_drafts_sources(scene):
    """AGT-19: the files of a reply are those of the article that its sources name."""
    await scene.write_article("Delivery", "Delivery to the city costs 490 roubles.")
    draft = await asked(scene, "How much does delivery to the city cost?")
    assert draft.answer.sources
    await approve(scene, draft.id, text="For you it is free.")
    await scene.calm()
    (turn,) = await scene.turns()
    assert (turn["answer"]["text"], turn["answer"]["sources"]) == ("For you it is free.", [])
    assert turn["draft_is_edited"]


async def test_a_question_counts_once_however_often_its_draft_is_taken_back(scene, world):
    for text in ("Do you repair wrist watches?", "I mean wrist watches of gold", "Are you there?"):
        await asked(scene, text)
    async with world.db.session(world.scope) as session:
        noted = await session.fetch("select text from app.asked_question")
        gaps = await session.fetchval("select count(*) from app.gap")
    assert (len(noted), gaps) == (1, 1) and noted[0]["text"].endswith("gold Are you there?")
    await reject(scene, (await current(scene)).id)
    await asked(scene, "Do you repair shoes?")
    async with world.db.session(world.scope) as session:
        assert await session.fetchval("select count(*) from app.asked_question") == 2


async def test_a_stirred_lane_is_woken_at_once_also_where_a_draft_waited(scene, world):
    """MSG-24: what the customer wrote meanwhile does not wait for a wake-up that is queued for later."""
    await asked(scene)
    async with world.db.session(world.scope) as session:
        await session.execute("delete from jobs.pgqueuer")
        await session.execute(
            """update app.lane set wanted = wanted + 1, due_at = clock_timestamp() + interval '1 hour',
                      wake_at = clock_timestamp() + interval '1 hour'"""
        )
    async with world.db.session(world.scope) as session:
        await world.inbox.take_over(session, scene.conversation_id, by="Bob", now=utcnow())
    assert (await current(scene)) is None
    async with world.db.installation() as session:
        queued = await session.fetch("select payload from jobs.pgqueuer where entrypoint = $1", ADVANCE)
    assert [row for row in queued if str(scene.conversation_id).encode() in row["payload"]]


async def test_another_agent_neither_sends_nor_drafts_what_the_first_one_said(scene, world):
    """AGT-19: its setting is for its own words."""
    await scene.set_agent(check_before_sending=False)
    await scene.says("Hello")
    await scene.break_send(action="status", status=503)
    await scene.advance()
    await scene.set_agent(is_active=False)
    async with world.db.session(world.scope) as session:
        other = await agents.create_agent(session, "Checked", locale="en")
        own = {"is_active": True, "check_before_sending": True, "not_found_text": WORDS}
        await agents.update_agent(session, other.id, own)
    await scene.calm()
    draft = await current(scene)
    assert (draft.agent_id, draft.text) == (other.id, WORDS)
    assert [turn["state"] for turn in await scene.turns()] == ["superseded", "ended"]
    assert await scene.sent() == []


async def test_a_draft_of_another_chat_is_none(scene):
    await asked(scene)
    with pytest.raises(NotFound):
        await approve(scene, new_id())
