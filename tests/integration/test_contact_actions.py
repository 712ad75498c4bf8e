"""What an agent does about calls, meetings and contacts: proposed by what customers want, done once."""

import json

import pytest

from gptagent.adapters.kommo.client import Call
from gptagent.features.crm import service as crm
from gptagent.features.crm.actions import service as actions
from gptagent.features.crm.actions.checking import Asked
from gptagent.features.crm.actions.jobs import ActionJobs
from gptagent.features.crm.actions.model import Create, Custom, Plain
from gptagent.features.crm.actions.reverting import Reverting, revert_change
from gptagent.features.crm.syncing import service as syncing
from gptagent.features.crm.syncing.jobs import SyncJobs
from gptagent.features.crm.values import FieldValue, Labelled
from gptagent.features.dialog.acting import service
from gptagent.kernel.errors import OutcomeUnknown, UpstreamUnavailable
from integration.acting_desk import LOOKING, Desk
from scenes import Scene
from worlds import UNANSWERED

PHONE, EMAIL = "+7 912 345-67-89", "ann@example.org"
SURE = {"reason": "", "confidence": 0.9}


@pytest.fixture
async def desk(world, model, control):
    return await Desk(await Scene.open(world), control, model).open()


async def link_of(desk):
    async with desk.session() as session:
        return await crm.open_link(session, desk.id, desk.world.vault)


async def read_again(desk):
    async with desk.session() as session:
        sync = await syncing.request_sync(session, desk.id, "manual")
    await SyncJobs(desk.scene.crm, desk.world.vault).run(desk.context(), sync_id=str(sync.id))


async def without_contact(desk):
    """Let the chat be one of a deal that has no contact; return its number."""
    lead_id = await desk.scene.crm.create_record(await link_of(desk), "leads", Create("Shop"))
    await read_again(desk)
    desk.scene.chat = {**desk.scene.chat, "lead_id": lead_id, "contact_id": None}
    return lead_id


async def killed_while_it_makes_ann(desk):
    """The CRM has made a contact for a deal without one, and the answer is lost. Returns the deal's id."""
    lead_id = await without_contact(desk)
    await desk.scene.set_agent(actions={"create_contact": "alone"})
    desk.calls(("create_contact", named()))
    await desk.says(f"I am Ann Lee, {PHONE}, {EMAIL}. How much is delivery to the city?", acts=False)
    await desk.world.account.break_next("contacts", **UNANSWERED)
    with pytest.raises((UpstreamUnavailable, OutcomeUnknown)):
        await desk.act()
    return lead_id


def named(**more):
    return {"name": "Ann Lee", "phone": "8 912 345 67 89", "email": EMAIL, **SURE, **more}


async def test_a_deal_without_a_contact_gets_one_of_what_the_customer_has_named_once(desk):
    """MSG-14, MSG-15: the number of the country may be written otherwise; also after a killed process"""
    lead_id = await without_contact(desk)
    await desk.scene.set_agent(actions={"create_contact": "alone"})
    desk.calls(("create_contact", named(phone="+7 900 000 00 00")), ("create_contact", named()))
    await desk.says(f"I am Ann Lee, {PHONE}, {EMAIL.upper()}. How much is delivery to the city?", acts=False)
    await desk.world.account.break_next("contacts", **UNANSWERED)
    with pytest.raises((UpstreamUnavailable, OutcomeUnknown)):
        await desk.act()
    await desk.perform()
    assert await desk.verdicts() == [("create_contact", "argument_invalid"), ("create_contact", "taken")]
    link = await link_of(desk)
    lead = await desk.scene.crm.fetch_lead(link, lead_id)
    (contact_id,) = lead.contact_ids
    values = await desk.scene.crm.fetch_values(link, "contacts", contact_id)
    assert values["name"].value == "Ann Lee"
    said = {one.field.code: one.field.text for one in values.values() if hasattr(one, "field")}
    assert said["PHONE"].endswith("912 345 67 89") and said["EMAIL"] == EMAIL
    (action,) = await desk.rows("select kind, state, external_id from app.crm_action")
    assert tuple(action) == ("create_contact", "done", contact_id)
    desk.calls(("create_contact", named()), ("tell_intent", {"intent": "other", "confidence": 1}))
    await desk.says(f"My number again: {PHONE}, {EMAIL}. And now?")
    assert (await desk.runs())[-1].state == "done" and desk.prompt() is not None
    assert len(await desk.rows("select id from app.crm_action")) == 1


async def test_a_deal_that_was_given_a_contact_meanwhile_gets_no_second_one(desk):
    """MSG-15: what is done is held against the CRM, not against what was known of it"""
    lead_id = await without_contact(desk)
    await desk.scene.set_agent(actions={"create_contact": "approve"})
    desk.calls(("tell_intent", {"intent": "other", "confidence": 1}))
    await desk.says()
    (waiting,) = await desk.proposals()
    assert (waiting.action, waiting.shown, waiting.degree) == ("create_contact", "Ann", "approve")
    assert waiting.confidence == pytest.approx(0.5)
    desk.calls(("create_contact", named(name="Ann Lee", phone="", email=EMAIL)))
    await desk.says(f"I am Ann Lee, {EMAIL}.")
    desk.calls(("tell_intent", {"intent": "other", "confidence": 1}))
    await desk.says("And now?")
    (waiting,) = await desk.proposals()
    assert waiting.shown == f"Ann Lee, {EMAIL}", "what is known of the customer is not forgotten again"
    link = await link_of(desk)
    person = await desk.scene.crm.create_record(link, "contacts", Create("Somebody else"))
    await desk.scene.crm.link_contact(link, lead_id, person)
    async with desk.session() as session:
        await service.approve(session, desk.scene.conversation_id, waiting.id, by="Alice")
    await desk.perform()
    (action,) = await desk.rows("select state, error_code from app.crm_action")
    assert tuple(action) == ("failed", "lead_has_contact")
    assert (await desk.scene.crm.fetch_lead(link, lead_id)).contact_ids == (person,)


async def test_nor_if_it_was_given_one_after_a_contact_was_made_and_not_linked_yet(desk):
    """MSG-15, CRM-23: a killed process has made it"""
    lead_id = await killed_while_it_makes_ann(desk)
    link = await link_of(desk)
    person = await desk.scene.crm.create_record(link, "contacts", Create("Somebody else"))
    await desk.scene.crm.link_contact(link, lead_id, person)
    await desk.perform()
    (action,) = await desk.rows("select state, error_code from app.crm_action")
    assert tuple(action) == ("failed", "lead_has_contact")
    assert (await desk.scene.crm.fetch_lead(link, lead_id)).contact_ids == (person,)


async def named_so(desk, name):
    """The contacts of the account that have this name."""
    call = Call("list_contacts", "/contacts", query=(("limit", 250),))
    page, _more = await desk.scene.crm._client.page(await link_of(desk), call, "contacts")
    return [row["id"] for row in page if row["name"] == name]


async def test_a_contact_the_deal_does_not_take_is_told_of_and_never_made_again(desk):
    """MSG-15, CRM-23: the CRM deletes no contact over its API, so a second one would stay"""
    lead_id = await without_contact(desk)
    await desk.scene.set_agent(actions={"create_contact": "alone"})
    desk.calls(("create_contact", named()))
    await desk.world.account.break_next("/link", status=400, count=1)
    await desk.says(f"I am Ann Lee, {PHONE}, {EMAIL}. How much is delivery to the city?")
    (action,) = await desk.rows("select state, external_id from app.crm_action")
    assert action["state"] == "failed" and [action["external_id"]] == await named_so(desk, "Ann Lee")
    await desk.scene.perform_tasks()
    (task,) = await desk.ledger("task")
    assert f"Contact {action['external_id']} was made for deal {lead_id}" in task["text"]
    (owed,) = await desk.rows("select record_kind, lead_id from app.crm_task")
    assert tuple(owed) == ("contact", action["external_id"])
    desk.calls(("create_contact", named()))
    await desk.says(f"Again: Ann Lee, {PHONE}, {EMAIL}. And now?")
    assert len(await desk.rows("select id from app.crm_action where kind = 'create_contact'")) == 1
    async with desk.session() as session:  # a person asks for it once more
        await actions.create_record(session, desk.id, "contacts", Asked({"name": "Ann Lee"}), lead_id=lead_id)
    await desk.perform()
    lead = await desk.scene.crm.fetch_lead(await link_of(desk), lead_id)
    assert list(lead.contact_ids) == [action["external_id"]] == await named_so(desk, "Ann Lee")


async def test_a_contact_the_deal_did_not_take_gets_what_is_known_of_the_customer_by_then(desk):
    """MSG-15: the next attempt takes the same contact, and loses no phone over it"""
    lead_id = await without_contact(desk)
    (phone,) = [one.id for one in desk.known.fields if (one.entity, one.code) == ("contacts", "PHONE")]
    await desk.world.account.break_next("/link", status=400, count=1)
    for values in ({}, {phone: PHONE}):
        async with desk.session() as session:
            asked = Asked({"name": "Ann Lee"}, fields=values)
            await actions.create_record(session, desk.id, "contacts", asked, lead_id=lead_id)
        await desk.perform()
    (made,), link = await named_so(desk, "Ann Lee"), await link_of(desk)
    assert (await desk.scene.crm.fetch_lead(link, lead_id)).contact_ids == (made,)
    values = await desk.scene.crm.fetch_values(link, "contacts", made)
    assert [one.field.code for one in values.values() if hasattr(one, "field") and one.field.values] == [
        "PHONE"
    ]


async def test_of_a_contact_the_deal_did_not_take_a_colleague_is_told_once(desk):
    """CRM-23: a job whose process was killed after it had ended the action is given up; another one fails"""
    lead_id = await without_contact(desk)
    await desk.scene.set_agent(actions={"create_contact": "alone"})
    desk.calls(("create_contact", named()))
    await desk.world.account.break_next("/link", status=400, count=2)
    await desk.says(f"I am Ann Lee, {PHONE}, {EMAIL}. How much is delivery to the city?")
    (action,) = await desk.rows("select id from app.crm_action")
    jobs = ActionJobs(desk.scene.crm, desk.world.vault)
    await jobs.give_up(desk.context(), action_id=str(action["id"]))
    async with desk.session() as session:
        await actions.create_record(session, desk.id, "contacts", Asked({"name": "Ann Lee"}), lead_id=lead_id)
    await desk.perform()
    assert [row["state"] for row in await desk.rows("select state from app.crm_action")] == ["failed"] * 2
    assert len(await desk.rows("select id from app.crm_task")) == 1


async def test_a_contact_that_the_deal_did_not_take_and_a_person_has_deleted_is_made_anew(desk):
    lead_id, asked = await without_contact(desk), Asked({"name": "Ann Lee"})

    async def ask():
        async with desk.session() as session:
            await actions.create_record(session, desk.id, "contacts", asked, lead_id=lead_id)
        await desk.perform()
        return await named_so(desk, "Ann Lee")

    await desk.world.account.break_next("/link", status=400, count=1)
    (first,) = await ask()
    await desk.world.account.call("DELETE", f"/records/contacts/{first}")
    (second,) = await ask()
    lead = await desk.scene.crm.fetch_lead(await link_of(desk), lead_id)
    assert lead.contact_ids == (second,) and second != first


async def test_a_contact_that_is_not_linked_yet_is_known_by_its_number_whatever_it_is_called_by_now(desk):
    """MSG-15"""
    lead_id = await without_contact(desk)
    await desk.scene.set_agent(actions={"create_contact": "alone"})
    desk.calls(("create_contact", named()))
    await desk.says(f"I am Ann Lee, {PHONE}, {EMAIL}. How much is delivery to the city?", acts=False)
    await desk.world.account.break_next("/link", status=503, count=10)
    with pytest.raises(UpstreamUnavailable):
        await desk.act()
    (made,), link = await named_so(desk, "Ann Lee"), await link_of(desk)
    await desk.scene.crm.update_record(link, "contacts", made, {"name": Plain("Ann L.")}, {})
    await desk.world.account.call("DELETE", "/faults")
    await desk.perform()
    assert (await desk.scene.crm.fetch_lead(link, lead_id)).contact_ids == (made,)
    assert await named_so(desk, "Ann Lee") == []


async def test_another_contact_of_that_name_is_not_taken_for_what_a_killed_process_has_made(desk):
    """MSG-15, CRM-23: Ann Lee has a namesake, made a moment later with another phone"""
    lead_id = await killed_while_it_makes_ann(desk)
    (ours,), link = await named_so(desk, "Ann Lee"), await link_of(desk)
    phone = next(one for one in desk.known.fields if one.entity == "contacts" and one.code == "PHONE")
    other = Custom(FieldValue(phone.id, "multitext", (Labelled("+7 999 000-00-00", "WORK"),), code="PHONE"))
    await desk.scene.crm.create_record(link, "contacts", Create("Ann Lee", {f"field:{phone.id}": other}))
    await desk.perform()
    assert (await desk.scene.crm.fetch_lead(link, lead_id)).contact_ids == (ours,)


async def test_of_two_contacts_that_two_chats_have_made_for_a_deal_one_is_made(desk):
    """MSG-15: the later one waits for the earlier one, and finds that the deal has a contact"""
    lead_id, made = await without_contact(desk), []
    for name in ("Ann", "Ann Lee"):
        async with desk.session() as session:
            asked = Asked({"name": name})
            made.append(await actions.create_record(session, desk.id, "contacts", asked, lead_id=lead_id))
    jobs = ActionJobs(desk.scene.crm, desk.world.vault)
    for one in (made[1], made[0], made[1]):
        await jobs.perform(desk.context(), action_id=str(one.id))
    rows = await desk.rows("select state, error_code from app.crm_action order by created_at, id")
    assert [tuple(row) for row in rows] == [("done", None), ("failed", "lead_has_contact")]
    lead = await desk.scene.crm.fetch_lead(await link_of(desk), lead_id)
    assert len(lead.contact_ids) == 1


async def test_a_contact_gets_the_phone_the_customer_names_and_a_person_takes_it_back(desk):
    """MSG-14: nothing that was not said, nothing over what is there"""
    await read_again(desk)
    await desk.scene.set_agent(actions={"fill_contact": "alone"})
    desk.calls(
        ("fill_contact", {"phone": "+7 999 111 22 33", "email": "", **SURE}),
        ("fill_contact", {"phone": "call me", "email": "", **SURE}),
        ("fill_contact", {"phone": "", "email": "", **SURE}),
        ("fill_contact", {"phone": PHONE, "email": "", **SURE}),
    )
    await desk.says(f"Call {PHONE}. How much does delivery to the city cost?")
    verdicts = ["argument_invalid", "value_unfit", "nothing_to_do", "taken"]
    assert [verdict for _tool, verdict in await desk.verdicts()] == verdicts
    phone = next(one for one in desk.known.fields if one.entity == "contacts" and one.code == "PHONE")
    key = f"field:{phone.id}"
    assert (await desk.values("contacts"))[key].field.text == PHONE
    await read_again(desk)
    desk.calls(("fill_contact", {"phone": "+7 912 000-00-00", "email": EMAIL, **SURE}))
    await desk.says(f"Or +7 912 000-00-00, or write to {EMAIL}.")
    assert await desk.verdicts() == [("fill_contact", "unknown_argument")]
    (change,) = [one for one in await desk.changes() if one.key == key]
    door = Reverting(desk.world.db, desk.scene.crm, desk.world.vault)
    await revert_change(door, desk.world.scope, desk.id, change.id, force=False)
    await desk.perform()
    assert key not in await desk.values("contacts")


async def test_what_a_customer_wants_is_proposed_where_the_model_does_not_say_it_itself(desk):
    """MSG-14: a call within the hour, a meeting a day later, a complaint as note and task; each once"""
    await desk.scene.set_agent(actions={"create_task": "approve", "add_note": "suggest"})
    for intent in ("request_callback", "booking", "complaint", "complaint"):
        desk.calls(("tell_intent", {"intent": intent, "confidence": 0.85}))
        await desk.says(f"{intent} please. How much does delivery to the city cost?")
    rows = await desk.rows(
        """select action, fields->>'kind' as kind, (fields->>'due_in_minutes')::int as due,
                  round(confidence::numeric, 2)::float as sure, state
             from app.action_proposal order by created_at, id"""
    )
    assert [tuple(row) for row in rows] == [
        ("create_task", "call", 60, 0.85, "waiting"),
        ("add_note", None, None, 0.4, "outdated"),
        ("create_task", "meeting", 1440, 0.8, "waiting"),
        ("add_note", None, None, 0.7, "waiting"),
        ("create_task", "call", 120, 0.8, "waiting"),
    ]
    meeting = next(one for one in await desk.proposals() if "appointment" in one.shown)
    async with desk.session() as session:
        await service.approve(session, desk.scene.conversation_id, meeting.id, by="Alice")
    await desk.perform()
    (made,) = await desk.ledger("task")
    assert "booking please" in made["text"] and made["type_id"] == 2


async def test_who_speaks_of_payment_is_written_to_where_the_deal_has_a_value(desk):
    """MSG-14: a task for a colleague, for the agent answers once"""
    await desk.scene.set_agent(actions={"create_task": "suggest"})
    desk.calls(("tell_intent", {"intent": "payment", "confidence": 1}))
    for price, proposed in ((0, []), (9_000, [(0.6, True)])):
        await desk.says("How do I pay? How much does delivery to the city cost?", acts=False)
        async with desk.session() as session:
            await session.execute("update app.crm_lead set price = $1", price)
        await desk.act()
        told = [(round(one.confidence, 1), "9,000" in one.shown) for one in await desk.proposals()]
        assert told == proposed


async def test_a_deal_with_few_notes_gets_one_of_what_the_customer_writes(desk):
    """MSG-14: until there are two, and not while one waits"""
    await desk.scene.set_agent(actions={"add_note": "approve"})
    desk.calls(("tell_intent", {"intent": "inquiry", "confidence": 1}))
    for number in range(2):
        for _ in range(2):
            await desk.says(f"Is it far? {number}. How much does delivery to the city cost?")
            (waiting,) = [one for one in await desk.proposals() if one.state == "waiting"]
            assert (waiting.action, round(waiting.confidence, 1)) == ("add_note", 0.4)
            assert f"Is it far? {number}." in waiting.shown
        async with desk.session() as session:
            await service.approve(session, desk.scene.conversation_id, waiting.id, by="Alice")
            await session.execute(
                "update app.action_proposal set created_at = created_at - interval '2 days'"
            )
        await desk.perform()
    await desk.says("Is it far? How much does delivery to the city cost?")
    assert [one.state for one in await desk.proposals()] == ["done", "done"]


async def test_a_task_that_the_reply_promises_or_the_model_makes_is_not_proposed_twice(desk):
    await desk.scene.set_agent(actions={"create_task": "suggest"})
    wants = ("tell_intent", {"intent": "request_callback", "confidence": 1})
    desk.calls(wants, reply="Delivery to the city costs 490 roubles [1]. I will call you back today.")
    await desk.says("Call me. How much does delivery to the city cost?")
    assert await desk.proposals() == []
    own = {"text": "Call Ann", "kind": "meeting", "due_in_hours": 5, **SURE}
    desk.calls(wants, ("create_task", {**own, "kind": "party"}), ("create_task", own))
    await desk.says("Call me, please do.")
    assert [one.shown for one in await desk.proposals()] == ["Call Ann"]
    assert ("create_task", "argument_invalid") in await desk.verdicts()


async def test_what_to_do_is_decided_by_as_much_of_the_chat_as_is_set(desk):
    """MSG-7: but for what a colleague has said to us"""
    await desk.scene.set_agent(actions={"create_task": "suggest"})
    await desk.scene.says("/agent", author="human")
    desk.calls(("tell_intent", {"intent": "other", "confidence": 1}))
    for _ in range(6):
        await desk.says(acts=False)
    told = {}
    for wished in (0, 3, 50):
        await desk.scene.set_agent(history_messages=wished)
        await desk.says()
        told[wished] = desk.prompt()[1]["content"].count("<message ")
    assert told == {0: 1, 3: 4, 50: 17}


def in_words(*calls):
    asked = [{"name": name, "arguments": arguments} for name, arguments in calls]
    return json.dumps({"calls": asked})


async def test_a_model_that_takes_no_tools_is_asked_in_words_and_held_to_the_same_rules(desk, control):
    """MSG-13, MSG-14"""
    control.post("/knobs", json={"takes_tools": False}).raise_for_status()
    await desk.scene.set_agent(actions={"create_task": "approve"})
    task = {"text": "Call Ann", "kind": "call", "due_in_hours": 1, **SURE}
    answer = in_words(
        ("create_task", {**task, "lead_id": 999}), ("create_task", task), ("move_deal", {"stage": "Won"})
    )
    for number, said in enumerate((f"```json\n{answer}\n```", "Sure, I will call!", '{"calls": [], "x": 1}')):
        rules = [{"system": LOOKING, "reply": said}, {"reply": "Delivery costs 490 roubles [1]."}]
        control.post("/script?replace=1", json=rules).raise_for_status()
        await desk.says(f"Call me {number}. How much does delivery to the city cost?")
    first, *others = await desk.runs()
    verdicts = [(one.tool, one.verdict) for one in first.calls]
    assert verdicts == [
        ("create_task", "unknown_argument"),
        ("create_task", "taken"),
        ("move_deal", "tool_not_allowed"),
    ]
    assert [(one.state, one.error_code) for one in others] == [("failed", "actions_unreadable")] * 2
    assert [one.shown for one in await desk.proposals()] == ["Call Ann"]
    asked = [one for one in control.get("/calls").json()["calls"] if LOOKING in one["prompt"][0]["content"]]
    assert [one["outcome"] for one in asked] == ["400", "answered"] * 3
    assert '"name":"create_task"' in asked[1]["prompt"][0]["content"]
    used = await desk.rows("select calls from app.llm_usage where purpose = 'actions'")
    assert len(used) == 3, "what could not be read was paid for all the same"


async def test_a_reply_that_only_promises_where_nobody_would_know_is_worded_anew_once(desk, control):
    """MSG-13: the second wording is said if it promises nothing, else the not-found text"""
    desk.scene.chat = {**desk.scene.chat, "lead_id": None, "contact_id": None}
    again = {
        "match": "only promises",
        "reply": "Delivery to the city costs 490 roubles [1]. I will call you.",
    }
    only = {"reply": "I will call you back tomorrow."}
    control.post("/script?replace=1", json=[again, only]).raise_for_status()
    await desk.says(acts=False)
    assert await desk.scene.sent() == ["Delivery to the city costs 490 roubles."]
    assert len(control.get("/calls").json()["calls"]) == 2
    control.post("/script?replace=1", json=[only]).raise_for_status()
    await desk.says("And how much is delivery to the city now?", acts=False)
    assert (await desk.scene.outcomes())[-1] == ("not_found", "promise")
    assert len(control.get("/calls").json()["calls"]) == 4
