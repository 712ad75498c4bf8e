"""What is done in the CRM on request: checked first, done once, written into the journal, taken back."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial

import asyncpg
import pytest

from gptagent.adapters.kommo.client import Call
from gptagent.features.crm import service as crm
from gptagent.features.crm.actions import service, store
from gptagent.features.crm.actions.checking import Asked
from gptagent.features.crm.actions.jobs import ActionJobs
from gptagent.features.crm.actions.model import Evidence, Note, Task
from gptagent.features.crm.actions.service import Target
from gptagent.features.crm.calling import once
from gptagent.features.crm.jobs import CrmJobs
from gptagent.features.crm.model import NewTask
from gptagent.features.privacy import store as privacy
from gptagent.features.privacy.keeping import store as keeping
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import (
    Conflict,
    Invalid,
    NotFound,
    OutcomeUnknown,
    UpstreamUnavailable,
)
from gptagent.kernel.ids import new_id
from integration.crm_desk import Desk
from scenes import Wrapped
from worlds import UNANSWERED

WON = 142


@pytest.fixture
async def desk(world):
    return await Desk(world).open()


async def test_what_the_account_does_not_allow_is_refused_before_anything_leaves(desk):
    """CRM-23 CRM-25"""
    pipeline = desk.known.pipelines[0]
    incoming = next(stage.id for stage in pipeline.stages if stage.kind == "incoming")
    choice, number = desk.field("leads", "select"), desk.field("leads", "numeric")
    date, flag = desk.field("leads", "date"), desk.field("leads", "checkbox")
    phone = desk.field("contacts", "multitext")
    async with desk.session() as session:
        await session.execute("update app.crm_user set is_active = false where not is_admin")
        await session.execute(
            "update app.crm_field set removed_at = now() where external_id = $1",
            desk.field("leads", "textarea").id,
        )
        await session.execute(
            "update app.crm_stage set removed_at = now() where external_id = $1", pipeline.stages[2].id
        )
    idle = next(one.id for one in desk.known.users if not one.is_admin)
    wrong = [
        ("leads", Asked({}, 4, WON), "pipeline_id"),
        ("leads", Asked({}, None, 5), "stage_id"),
        ("leads", Asked({}, None, incoming), "stage_id"),
        ("leads", Asked({}, None, pipeline.stages[2].id), "stage_id"),
        ("leads", Asked({"responsible_user_id": idle}), "responsible_user_id"),
        ("leads", Asked({"responsible_user_id": 1}), "responsible_user_id"),
        ("leads", Asked({"name": "x" * 256}), "name"),
        ("leads", Asked({"name": " "}), "name"),
        ("leads", Asked({"price": -1}), "price"),
        ("leads", Asked({}, tags_add=["x" * 251]), "tags"),
        ("leads", Asked({}, fields={choice.id: "Nothing of the kind"}), f"fields/{choice.id}"),
        ("leads", Asked({}, fields={choice.id: 1}), f"fields/{choice.id}"),
        ("leads", Asked({}, fields={number.id: "much"}), f"fields/{number.id}"),
        ("leads", Asked({}, fields={date.id: "tomorrow"}), f"fields/{date.id}"),
        ("leads", Asked({}, fields={flag.id: "yes"}), f"fields/{flag.id}"),
        ("leads", Asked({}, fields={flag.id: [True, False]}), f"fields/{flag.id}"),
        ("leads", Asked({}, fields={phone.id: "+1"}), f"fields/{phone.id}"),
        (
            "leads",
            Asked({}, fields={desk.field("leads", "textarea").id: "x"}),
            f"fields/{desk.field('leads', 'textarea').id}",
        ),
        (
            "contacts",
            Asked({}, fields={phone.id: {"value": "+1", "code": "PAGER"}}),
            f"fields/{phone.id}",
        ),
        ("contacts", Asked({}), ""),
    ]
    before = (await desk.account.call("GET", "/stats"))["requests"]
    for kind, asked, pointer in wrong:
        target = desk.lead if kind == "leads" else desk.contact
        with pytest.raises(Invalid) as refusal:
            await desk.ask(service.update_record, target, asked)
        assert [one.pointer for one in refusal.value.fields] == [pointer], asked
    assert (await desk.account.call("GET", "/stats"))["requests"] == before
    assert await desk.ask(lambda s: s.fetchval("select count(*) from app.crm_action")) == 0


async def test_every_field_written_leaves_what_stood_there_before(desk):
    """CRM-23 CRM-25"""
    choice, number = desk.field("leads", "select"), desk.field("leads", "numeric")
    turn = new_id()
    asked = Asked(
        {"name": "Renamed", "price": 900},
        None,
        WON,
        {choice.id: choice.enums[1].value, number.id: "12.50"},
        tags_add=["VIP"],
    )
    done = await desk.write(desk.lead, asked, evidence=Evidence(turn_id=turn, reason="She said so"))
    assert done.state == "done" and done.kind == "update_lead"
    lines = {one.key: one for one in await desk.changes(kind="leads", record_id=desk.lead.id)}
    assert set(lines) == {"name", "price", "place", "tags", f"field:{choice.id}", f"field:{number.id}"}
    assert lines["name"].before.value == desk.chat.get("lead_name", lines["name"].before.value)
    assert lines["name"].after.value == "Renamed" and lines["place"].after.stage_id == WON
    assert lines["tags"].before.names == () and lines["tags"].after.names == ("VIP",)
    assert lines["name"].evidence.turn_id == turn and lines["name"].evidence.reason == "She said so"
    values = await desk.values(desk.lead)
    assert values["place"].stage_id == WON and values["tags"].names == ("VIP",)
    again = await desk.write(desk.lead, asked)
    assert again.state == "done" and len(await desk.changes()) == len(lines)


async def test_a_change_is_taken_back_and_that_is_a_line_too(desk):
    """CRM-23"""
    number = desk.field("leads", "numeric")
    first = await desk.values(desk.lead)
    await desk.write(desk.lead, Asked({"name": "Renamed"}, None, WON, {number.id: 7}, ["VIP"]))
    for change in await desk.changes():
        action = await desk.revert(change)
        with pytest.raises(Conflict) as twice:
            await desk.revert(change)
        assert twice.value.code == "already_reverted"
        assert (await desk.settle(action)).state == "done"
    assert await desk.values(desk.lead) == first
    lines = await desk.changes()
    assert len(lines) == 8 and sum(one.reverts is not None for one in lines) == 4
    assert all(one.reverted_at for one in lines if one.reverts is None)


async def test_what_a_person_has_changed_since_is_only_taken_back_on_demand(desk):
    """CRM-23"""
    first = (await desk.values(desk.lead))["name"]
    await desk.write(desk.lead, Asked({"name": "By the agent"}))
    (change,) = await desk.changes()
    await desk.elsewhere(desk.lead, name="By a person")
    with pytest.raises(Conflict) as refusal:
        await desk.revert(change)
    assert refusal.value.params == {"now": "By a person", "written": "By the agent"}
    action = await desk.revert(change, force=True)
    assert (await desk.settle(action)).state == "done"
    assert (await desk.values(desk.lead))["name"] == first


async def test_a_person_who_writes_between_the_question_and_the_job_is_not_overwritten(desk):
    await desk.write(desk.lead, Asked({"name": "By the agent"}))
    (change,) = await desk.changes()
    action = await desk.revert(change)
    await desk.elsewhere(desk.lead, name="By a person")
    done = await desk.settle(action)
    assert (done.state, done.error_code) == ("failed", "crm_edited_since")
    assert (await desk.values(desk.lead))["name"].value == "By a person"
    (change,) = await desk.changes()
    assert change.may_be_reverted


async def _made(desk):
    """Ask for one of each action that makes something; return them with how to count what was made."""
    due = utcnow() + timedelta(hours=1)
    ask, lead = desk.ask, desk.lead

    async def rows(path, name):
        link = await desk.ask(desk.link)
        page, _ = await desk.crm._client.page(link, Call("count", path, query=(("limit", 250),)), name)
        return page

    notes = f"/leads/{lead.id}/notes"
    return [
        (
            lambda: ask(service.create_record, desk.id, "leads", Asked({"name": "New deal"})),
            "/leads",
            "leads",
        ),
        (
            lambda: ask(service.create_record, desk.id, "contacts", Asked({"name": "New one"})),
            "/contacts",
            "contacts",
        ),
        (lambda: ask(service.create_task, lead, Task("Call", due), now=utcnow()), "/tasks", "tasks"),
        (lambda: ask(service.add_note, lead, Note("common", "Hello")), notes, "notes"),
        (
            lambda: ask(service.add_note, lead, Note("call_in", "", 30, "+1", "https://a.test/r.mp3")),
            notes,
            "notes",
        ),
        (lambda: ask(service.add_note, lead, Note("meeting", "Lunch")), notes, "notes"),
        (
            lambda: ask(service.update_record, lead, Asked({"name": "Renamed"}, tags_add=["VIP"])),
            None,
            "leads",
        ),
    ], rows


async def test_an_action_the_crm_took_without_answering_is_not_repeated(desk):
    """CRM-23"""
    cases, rows = await _made(desk)
    for ask, path, name in cases:
        before = len(await rows(path, name)) if path else 0
        action = await ask()
        fault = {**UNANSWERED, "count": 1}
        await desk.account.call("POST", "/faults", {"method": "POST|PATCH", "path": name, **fault})
        with pytest.raises(UpstreamUnavailable):
            await desk.perform(action)
        done = await desk.settle(action)
        assert done.state == "done", done
        if path:
            assert len(await rows(path, name)) == before + 1, path
            assert done.external_id is not None
        else:
            assert (await desk.values(desk.lead))["name"].value == "Renamed"


class Freezing:
    """A database behind whose first transaction a worker is frozen, until it may go on."""

    def __init__(self, db):
        self.db, self.frozen, self.goes_on = db, asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def session(self, scope):
        async with self.db.session(scope) as session:
            yield session
        if not self.frozen.is_set():
            self.frozen.set()
            await self.goes_on.wait()


async def beside_its_successor(desk, perform):
    """Let a worker be frozen before it calls the CRM, and wake up when another one has done its job."""
    context = replace(desk.context(), db=Freezing(desk.world.db))
    first = asyncio.create_task(perform(context))
    await context.db.frozen.wait()
    await perform(desk.context())
    context.db.goes_on.set()
    await first


async def test_a_worker_frozen_before_its_call_makes_nothing_beside_its_successor(desk, monkeypatch):
    """CRM-23, WRK-8: after so long that the queue has given its job to another, it looks first"""
    monkeypatch.setattr(once, "FRESH_SECONDS", 0)
    cases, rows = await _made(desk)
    for ask, path, name in cases:
        before = len(await rows(path, name)) if path else 0
        action = await ask()
        jobs = ActionJobs(desk.crm, desk.world.vault)
        await beside_its_successor(desk, partial(jobs.perform, action_id=str(action.id)))
        assert (await desk.ask(service.get_action, desk.id, action.id)).state == "done"
        assert path is None or len(await rows(path, name)) == before + 1, path
    before, tasks = len(await rows("/tasks", "tasks")), CrmJobs(desk.crm, desk.world.vault)
    for number in (1, 2):  # those of the platform itself, of the same words
        owed = await desk.ask(crm.owe_task, desk.id, NewTask(desk.lead.id, "Call back", utcnow()))
        await beside_its_successor(desk, partial(tasks.perform_task, task_id=str(owed)))
        assert len(await rows("/tasks", "tasks")) == before + number


class Asking:
    """A CRM at whose first answer about a deal a worker is frozen, until it may go on."""

    def __init__(self, crm):
        self.crm, self.frozen, self.goes_on = crm, asyncio.Event(), asyncio.Event()

    def __getattr__(self, name):
        return getattr(self.crm, name)

    async def fetch_lead(self, link, lead_id):
        lead = await self.crm.fetch_lead(link, lead_id)
        if not self.frozen.is_set():
            self.frozen.set()
            await self.goes_on.wait()
        return lead


async def test_a_worker_frozen_while_it_asks_whose_a_deal_is_makes_no_second_task(desk, monkeypatch):
    """CRM-23, WRK-8"""
    monkeypatch.setattr(once, "FRESH_SECONDS", 0)
    _, rows = await _made(desk)
    async with desk.session() as session:
        await session.execute("delete from app.crm_lead")
    owed = await desk.ask(crm.owe_task, desk.id, NewTask(desk.lead.id, "Call Ann", utcnow()))
    port = Asking(desk.crm)
    perform = partial(CrmJobs(port, desk.world.vault).perform_task, desk.context(), task_id=str(owed))
    first = asyncio.create_task(perform())
    await port.frozen.wait()
    await perform()
    port.goes_on.set()
    await first
    assert [row["text"] for row in await rows("/tasks", "tasks")].count("Call Ann") == 1


async def test_what_became_of_an_action_is_recorded_by_one_worker_at_a_time(desk):
    """CRM-23: its journal would have each line twice"""
    action = await desk.ask(service.create_record, desk.id, "contacts", Asked({"name": "New one"}))
    async with desk.session() as session, desk.session() as other:
        assert await store.is_owed(session, action.id) is not None
        await other.execute("set local lock_timeout = '100ms'")
        with pytest.raises(asyncpg.LockNotAvailableError):
            async with other.savepoint():
                await store.is_owed(other, action.id)


async def test_two_equal_actions_make_two_things_even_if_one_is_not_confirmed(desk):
    cases, rows = await _made(desk)
    ask, path, name = cases[3]
    first, second = await ask(), await ask()
    fault = {**UNANSWERED, "count": 1}
    await desk.account.call("POST", "/faults", {"method": "POST", "path": "notes", **fault})
    with pytest.raises(UpstreamUnavailable):
        await desk.perform(first)
    assert (await desk.perform(second)).state == "pending"  # in order
    assert (await desk.settle(first)).external_id != (await desk.settle(second)).external_id
    assert len(await rows(path, name)) == 2


async def test_a_worker_killed_before_it_recorded_has_one_effect_only(desk):
    """CRM-23"""

    class KilledError(Exception):
        pass

    async def dies(*_args, **_options):
        raise KilledError

    number = desk.field("leads", "numeric")
    action = await desk.ask(service.update_record, desk.lead, Asked({}, fields={number.id: 5}))

    async def writes_and_dies(*args):
        await desk.crm.update_record(*args)
        raise KilledError

    for port in (Wrapped(desk.crm, update_record=dies), Wrapped(desk.crm, update_record=writes_and_dies)):
        with pytest.raises(KilledError):
            await desk.perform(action, port)
    assert (await desk.settle(action)).state == "done"
    (change,) = await desk.changes()
    assert change.before.field.values == () and change.after.field.text == "5"
    task = await desk.ask(
        service.create_task, desk.lead, Task("Once", utcnow() + timedelta(hours=1)), now=utcnow()
    )

    async def makes_and_dies(*args):
        await desk.crm.create_task(*args)
        raise KilledError

    with pytest.raises(KilledError):
        await desk.perform(task, Wrapped(desk.crm, create_task=makes_and_dies))
    await desk.settle(task)
    entries = (await desk.account.call("GET", "/ledger"))["entries"]
    assert [one["text"] for one in entries if one["kind"] == "task"] == ["Once"]


async def test_each_way_the_crm_refuses_has_its_end(desk):
    refusals = [
        ({"status": 400}, "failed", "crm_rejected"),
        ({"status": 403}, "failed", "crm_scope"),
        ({"status": 404}, "failed", "crm_not_found"),
        ({"status": 402}, "failed", "crm_payment_required"),
        ({"status": 429, "retry_after": 0}, "done", None),
        ({"status": 503}, "done", None),
        ({"status": 500}, "done", None),
    ]
    for number, (fault, state, code) in enumerate(refusals):
        action = await desk.ask(service.update_record, desk.lead, Asked({"name": f"Name {number}"}))
        await desk.account.call("POST", "/faults", {"method": "PATCH", "path": "leads", "count": 1, **fault})
        done = await desk.settle(action)
        assert (done.state, done.error_code) == (state, code), fault
    assert len(await desk.changes()) == 3
    action = await desk.ask(service.update_record, desk.lead, Asked({"name": "Later"}))
    await desk.account.call(
        "POST", "/faults", {"method": "PATCH", "path": "leads", "count": 1, "status": 401}
    )
    assert (await desk.perform(action)).state == "pending"
    assert await desk.ask(lambda s: s.fetchval("select status from app.crm_connection")) == "broken"
    with pytest.raises(Conflict):
        await desk.ask(service.update_record, desk.lead, Asked({"name": "Never"}))


async def test_nobody_elses_connection_or_record_is_touched(desk, other_scope):
    """API-3"""
    async with desk.world.db.session(other_scope) as session:
        with pytest.raises(NotFound):
            await service.update_record(session, desk.lead, Asked({"name": "Mine now"}))
        with pytest.raises(NotFound):
            await service.list_changes(session, desk.id, limit=5) and await service.get_change(
                session, desk.id, new_id()
            )
    for target in (Target(desk.id, "leads", 1), Target(desk.id, "contacts", 1)):
        with pytest.raises(NotFound):
            await desk.ask(service.update_record, target, Asked({"name": "x"}))


async def test_a_task_is_due_in_the_future_and_in_seconds(desk):
    """CRM-25"""
    due = (utcnow() + timedelta(days=1)).replace(microsecond=0)
    for wrong in (utcnow() - timedelta(minutes=1), due.replace(tzinfo=None)):
        with pytest.raises(Invalid) as refusal:
            await desk.ask(service.create_task, desk.lead, Task("x", wrong), now=utcnow())
        assert refusal.value.fields[0].pointer == "due_at"
    await desk.settle(await desk.ask(service.create_task, desk.contact, Task("Soon", due), now=utcnow()))
    (task,) = (one for one in (await desk.account.call("GET", "/ledger"))["entries"] if one["kind"] == "task")
    assert task["complete_till"] == int(due.timestamp())
    assert (task["entity_type"], task["entity_id"]) == ("contacts", desk.contact.id)


async def test_a_salesbot_is_started_once_at_most(desk):
    started = []

    async def starts(link, bot_id, lead_id):
        started.append((bot_id, lead_id))
        if len(started) == 1:
            raise OutcomeUnknown("crm_outcome_unknown", "no answer")

    port = Wrapped(desk.crm, run_bot=starts)
    first = await desk.ask(service.run_salesbot, desk.lead, 7)
    for _ in range(2):
        assert (await desk.perform(first, port)).state == "unknown"
    second = await desk.ask(service.run_salesbot, desk.lead, 8)
    for _ in range(2):
        assert (await desk.perform(second, port)).state == "done"
    assert started == [(7, desk.lead.id), (8, desk.lead.id)]
    bot = await desk.account.call("POST", "/bots", {"name": "Greets", "text": "Hi"})
    third = await desk.ask(service.run_salesbot, desk.lead, bot["bot_id"])
    assert (await desk.settle(third)).state == "done"


async def test_what_was_done_for_a_customer_is_handed_out_and_erased_with_them(desk):
    """PRV-2"""
    await desk.write(desk.lead, Asked({"name": "Ann's order"}))
    await desk.write(desk.contact, Asked({"name": "Ann Lee"}))
    async with desk.session() as session:
        kept = keeping.kept_of_actions(desk.id, [desk.lead.id], [desk.contact.id])
        assert await keeping.count(session, kept["actions"]) == 2
        assert await keeping.count(session, kept["changes"]) == 2
        await privacy.erase_actions(session, desk.id, [desk.lead.id], [desk.contact.id])
        assert await session.fetchval("select count(*) from app.crm_change") == 0
