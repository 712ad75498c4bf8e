"""What becomes of what an answer promises."""

import pytest

from gptagent.features.dialog.drafts import service as drafts
from gptagent.features.dialog.tracing.telling import PURPOSES
from gptagent.kernel.i18n import translate
from integration.acting_desk import Desk, rule, write
from readers import texts
from scenes import Scene


@pytest.fixture
async def desk(world, model, control):
    return await Desk(await Scene.open(world), control, model).open()


PROMISING = "Delivery to the city costs 490 roubles [1]. I will call you back tomorrow. Good bye."


async def owed(desk):
    """Run the jobs of the tasks, each twice; return what they have made in the CRM."""
    await desk.scene.perform_tasks()
    return [entry["text"] for entry in await desk.ledger("task")]


async def test_what_a_reply_promises_becomes_one_task_as_it_is_sent(desk):
    desk.calls(reply=PROMISING)
    await desk.says(acts=False)
    assert (await desk.scene.sent())[-1].endswith("I will call you back tomorrow. Good bye.")
    assert await owed(desk) == [
        "The agent has promised the customer: “I will call you back tomorrow.” Please see that it is kept."
    ]
    (task,) = await desk.rows("select due_at - created_at as time from app.crm_task")
    assert round(task["time"].total_seconds() / 3600) == 24
    told = [one["prompt"][0]["content"] for one in desk.control.get("/calls").json()["calls"]]
    assert "write [PROMISE] right after" in told[-1]
    desk.calls(reply="Two days [1]. Ann sees to your parcel. [PROMISE]")
    await desk.says("And how long does delivery take?", acts=False)
    assert (await desk.scene.sent())[-1] == "Two days. Ann sees to your parcel."
    assert len(await owed(desk)) == 2


async def test_where_nobody_would_know_of_a_promise_it_is_not_said(desk):
    desk.scene.chat = {**desk.scene.chat, "lead_id": None, "contact_id": None}
    desk.calls(reply=PROMISING)
    await desk.says(acts=False)
    assert await desk.scene.sent() == ["Delivery to the city costs 490 roubles. Good bye."]
    told = [one["prompt"][0]["content"] for one in desk.control.get("/calls").json()["calls"]]
    assert "Do not promise that anybody will call" in told[-1] and "[PROMISE]" not in told[-1]
    desk.calls(reply="I will call you back tomorrow.")
    await desk.says("And how much is delivery to the city now?", acts=False)
    assert (await desk.scene.outcomes())[-1] == ("not_found", "promise")
    assert await owed(desk) == []


async def test_an_explanation_of_a_promise_worded_anew_tells_of_no_facts(desk, alice):
    """MSG-11: a second wording has more than one cause, and each is told by a note of its own."""
    desk.scene.chat = {**desk.scene.chat, "lead_id": None, "contact_id": None}
    desk.calls(reply="I will call you back tomorrow.")
    await desk.says(acts=False)
    (turn,) = await desk.scene.turns()
    page = f"/conversations/{desk.scene.conversation_id}/turns/{turn['id']}?part=drawer"
    shown = texts(await alice.open(page))
    assert "Worded anew, for it only promised what nobody would get to know of" in shown
    assert PURPOSES["rewrite"] in shown and "unsourced" not in shown
    assert (PURPOSES["rewrite"], translate("ru", PURPOSES["rewrite"])) == (
        "Second wording",
        "Второй вариант ответа",
    )


async def test_a_draft_promises_nothing_before_it_is_sent(desk):
    await desk.scene.set_agent(check_before_sending=True, update_rules={"lead": [rule("price")]})
    desk.calls(write(1, "77"), reply=PROMISING)
    await desk.says()
    assert (await desk.values())["price"].value == 77, "what the customer has said is written all the same"
    assert not any("promised" in text for text in await owed(desk))
    async with desk.session() as session:
        draft = await drafts.find_current(session, desk.scene.conversation_id)
        await drafts.approve(session, desk.scene.conversation_id, draft.id, by="Alice")
    await desk.scene.calm()
    await desk.act()
    assert [one.state for one in await desk.runs()] == ["done"]
    assert sum("promised" in text for text in await owed(desk)) == 1
