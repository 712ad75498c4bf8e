"""A conversation is handed over: message, assignment, task and summary, together or not at all."""

import asyncio
import re
from dataclasses import replace
from uuid import UUID

import pytest

from gptagent.adapters.kommo.client import Call
from gptagent.features.conversations import assigning
from gptagent.features.conversations import service as conversations
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.actions.jobs import ActionJobs
from gptagent.features.dialog.handing import service
from gptagent.features.dialog.handing.service import Handing
from gptagent.features.dialog.prompting import ModelResponder
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid, UpstreamUnavailable
from gptagent.kernel.ids import new_id
from gptagent.kernel.jobs import JobContext
from members import add_member
from readers import texts
from scenes import Scene, Wrapped
from worlds import UNANSWERED

WORDS = "A colleague is on the way."
ASKS = "Позовите менеджера, пожалуйста"


@pytest.fixture
async def scene(world):
    scene = await Scene.open(world)
    await scene.set_agent(handoff_text=WORDS)
    return scene


async def by_button(scene, **given):
    """Hand over as Bob would by the page; who takes over is Alice, the owner."""
    text = given.pop("text", "Alice will answer you.")
    handing = Handing("person", "Bob", "person", text, note=given.pop("note", ""))
    assignee = given.pop("assignee_id", scene.world.scope.actor.id)
    async with scene.world.db.session(scene.world.scope) as session:
        return await service.hand_over(
            session, scene.conversation_id, handing, assignee_id=assignee, now=utcnow(), **given
        )


async def handoffs(scene):
    async with scene.world.db.session(scene.world.scope) as session:
        return await service.list_handoffs(session, scene.conversation_id)


async def traces(scene):
    """How many rows of each part there are."""
    tables = ("outgoing", "handoff", "crm_task", "crm_action")
    async with scene.world.db.session(scene.world.scope) as session:
        return {one: await session.fetchval(f"select count(*) from app.{one}") for one in tables}  # noqa: S608 - names of this file


async def notes(scene):
    """The notes on the customer's deal in the CRM."""
    world = scene.world
    async with world.db.session(world.scope) as session:
        link = await crm_service.open_link(session, world.hook.connection_id, world.vault)
    call = Call("count", f"/leads/{scene.chat['lead_id']}/notes", query=(("limit", 250),))
    page, _more = await scene.crm._client.page(link, call, "notes")
    return page


async def carry_out(scene):
    """Run every job of the hand-off, each more than once, as after killed workers."""
    for _ in range(2):
        await scene.send_owed()
        await scene.perform_tasks()
        await scene.perform_actions()


async def test_a_customer_who_asks_for_a_person_gets_the_words_and_a_colleague_gets_the_rest(scene, world):
    """AGT-27, AGT-18: the setting's text is sent once; assignment, task and summary belong to it."""
    await scene.says("How long is the guarantee?")
    await scene.calm()
    await scene.says(ASKS)
    await scene.calm()
    before = await scene.sent()
    conversation = await scene.conversation()
    assert conversation["taken_over_by"] == "Alice" and conversation["assignee_id"] == world.scope.actor.id
    await carry_out(scene)
    assert await scene.sent() == [*before, WORDS]
    (task,) = [one for one in await scene.ledger("task") if "Alice" in str(one)]
    assert ASKS in str(task)
    (note,) = await notes(scene)
    assert "How long is the guarantee?" in str(note) and "asked for a person" in str(note)
    (made,) = await handoffs(scene)
    assert (made.message_state, made.task_state, made.summary_state) == ("sent", "done", "done")
    assert (await scene.outcomes())[-1] == ("handed_off", "asked_for_person")
    await scene.says("Hello?")
    await scene.calm()
    assert (await scene.outcomes())[-1] == ("refused", "taken_over")


async def test_the_model_may_hand_over_and_its_words_are_the_companys(scene, model, control):
    scene.runner = replace(scene.runner, responder=ModelResponder(model))
    control.post("/script?replace=1", json=[{"reply": "HAND_OVER"}]).raise_for_status()
    await scene.write_article("Returns", "Goods are taken back within 14 days.")
    await scene.says("I am furious: the third broken parcel!")
    await scene.calm()
    assert await scene.outcomes() == [("handed_off", "model_hands_over")]
    assert "exactly HAND_OVER" in control.get("/calls").json()["calls"][-1]["prompt"][0]["content"]
    await carry_out(scene)
    assert await scene.sent() == [WORDS]


async def test_an_agent_whose_replies_are_checked_hands_over_without_a_word(scene):
    """AGT-19: nothing is sent that nobody has seen, and the summary says so."""
    await scene.set_agent(check_before_sending=True)
    await scene.says(ASKS)
    await scene.calm()
    await carry_out(scene)
    assert await scene.sent() == []
    (note,) = await notes(scene)
    assert "told nothing" in str(note)
    assert (await scene.conversation())["taken_over_at"] is not None


@pytest.mark.parametrize("wrong", [{"assignee_id": new_id()}, {"text": " "}, {"note": "x" * 1_001}])
async def test_what_is_refused_leaves_nothing_behind(scene, wrong):
    await scene.says("Hello")
    await scene.calm()
    before = await traces(scene)
    with pytest.raises(Invalid):
        await by_button(scene, **wrong)
    assert await traces(scene) == before
    conversation = await scene.conversation()
    assert conversation["taken_over_at"] is None and conversation["assignee_id"] is None


async def test_a_part_that_cannot_be_owed_takes_the_others_back(scene, world):
    """The summary is refused by an account that is broken: neither message nor task nor hold remain."""
    await scene.says("Hello")
    await scene.calm()
    before = await traces(scene)
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_connection set status = 'broken'")
    with pytest.raises(Conflict):
        await by_button(scene)
    assert await traces(scene) == before
    assert (await scene.conversation())["taken_over_at"] is None


async def test_workers_that_die_at_each_part_leave_each_done_once(scene):
    await scene.says("Hello")
    await scene.calm()
    before = await scene.sent()
    await by_button(scene, note="Angry about the delay")

    async def die(call, *args, **kwargs):
        await call(*args, **kwargs)
        raise UpstreamUnavailable("killed", "The worker is gone.")

    def dying(name):
        return Wrapped(scene.crm, **{name: lambda *a, **k: die(getattr(scene.crm, name), *a, **k)})

    ctx = JobContext(scene.world.db, None, scene.world.scope, 1, 1)
    async with scene.world.db.session(scene.world.scope) as session:
        (action,) = await session.fetch("select id from app.crm_action")
    with pytest.raises(UpstreamUnavailable):
        await ActionJobs(dying("create_note"), scene.world.vault).perform(ctx, action_id=str(action["id"]))
    await scene.break_send(**UNANSWERED)
    await carry_out(scene)
    assert await scene.sent() == [*before, "Alice will answer you."]
    assert len(await notes(scene)) == 1
    assert len([one for one in await scene.ledger("task") if "Bob" in str(one)]) == 1
    (made,) = await handoffs(scene)
    assert (made.message_state, made.task_state, made.summary_state) == ("sent", "done", "done")


async def test_words_that_cannot_leave_are_told_of_by_a_task(scene, world):
    await scene.says("Hello")
    await scene.calm()
    await by_button(scene)
    await scene.break_send(status=400)
    await carry_out(scene)
    (made,) = await handoffs(scene)
    assert made.message_state == "not_sent"
    assert any("was not sent" in str(one) for one in await scene.ledger("task"))
    async with world.db.session(world.scope) as session:
        messages = await conversations.list_messages(session, scene.conversation_id)
    assert messages[-1].delivery_status == "failed"


async def test_two_at_the_same_moment_are_two_and_the_later_one_holds(scene, world):
    bob = await add_member(world.db, world.scope, "member")
    await scene.says("Hello")
    await scene.calm()
    await asyncio.gather(by_button(scene), by_button(scene, assignee_id=bob.actor.id))
    newest, _older = await handoffs(scene)
    assert (await scene.conversation())["assignee_id"] == newest.assignee_id


async def test_a_form_sent_twice_is_one_handoff_and_tells_the_customer_once(scene, world, alice):
    """U209"""
    await scene.says("Hello")
    await scene.calm()
    before, page = await scene.sent(), f"/conversations/{scene.conversation_id}"
    (known,) = re.findall(r'name="handoff_id" value="([^"]+)"', (await alice.open(page)).text)
    typed = {"assignee_id": str(world.scope.actor.id), "text": "Alice will answer you.", "handoff_id": known}
    for _ in range(2):
        shown = await alice.follow(await alice.send(f"{page}/handoffs", typed))
        assert "The conversation is handed over" in texts(shown)
    await asyncio.gather(*(by_button(scene, handoff_id=UUID(known)) for _ in range(2)))
    await carry_out(scene)
    assert await scene.sent() == [*before, "Alice will answer you."]
    assert len(await handoffs(scene)) == 1
    again = await alice.send(f"{page}/handoffs", {**typed, "handoff_id": str(new_id())})
    assert again.status_code == 303 and len(await handoffs(scene)) == 2


@pytest.mark.parametrize("other", [{"text": "Bob will."}, {"note": "Angry"}, {"assignee_id": "bob"}])
async def test_a_form_sent_again_with_other_words_is_refused_and_keeps_them(scene, world, alice, other):
    """What somebody has typed is never lost in silence: it is done, or it is said that it is not."""
    bob = await add_member(world.db, world.scope, "member")
    await scene.says("Hello")
    await scene.calm()
    page, known = f"/conversations/{scene.conversation_id}", str(new_id())
    typed = {"assignee_id": str(world.scope.actor.id), "text": "Alice will answer you.", "handoff_id": known}
    await alice.send(f"{page}/handoffs", typed)
    before = await traces(scene)
    changed = {key: str(bob.actor.id) if value == "bob" else value for key, value in other.items()}
    refused = await alice.send(f"{page}/handoffs", {**typed, **changed})
    assert refused.status_code == 409 and "hand it over once more" in texts(refused)
    assert all(value in refused.text for value in changed.values())
    assert await traces(scene) == before
    (again,) = re.findall(r'name="handoff_id" value="([^"]+)"', refused.text)
    done = await alice.send(f"{page}/handoffs", {**typed, **changed, "handoff_id": again})
    assert done.status_code == 303 and len(await handoffs(scene)) == 2


async def test_nobody_named_the_least_busy_colleague_gets_it(scene, world):
    bob = await add_member(world.db, world.scope, "member")
    other = await Scene.open(world)
    await other.says(ASKS)
    await other.calm()
    first = (await other.conversation())["assignee_id"]
    await scene.says(ASKS)
    await scene.calm()
    assert {first, (await scene.conversation())["assignee_id"]} == {world.scope.actor.id, bob.actor.id}
    async with world.db.session(world.scope) as session:  # one who has it keeps it
        await assigning.assign(session, scene.conversation_id, world.scope.actor.id)
        await world.inbox.resume(session, scene.conversation_id)
        await organizations.update_settings(session, {"stop_on_human": False})
    await scene.says("Оператор")
    await scene.calm()
    assert (await scene.conversation())["assignee_id"] == world.scope.actor.id


async def test_where_nobody_may_answer_customers_a_task_asks_for_an_answer_at_once(scene, world):
    async with world.db.session(world.scope) as session:
        await session.execute("update app.member set role = 'viewer'")
    await scene.says(ASKS)
    await scene.calm()
    assert await scene.outcomes() == [("handed_off", "nobody_to_hand_over_to")]
    assert await handoffs(scene) == []
    await scene.perform_tasks()
    (task,) = await scene.ledger("task")
    assert ASKS in str(task)


async def test_a_deleted_deal_takes_no_note_and_the_customer_is_handed_over_all_the_same(scene, world):
    """AGT-27: the task alone has the summary; the words are owed and the agent is silent."""
    await scene.says("How long is the guarantee?")
    await scene.calm()
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_lead set is_deleted = true")
    await scene.says(ASKS)
    await scene.calm()
    assert (await scene.outcomes())[-1] == ("handed_off", "asked_for_person")
    assert (await scene.conversation())["assignee_id"] == world.scope.actor.id
    (made,) = await handoffs(scene)
    assert (made.message_state, made.summary_state) == ("waiting", None)
    async with world.db.session(world.scope) as session:
        tasks = await session.fetch("select text from app.crm_task where text like '%has handed%'")
    assert ["How long is the guarantee?" in one["text"] for one in tasks] == [True]
