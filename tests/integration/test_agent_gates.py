"""Which agent answers a message, and when: channels, pipelines and stages, hours, the welcome. No model."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gptagent.features.agents import service as agents
from gptagent.features.crm import service as crm
from gptagent.features.crm.mirror import store as mirror
from gptagent.features.crm.model import LeadChanged
from gptagent.features.crm.records import Channel
from gptagent.features.dialog.service import ADVANCE
from gptagent.kernel.errors import Invalid
from reply_routes import use_bot
from scenes import Scene
from worlds import NOT_FOUND

OTHERS = "The other one answers."


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


async def pipeline_of(scene):
    async with scene.world.db.session(scene.world.scope) as session:
        return (await crm.list_pipelines(session))[0]


async def add_agent(scene, name, **changes):
    """Add an active agent that answers at once, with words of its own."""
    own = {"is_active": True, "response_delay_seconds": 0, "not_found_text": OTHERS, "not_found_task": False}
    async with scene.world.db.session(scene.world.scope) as session:
        agent = await agents.create_agent(session, name, locale="en")
        return await agents.update_agent(session, agent.id, {**own, **changes})


def only(pipeline, *stages, **changes):
    rule = {"connection_id": pipeline.connection_id, "pipeline_id": pipeline.id, **changes}
    if stages:
        rule |= {"all_stages": False, "stages": [stage.id for stage in stages]}
    return {"all": False, "chosen": [rule]}


async def move(scene, pipeline, stage):
    """Move the deal in the CRM, which tells of it."""
    lead = scene.chat["lead_id"]
    place = {"status_id": stage.id, "pipeline_id": pipeline.id}
    await scene.world.account.call("POST", f"/leads/{lead}/move", place)
    await scene.hears(LeadChanged(lead, "moved", pipeline.id, stage.id))


async def ask(scene, text="Hello"):
    await scene.says(text)
    await scene.calm()
    return (await scene.outcomes())[-1]


async def test_an_agent_answers_only_at_its_stages_and_the_next_that_fits_takes_the_rest(scene):
    """AGT-13, U082"""
    pipeline = await pipeline_of(scene)
    first, second = [stage for stage in pipeline.stages if stage.kind == "open"][:2]
    await scene.set_agent(pipelines=only(pipeline, first))
    await ask(scene)
    await move(scene, pipeline, second)
    assert await ask(scene) == ("refused", "no_fitting_agent")
    await move(scene, pipeline, first)
    sent = len(await scene.sent())
    assert (await ask(scene))[0] == "not_found"
    assert (await scene.sent())[sent:] == [NOT_FOUND]
    await add_agent(scene, "Everywhere")
    await ask(scene)
    await move(scene, pipeline, second)
    await ask(scene)
    assert (await scene.sent())[sent:] == [NOT_FOUND, NOT_FOUND, OTHERS]


async def test_a_chat_without_a_deal_goes_only_to_agents_for_all_deals(scene):
    """AGT-13: nobody can say at which stage it is"""
    await scene.set_agent(pipelines=only(await pipeline_of(scene)))
    scene.chat["lead_id"] = None
    assert await ask(scene) == ("refused", "no_fitting_agent")
    await add_agent(scene, "Everywhere")
    await ask(scene)
    assert await scene.sent() == [OTHERS]


async def test_what_was_made_for_another_stage_is_not_sent(scene):
    """AGT-13"""
    pipeline = await pipeline_of(scene)
    first, second = [stage for stage in pipeline.stages if stage.kind == "open"][:2]
    await move(scene, pipeline, first)
    await scene.set_agent(pipelines=only(pipeline, first))
    await scene.says("Hello")
    await scene.break_send(action="status", status=503)
    await scene.advance()
    await move(scene, pipeline, second)
    await scene.calm()
    assert await scene.sent() == []
    assert await scene.outcomes() == [("refused", "no_fitting_agent")]


async def test_an_agent_answers_only_in_its_channels(scene):
    """AGT-15, U086: the scene's chat comes from WhatsApp"""
    world = scene.world
    connection = (await pipeline_of(scene)).connection_id
    async with world.db.session(world.scope) as session:
        await mirror.upsert_channels(session, connection, [Channel("waba"), Channel("telegram")])
    await scene.set_agent(channels={"all": False, "chosen": ["telegram"]})
    assert await ask(scene) == ("refused", "no_fitting_agent")
    await add_agent(scene, "WhatsApp", channels={"all": False, "chosen": ["waba"]})
    await ask(scene)
    assert await scene.sent() == [OTHERS]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"channels": {"all": False}}, "channels.chosen"),
        ({"channels": {"chosen": ["pigeon"]}}, "channels.chosen"),
        ({"pipelines": {"all": False}}, "pipelines.chosen"),
        ({"hours": {"is_on": True, "week": []}}, "hours.week"),
        ({"hours": {"week": [{"day": 1, "opens": "18:00", "closes": "9:00"}]}}, "hours.week"),
        ({"hours": {"week": [{"day": 1, "opens": "09:00", "closes": "10:00"}] * 2}}, "hours.week"),
        ({"hours": {"timezone": "Moon/Base"}}, "hours.timezone"),
        ({"hours": {"holidays": ["tomorrow"]}}, "hours.holidays"),
        ({"readable": {"lead": ["cf_999999"]}}, "readable.lead"),
        ({"language": {"fixed": "tlh"}}, "language.fixed"),
        ({"presence_penalty": 2.1}, "presence_penalty"),
        ({"frequency_penalty": -3}, "frequency_penalty"),
        ({"frequency_penalty": True}, "frequency_penalty"),
        ({"history_messages": 51}, "history_messages"),
        ({"history_messages": None}, "history_messages"),
        ({"reply_max_chars": 49}, "reply_max_chars"),
        ({"welcome_text": "x" * 1_001}, "welcome_text"),
        ({"goal": "x" * 501}, "goal"),
    ],
)
async def test_what_is_not_offered_or_not_possible_is_refused(scene, changes, fault):
    """AGT-4, AGT-15, U085: an empty selection is invalid"""
    with pytest.raises(Invalid) as refused:
        await scene.set_agent(**changes)
    assert [one.pointer for one in refused.value.fields] == [fault]


async def test_rules_of_pipelines_name_what_the_mirror_has_and_keep_what_it_lost(scene):
    """AGT-13"""
    pipeline = await pipeline_of(scene)
    stage = pipeline.stages[0]
    for wrong in (
        only(pipeline, all_stages=False),
        {"chosen": [{**only(pipeline)["chosen"][0], "pipeline_id": 1}]},
        {"chosen": only(pipeline, instructions=[{"stage_id": 999, "text": "x"}])["chosen"]},
        {"chosen": only(pipeline)["chosen"] * 2},
        {"chosen": only(pipeline, instructions=[{"stage_id": stage.id, "text": "x" * 2_001}])["chosen"]},
    ):
        with pytest.raises(Invalid) as refused:
            await scene.set_agent(pipelines=wrong)
        assert {one.pointer for one in refused.value.fields} == {"pipelines.chosen"}
    await scene.set_agent(pipelines=only(pipeline, stage))
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute("update app.crm_stage set removed_at = now() where external_id = $1", stage.id)
        (agent,) = await agents.list_agents(session)
        (problem,) = (await agents.find_problems(session, [agent]))[agent.id]
        assert problem.reference == f"{pipeline.connection_id}/{pipeline.id}/{stage.id}"
        agent = await agents.update_agent(session, agent.id, {"name": "Other"})
        assert agent.settings.pipelines.chosen[0].stages == (stage.id,)


async def test_the_welcome_stands_above_the_first_answer_only(scene):
    """AGT-28"""
    await scene.set_agent(welcome_text="Good day, this is Line!")
    for _message in range(2):
        await ask(scene)
    assert await scene.sent() == [f"Good day, this is Line!\n\n{NOT_FOUND}", NOT_FOUND]
    other = await Scene.open(scene.world)
    await other.says("I write first", author="human")
    async with scene.world.db.session(scene.world.scope) as session:
        await scene.world.inbox.resume(session, other.conversation_id)
    await ask(other)
    assert await other.sent() == [NOT_FOUND]


async def test_a_welcome_whose_answer_was_never_sent_comes_with_the_next(scene):
    """AGT-28"""
    await scene.set_agent(welcome_text="Good day!")
    await scene.says("Hello")
    await scene.break_send(action="status", status=503)
    await scene.advance()
    await scene.says("Are you there?")
    await scene.calm()
    assert await scene.sent() == [f"Good day!\n\n{NOT_FOUND}"]


async def make_due(scene):
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute("update app.lane set due_at = clock_timestamp()")


async def break_reading(scene):
    fault = {"path": "/leads/", "method": "GET", "action": "status", "status": 500}
    await scene.world.account.call("POST", "/faults", fault)


async def test_who_answers_is_not_decided_before_the_crm_tells_where_the_deal_is(scene):
    """AGT-13: a CRM that does not answer is no reason to leave the customer alone"""
    pipeline = await pipeline_of(scene)
    await scene.set_agent(pipelines=only(pipeline))
    await add_agent(scene, "Everywhere")
    await break_reading(scene)
    for text in ("Hello", "Are you there?"):
        await scene.says(text)
        await scene.advance()
        assert await scene.turns() == []
        await make_due(scene)
    await scene.world.account.call("DELETE", "/faults")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND], "by the one whose deal it is"
    (turn,) = await scene.turns()
    assert (turn["first_seq"], turn["last_seq"]) == (1, 2)


async def test_if_the_crm_never_tells_where_the_deal_is_a_person_is_asked(scene):
    pipeline = await pipeline_of(scene)
    await scene.set_agent(pipelines=only(pipeline))
    await break_reading(scene)
    await scene.says("Hello")
    await scene.advance()
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute("update app.message set sent_at = sent_at - interval '11 minutes'")
    await make_due(scene)
    await scene.calm()
    assert await scene.outcomes() == [("handed_off", "deal_unknown")]
    await scene.perform_tasks()
    assert len(await scene.tasks()) == 1 and await scene.sent() == []


@pytest.mark.parametrize("is_told", [True, False])
async def test_before_a_reply_by_bot_the_webhook_of_the_deal_is_waited_for(scene, is_told):
    """CRM-22, AGT-13: that reply takes two calls, and no turn more; if it stays away a person is asked"""
    await use_bot(scene, mode="salesbot")
    pipeline = await pipeline_of(scene)
    await scene.set_agent(pipelines=only(pipeline))
    await scene.says("Hello")
    await scene.advance()
    assert await scene.turns() == []
    if is_told:
        await move(scene, pipeline, pipeline.stages[1])
    else:
        async with scene.world.db.session(scene.world.scope) as session:
            await session.execute("update app.message set sent_at = sent_at - interval '11 minutes'")
    await make_due(scene)
    await scene.calm()
    assert await scene.sent() == ([NOT_FOUND] if is_told else [])
    if not is_told:
        assert await scene.outcomes() == [("handed_off", "deal_unknown")]


async def test_until_it_is_known_who_answers_the_longest_delay_gathers_the_burst(scene):
    """AGT-20"""
    pipeline = await pipeline_of(scene)
    await scene.set_agent(pipelines=only(pipeline), response_delay_seconds=30)
    await scene.says("Hello")
    lane = await scene.lane()
    assert lane["due_at"] - datetime.now(UTC) > timedelta(seconds=20)


async def test_what_came_while_nobody_worked_is_not_too_old_when_the_hours_begin(scene):
    """AGT-29: a weekend is no reason to leave a message without its answer"""
    zone = "UTC" if datetime.now(UTC).hour < 23 else "Pacific/Honolulu"  # where midnight is far
    days = [{"day": day, "opens": "00:00", "closes": "23:59"} for day in range(1, 8)]
    today = datetime.now(ZoneInfo(zone)).date()
    closed = [str(today - timedelta(days=number)) for number in range(1, 5)]
    hours = {"is_on": True, "timezone": zone, "week": days, "holidays": closed}
    await scene.set_agent(hours=hours)
    await scene.says("Hello")
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute("update app.message set sent_at = sent_at - interval '3 days'")
        await session.execute("update app.conversation set channel = 'telegram'")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]
    async with scene.world.db.session(scene.world.scope) as session:
        assert (await session.fetchval("select count(*) from app.turn where reason = 'too_late'")) == 0


async def test_outside_of_its_hours_an_agent_is_silent_and_answers_once_when_they_begin(scene):
    """AGT-29, U129"""
    day = datetime.now(UTC).date()
    free = [str(day + timedelta(days=number)) for number in range(-1, 2)]
    await scene.set_agent(hours={"is_on": True, "timezone": "UTC", "holidays": free})
    for text in ("Hello", "Are you there?"):
        await scene.says(text)
        await scene.advance()
    lane = await scene.lane()
    assert await scene.sent() == [] and await scene.turns() == []
    assert timedelta(minutes=14) < lane["due_at"] - datetime.now(UTC) <= timedelta(minutes=15)
    await scene.set_agent(hours={"is_on": False})
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute("update app.lane set due_at = clock_timestamp()")
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]
    (turn,) = await scene.turns()
    assert (turn["first_seq"], turn["last_seq"]) == (1, 2)


async def test_hours_decide_when_an_agent_answers_and_not_who(scene):
    """AGT-29: no other agent steps in, and the chat is looked at again"""
    day = datetime.now(UTC).date()
    free = [str(day + timedelta(days=number)) for number in range(-1, 2)]
    closed = {"is_on": True, "timezone": "UTC", "holidays": free}
    await scene.set_agent(hours=closed)
    await add_agent(scene, "Night")
    await scene.says("Hello")
    await scene.advance()
    assert await scene.sent() == []
    async with scene.world.db.session(scene.world.scope) as session:
        waiting = await session.fetchval(
            "select count(*) from jobs.pgqueuer where entrypoint = $1 and status = 'queued'", ADVANCE
        )
    assert waiting


async def test_what_was_made_within_the_hours_is_sent_after_them(scene):
    """AGT-29"""
    await scene.says("Hello")
    await scene.break_send(action="status", status=503)
    await scene.advance()
    day = datetime.now(UTC).date()
    free = [str(day + timedelta(days=number)) for number in range(-1, 2)]
    await scene.set_agent(hours={"is_on": True, "timezone": "UTC", "holidays": free})
    await scene.calm()
    assert await scene.sent() == [NOT_FOUND]
