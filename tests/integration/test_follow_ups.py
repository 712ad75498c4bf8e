"""A customer who is silent at a stage is written to once, unless anybody writes or the deal moves on."""

from datetime import timedelta

import pytest

from gptagent.features.agents import service as agents
from gptagent.features.crm import service as crm
from gptagent.features.dialog.following.service import sweep_follow_ups
from gptagent.features.dialog.outgoing import service as outgoing
from gptagent.features.dialog.outgoing.jobs import OutgoingJobs
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Invalid
from scenes import PACE, Scene
from worlds import NOT_FOUND

HOURS = 24
TEXT = "{{customer_name}}, is there anything else?\n{{crm.lead.Colour}}"


@pytest.fixture
async def scene(world):
    """A chat in a channel without a window; its agent has a follow-up at the stage of the deal."""
    scene = await Scene.open(world)
    await scene.says("Hello")
    await scene.calm()
    await set_rule(scene)
    await place(scene, "telegram")
    await scene.says("Are you there?")
    await scene.calm()
    return scene


async def lead_of(scene):
    world = scene.world
    async with world.db.session(world.scope) as session:
        return await crm.get_lead_card(session, world.hook.connection_id, scene.chat["lead_id"])


async def set_rule(scene, **changes):
    lead = await lead_of(scene)
    follow = {"stage_id": lead.stage_id, "after_hours": HOURS, "text": TEXT} | changes
    rule = {
        "connection_id": str(scene.world.hook.connection_id),
        "pipeline_id": lead.pipeline_id,
        "follow_ups": [follow],
    }
    await scene.set_agent(pipelines={"chosen": [rule]})


async def place(scene, channel):
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute("update app.conversation set channel = $1", channel)


async def pass_hours(scene, hours):
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute(
            """update app.follow_up
                  set due_at = due_at - $1::interval, silent_since = silent_since - $1::interval""",
            timedelta(hours=hours),
        )


async def waits(scene):
    async with scene.world.db.session(scene.world.scope) as session:
        return await session.fetchval("select count(*) from app.follow_up") > 0


async def look(scene):
    """Run the schedule, twice, and send what is owed; return what the customer has got."""
    for _ in range(2):
        await sweep_follow_ups(scene.world.db)
    await scene.send_owed()
    return (await scene.sent())[2:]


async def test_a_silent_customer_is_written_to_once_with_the_variables_filled(scene):
    """AGT-32"""
    assert await look(scene) == []  # too early
    await pass_hours(scene, HOURS)
    assert await look(scene) == ["Ann, is there anything else?"]
    await pass_hours(scene, HOURS)
    assert await look(scene) == ["Ann, is there anything else?"]
    assert not await waits(scene)


@pytest.mark.parametrize("who", ["customer", "human"])
async def test_whoever_writes_takes_the_follow_up_back(scene, who):
    await scene.set_agent(response_delay_seconds=60)
    await scene.says("One moment", author=who)
    await pass_hours(scene, HOURS)
    assert await look(scene) == []


async def test_a_follow_up_that_is_overtaken_on_its_way_is_not_sent_and_asks_nobody(scene):
    await scene.set_agent(response_delay_seconds=60)
    await pass_hours(scene, HOURS)
    await sweep_follow_ups(scene.world.db)
    await scene.says("I am back")
    await scene.send_owed()
    assert [(one["state"], one["reason"]) for one in await scene.owed()] == [("not_sent", "answered_since")]
    assert len(await scene.sent()) == 2
    await scene.perform_tasks()
    assert not any("was not sent" in str(one) for one in await scene.tasks())


async def test_a_deal_that_has_left_the_stage_is_left_alone(scene, world):
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_lead set stage_id = stage_id + 1")
    await pass_hours(scene, HOURS)
    assert await look(scene) == [] and not await waits(scene)


async def test_hours_and_text_are_those_of_the_settings_of_now(scene):
    await pass_hours(scene, HOURS)
    await set_rule(scene, after_hours=2 * HOURS, text="Still interested?")
    assert await look(scene) == [] and await waits(scene)
    await pass_hours(scene, HOURS)
    assert await look(scene) == ["Still interested?"]


async def test_outside_of_working_hours_it_waits(scene):
    tomorrow = (utcnow() + timedelta(days=1)).isoweekday()
    week = [{"day": tomorrow, "opens": "09:00", "closes": "18:00"}]
    await scene.set_agent(hours={"is_on": True, "timezone": "UTC", "week": week})
    await pass_hours(scene, HOURS)
    assert await look(scene) == [] and await waits(scene)
    await scene.set_agent(hours={"is_on": False})
    async with scene.world.db.session(scene.world.scope) as session:
        await session.execute("update app.follow_up set due_at = now()")
    assert len(await look(scene)) == 1


@pytest.mark.parametrize("case", ["opens", "colleague"])
async def test_working_hours_that_end_while_the_crm_is_away_hold_it_back(scene, world, case):
    """AGT-29, AGT-32: and nothing that a colleague writes meanwhile waits behind it"""
    jobs = OutgoingJobs(scene.crm, world.vault, PACE)
    await pass_hours(scene, HOURS)
    await sweep_follow_ups(world.db)
    await scene.break_send(status=503)
    await scene.send_once(jobs, 1)
    tomorrow = (utcnow() + timedelta(days=1)).isoweekday()
    week = [{"day": tomorrow, "opens": "23:58", "closes": "23:59"}]
    await scene.set_agent(hours={"is_on": True, "timezone": "UTC", "week": week})

    async def look_again():
        async with world.db.session(world.scope) as session:
            await session.execute("update app.outgoing set due_at = null")
        await scene.send_once(jobs, 1)
        (one, *_) = await scene.owed()
        return one

    one = await look_again()
    assert (one["state"], one["failures"], len(await scene.sent())) == ("waiting", 1, 2)
    assert timedelta(minutes=14) < one["due_at"] - utcnow() <= timedelta(minutes=15)
    if case == "opens":
        await scene.set_agent(hours={"is_on": False})
        assert (await look_again())["state"] == "sent"
        assert (await scene.sent())[2:] == ["Ann, is there anything else?"]
    else:
        async with world.db.session(world.scope) as session:
            await outgoing.write(session, scene.conversation_id, "It is Bob.", by="Bob", now=utcnow())
        await scene.send_once(jobs, 2)
        assert [one["reason"] for one in await scene.owed()] == ["answered_since", None]
        assert (await scene.sent())[2:] == ["It is Bob."]


async def test_a_colleague_who_writes_while_a_follow_up_is_looked_at_does_not_wait_behind_it(scene, world):
    """AGT-32"""

    class Overtaken(OutgoingJobs):
        async def _shut_for(self, session, one):
            shut_for = await super()._shut_for(session, one)
            async with world.db.session(world.scope) as other:
                await outgoing.write(other, scene.conversation_id, "It is Bob.", by="Bob", now=utcnow())
            return shut_for

    await pass_hours(scene, HOURS)
    await sweep_follow_ups(world.db)
    tomorrow = (utcnow() + timedelta(days=1)).isoweekday()
    week = [{"day": tomorrow, "opens": "23:58", "closes": "23:59"}]
    await scene.set_agent(hours={"is_on": True, "timezone": "UTC", "week": week})
    await scene.send_once(Overtaken(scene.crm, world.vault, PACE), 1)
    assert [(one["kind"], one["state"]) for one in await scene.owed()] == [
        ("followup", "waiting"),
        ("reply", "waiting"),
    ]
    await scene.send_once(OutgoingJobs(scene.crm, world.vault, PACE), 2)
    assert [one["reason"] for one in await scene.owed()] == ["answered_since", None]
    assert (await scene.sent())[2:] == ["It is Bob."]


@pytest.mark.parametrize("case", ["window", "checked", "unknown", "off"])
async def test_where_nothing_may_leave_by_itself_a_person_is_asked_once(scene, world, case):
    """AGT-19: the channel is closed, replies are checked, or nothing is known of what the text names; an
    agent that is off asks nobody.
    """
    if case == "window":
        await place(scene, "waba")
        async with world.db.session(world.scope) as session:
            await session.execute("update app.message set sent_at = sent_at - interval '25 hours'")
    elif case == "unknown":
        await set_rule(scene, text="{{crm.lead.Colour}}")
    else:
        await scene.set_agent(
            **({"check_before_sending": True} if case == "checked" else {"is_active": False})
        )
    await pass_hours(scene, HOURS)
    assert await look(scene) == []
    await scene.perform_tasks()
    tasks = [one for one in await scene.tasks() if "has been silent" in str(one)]
    assert len(tasks) == (0 if case == "off" else 1) and not await waits(scene)


async def test_limits_of_a_follow_up(scene, world):
    many = ({"after_hours": 0}, {"after_hours": 721}, {"text": "x" * 1_001}, {"stage_id": 7}, {"text": "  "})
    for wrong in many:  # hours without words, too: they are not dropped silently
        with pytest.raises(Invalid):
            await set_rule(scene, **wrong)
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
    assert [one.text for one in agent.settings.pipelines.chosen[0].follow_ups] == [TEXT]
    assert NOT_FOUND in await scene.sent()


async def test_limits_of_a_stages_goal(scene):
    stage = (await lead_of(scene)).stage_id
    for wrong in ({"text": "x" * 501}, {"stage_id": 7}, {"next_stage_id": 7}, {"next_stage_id": stage}):
        with pytest.raises(Invalid):
            await set_goal(scene, **{"stage_id": stage, "text": "A day is named"} | wrong)
    assert (await set_goal(scene, stage_id=stage, text=" ")) == ()
    (kept,) = await set_goal(scene, stage_id=stage, text=" A day is named ")
    assert (kept.text, kept.next_stage_id) == ("A day is named", None)


async def set_goal(scene, **goal):
    world, lead = scene.world, await lead_of(scene)
    rule = {"connection_id": str(world.hook.connection_id), "pipeline_id": lead.pipeline_id, "goals": [goal]}
    await scene.set_agent(pipelines={"chosen": [rule]})
    async with world.db.session(world.scope) as session:
        (agent,) = await agents.list_agents(session)
    return agent.settings.pipelines.chosen[0].goals
