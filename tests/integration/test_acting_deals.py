"""How an agent moves deals from stage to stage after its answers."""

import pytest

from gptagent.features.dialog.acting import service
from integration.acting_desk import Desk
from scenes import Scene


@pytest.fixture
async def desk(world, model, control):
    return await Desk(await Scene.open(world), control, model).open()


async def test_a_stage_whose_goal_is_met_is_left_for_the_one_that_was_named(desk):
    """AGT-32: the goal is told where answers are made; where the deal goes on to is an action like others."""
    pipeline = next(one for one in desk.known.pipelines if one.is_main)
    second = [one for one in pipeline.stages if one.kind == "open"][1]
    await desk.says(acts=False)  # the mirror learns where the deal is
    now = (await desk.values())["place"].stage_id
    goal = {"stage_id": now, "text": "The customer has named a day", "next_stage_id": second.id}
    where = {"connection_id": str(desk.id), "pipeline_id": pipeline.id}
    await desk.scene.set_agent(
        pipelines={"chosen": [{**where, "goals": [goal]}]}, actions={"move_deal": "alone", "add_note": "off"}
    )
    desk.calls(("move_deal", {"stage": second.name, "reason": "", "confidence": 1}))
    await desk.says("Come on Friday.")
    told = [call["prompt"][0]["content"] for call in desk.control.get("/calls").json()["calls"]]
    assert any("at this stage of the deal: The customer has named a day" in one for one in told)
    assert any(f'<goal next="{second.name}">The customer has named a day</goal>' in one for one in told)
    assert (await desk.values())["place"].stage_id == second.id
    await desk.scene.set_agent(actions={"move_deal": "off", "add_note": "approve"})
    await desk.says("Or on Monday.")
    last = desk.control.get("/calls").json()["calls"][-1]["prompt"][0]["content"]
    assert "<goal" not in last


async def test_a_deal_may_go_back_and_forth_and_a_proposal_stays_with_its_own_deal(desk):
    await desk.scene.set_agent(actions={"move_deal": "alone", "add_note": "approve"})
    pipeline = next(one for one in desk.known.pipelines if one.is_main)
    stages = [one for one in pipeline.stages if one.kind == "open"][1:3]
    sure = {"reason": "", "confidence": 1}
    for number, stage in enumerate((*stages, stages[0], stages[0])):
        desk.calls(("move_deal", {"stage": stage.name, **sure}), ("add_note", {"text": "Call", **sure}))
        await desk.says(f"And now? {number}")
        assert (await desk.values())["place"].stage_id == stage.id
    assert len(await desk.rows("select id from app.crm_action")) == 3
    (note,) = [one for one in await desk.proposals() if one.action == "add_note"]
    other = await desk.world.account.new_chat()
    async with desk.session() as session:
        await session.execute("update app.conversation set lead_id = $1", other["lead_id"])
        await service.approve(session, desk.scene.conversation_id, note.id, by="Alice")
    (action,) = await desk.rows("select entity_id from app.crm_action where kind = 'add_note'")
    assert action["entity_id"] == desk.scene.chat["lead_id"]
