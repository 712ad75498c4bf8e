"""When an agent answers, when it is silent, and what it answers with."""

from datetime import timedelta

import pytest

from gptagent.features.crm.model import LeadChanged, OtherEvent, TalkChanged
from gptagent.features.dialog.service import ADVANCE, claim_lane, sweep_lanes
from scenes import Scene
from worlds import NOT_FOUND


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


async def test_a_question_the_base_answers_is_quoted_with_its_source(scene):
    """MSG-1"""
    article = await scene.write_article("Delivery", "# Prices\n\nDelivery to the city costs 490 roubles.")
    await scene.says("How much does delivery to the city cost?")
    await scene.calm()
    (turn,) = await scene.turns()
    assert await scene.sent() == ["«Delivery to the city costs 490 roubles.»\n— Delivery"]
    assert turn["outcome"] == "reply"
    assert turn["answer"]["sources"][0]["source_id"] == str(article.id)


async def test_several_messages_get_one_reply_that_covers_all(scene):
    """AGT-20"""
    for text in ("Hello", "one more thing", "are you there?"):
        await scene.says(text)
    await scene.calm()
    (turn,) = await scene.turns()
    assert (turn["first_seq"], turn["last_seq"]) == (1, 3)
    assert await scene.sent() == [NOT_FOUND]


async def test_the_same_message_delivered_again_changes_nothing(scene):
    """MSG-2"""
    provider_id = await scene.says("Hello")
    await scene.calm()
    await scene.says("Hello", provider_id=provider_id)
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]
    assert len(await scene.turns()) == 1


async def test_each_message_restarts_the_delay_up_to_the_cap(scene):
    """AGT-20: never longer than the larger of a minute and three delays."""
    await scene.set_agent(response_delay_seconds=30)
    await scene.says("first")
    first = await scene.lane()
    await scene.says("second")
    second = await scene.lane()
    assert second["due_at"] > first["due_at"]
    assert second["due_at"] - second["burst_started_at"] <= timedelta(seconds=91)
    await scene.set_agent(response_delay_seconds=0)
    await scene.advance()
    assert await scene.turns() == []


async def test_a_whole_message_waits_a_part_of_the_delay_and_what_may_go_on_all_of_it(scene, world):
    """AGT-20: a later fragment restarts the whole wait; a file is not the end of the words."""
    await scene.set_agent(response_delay_seconds=100)
    for text, attachment, seconds in (
        ("How much is it?", None, 75),
        ("and in red", None, 100),
        ("How much is it?", "picture", 100),
    ):
        async with world.db.session(world.scope) as session:
            await session.execute("delete from app.lane")
        await scene.says(text, attachment=attachment)
        lane = await scene.lane()
        waited = lane["due_at"] - lane["burst_started_at"]  # two readings of one statement's clock
        assert round(waited.total_seconds()) == seconds, text


async def test_a_burst_never_waits_longer_than_its_cap(scene, world):
    await scene.set_agent(response_delay_seconds=10)
    await scene.says("first")
    async with world.db.session(world.scope) as session:
        await session.execute("update app.lane set burst_started_at = burst_started_at - interval '55 s'")
    await scene.says("second")
    lane = await scene.lane()
    assert lane["due_at"] - lane["burst_started_at"] == timedelta(seconds=60)


async def test_a_customer_who_never_stops_writing_is_answered_all_the_same(scene, world):
    """AGT-20: once the burst has waited its longest, further messages get the next answer."""
    await scene.says("first")
    async with world.db.session(world.scope) as session:
        await session.execute("update app.lane set burst_started_at = burst_started_at - interval '70 s'")
    await scene.break_send(action="status", status=503)
    await scene.advance()
    await scene.says("second")
    await scene.calm()
    turns = [(turn["first_seq"], turn["last_seq"], turn["state"]) for turn in await scene.turns()]
    assert turns == [(1, 1, "ended"), (2, 2, "ended")]
    assert await scene.sent() == [NOT_FOUND, NOT_FOUND]


async def test_an_inactive_agent_is_silent_at_once(scene):
    """AGT-10"""
    await scene.set_agent(is_active=False)
    await scene.says("Hello")
    await scene.calm()
    assert await scene.outcomes() == [("refused", "no_active_agent")]
    assert await scene.sent() == []


async def test_an_agent_switched_off_after_it_had_answered_sends_nothing(scene):
    """AGT-10"""
    await scene.says("Hello")
    await scene.break_send(action="status", status=503)
    await scene.advance()
    await scene.set_agent(is_active=False)
    await scene.calm()
    assert await scene.sent() == []
    assert await scene.outcomes() == [("refused", "no_active_agent")]


async def test_a_person_who_writes_in_the_crm_silences_the_agent_until_it_is_resumed(scene, world):
    """AGT-27, MSG-26"""
    await scene.says("Hello")
    await scene.says("Let me help you", author="human")
    await scene.says("Thank you")
    await scene.calm()
    assert set(await scene.outcomes()) == {("refused", "taken_over")}
    assert (await scene.conversation())["taken_over_by"] == "Ann"
    async with world.db.session(world.scope) as session:
        await world.inbox.resume(session, scene.conversation_id)
    await scene.calm()
    assert await scene.sent() == []
    await scene.says("Another question")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_our_own_message_reported_by_the_crm_is_no_takeover(scene):
    """MSG-3"""
    await scene.says("Hello")
    await scene.calm()
    (turn,) = await scene.turns()
    await scene.says(NOT_FOUND, author="human", provider_id=turn["provider_message_id"])
    assert (await scene.conversation())["taken_over_at"] is None


async def test_another_bots_message_is_stored_and_neither_answered_nor_a_takeover(scene):
    """MSG-3"""
    await scene.says("I am a robot", author="bot")
    assert (await scene.conversation())["taken_over_at"] is None
    assert await scene.lane() is None


async def test_a_message_without_words_takes_the_not_found_path(scene):
    await scene.says(" ")
    await scene.calm()
    assert await scene.outcomes() == [("not_found", "no_relevant_knowledge")]


async def test_one_whose_file_cannot_be_had_is_asked_for_words(scene):
    """MSG-21: it came without an address to fetch it from."""
    await scene.says("", attachment="voice")
    await scene.calm()
    assert await scene.outcomes() == [("reply", "not_heard")]


async def test_the_not_found_task_is_made_once(scene):
    """AGT-17, AGT-18, U088"""
    await scene.set_agent(not_found_task=True)
    await scene.says("What is the meaning of it all?")
    await scene.calm()
    await scene.perform_tasks()
    (task,) = await scene.tasks()
    assert "What is the meaning of it all?" in str(task)


async def test_a_stage_change_makes_a_reply_in_the_making_stale(scene):
    await scene.says("Hello")
    await scene.hears(LeadChanged(scene.chat["lead_id"], "added", 1, 10))
    before = (await scene.lane())["epoch"]
    await scene.hears(LeadChanged(scene.chat["lead_id"], "moved", 1, 11))
    assert (await scene.lane())["epoch"] == before + 1


async def test_unknown_kinds_are_stored(scene, world):
    await scene.hears(OtherEvent("catalogs.add", {"id": "1"}), TalkChanged(1, None, None, None, is_open=True))
    async with world.db.session(world.scope) as session:
        (row,) = await session.fetch("select kind, state, payload::text from app.crm_delivery")
    assert (row["kind"], row["state"]) == ("catalogs.add", "ignored") and '"id":"1"' in row["payload"]


async def test_a_lane_another_worker_holds_is_left_alone(scene, world):
    """MSG-23"""
    await scene.says("Hello")
    lease = timedelta(seconds=30)
    async with world.db.session(world.scope) as session:
        assert await claim_lane(session, scene.conversation_id, 7, lease) is not None
    async with world.db.session(world.scope) as session:
        assert await claim_lane(session, scene.conversation_id, 8, lease) is None
    async with world.db.session(world.scope) as session:
        again = await claim_lane(session, scene.conversation_id, 7, lease)
    assert again is not None


async def test_the_sweep_wakes_a_lane_whose_wake_up_was_lost(scene, world):
    await scene.says("Hello")
    async with world.db.session(world.scope) as session:
        await session.execute("delete from jobs.pgqueuer")
        await session.execute("update app.lane set wake_at = null, due_at = due_at - interval '1 minute'")
    for _ in range(2):  # over all workspaces; the second time this lane is awake already
        await sweep_lanes(world.db)
    async with world.db.installation() as session:
        queued = await session.fetch("select payload from jobs.pgqueuer where entrypoint = $1", ADVANCE)
    mine = [row for row in queued if str(scene.conversation_id).encode() in row["payload"]]
    assert len(mine) == 1
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_the_deal_is_read_once_and_a_turn_costs_two_calls_at_most(scene, world):
    for text, calls in (("Hello", 2), ("One more question", 1)):
        before = (await world.account.call("GET", "/stats"))["requests"]
        await scene.says(text)
        await scene.calm()
        assert (await world.account.call("GET", "/stats"))["requests"] - before == calls
    async with world.db.session(world.scope) as session:
        lead = await session.fetchrow("select * from app.crm_lead")
    assert lead["external_id"] == scene.chat["lead_id"]
    assert lead["stage_id"] is not None


async def test_a_deal_that_cannot_be_read_does_not_stop_the_reply(scene, world):
    """MSG-8"""
    await world.account.call("POST", "/faults", {"path": "/leads/", "action": "status", "status": 500})
    await scene.says("Hello")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]


async def test_a_customer_without_a_name_gets_the_one_the_crm_knows(scene, world):
    await scene.says("Hello")
    await scene.calm()
    async with world.db.session(world.scope) as session:
        await session.execute("update app.conversation set customer_name = ''")
    await scene.says("It is me again")
    async with world.db.session(world.scope) as session:
        await session.execute("update app.conversation set customer_name = ''")
    await scene.calm()
    assert (await scene.conversation())["customer_name"] == "Ann"


async def test_tasks_are_written_in_the_workspaces_language(scene, world):
    await scene.set_agent(not_found_task=True)
    async with world.db.session(world.scope) as session:
        await session.execute("update app.organization set locale = 'ru'")
    await scene.says("What now?")
    await scene.calm()
    await scene.perform_tasks()
    assert "База знаний" in str(await scene.tasks()) or "базе знаний" in str(await scene.tasks())
