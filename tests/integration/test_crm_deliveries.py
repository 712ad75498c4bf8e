"""Deliveries are kept, acted on once, tried again on their own times, and never make a second answer."""

import asyncio
import json

import pytest

from gptagent.features.crm import service as crm_service
from gptagent.features.crm.deliveries import processing, service
from gptagent.features.crm.deliveries.model import RETRY_DELAYS
from gptagent.features.crm.deliveries.service import PROCESS
from gptagent.kernel import jobs
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Forbidden, NotFound
from gptagent.kernel.ids import new_id
from hookings import FORM, Failing, answers, customer_message
from scenes import Scene
from worlds import NOT_FOUND

LEAD = {"id": "7", "name": "Deal", "status_id": "3", "pipeline_id": "2", "updated_at": "1790000000"}


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


def lead(action="update", **changes):
    return {f"leads[{action}][0][{name}]": value for name, value in {**LEAD, **changes}.items()}


async def test_a_delivery_is_kept_with_its_body_and_what_it_speaks_of(hooks, scene):
    fields = customer_message(scene.chat, "Hello", "m1")
    assert await hooks.receive(fields) == "processed"
    (row,) = await hooks.rows()
    assert (row["kind"], row["state"], row["attempts"]) == ("message[add]", "processed", 1)
    assert json.loads(row["body"])["message"]["add"][0]["text"] == "Hello"
    assert {"m1", scene.chat["chat_id"], str(scene.chat["lead_id"])} <= set(row["refs"])
    assert await answers(scene) == [NOT_FOUND]


async def test_copies_and_replays_change_nothing(hooks, scene, world):
    """CRM-16"""
    fields = customer_message(scene.chat, "Hello", "m1")
    states = [await hooks.receive(fields) for _ in range(3)]
    states += [await hooks.receive(lead(), **{"account[subdomain]": name}) for name in ("a", "b")]
    assert states == ["processed", "ignored", "ignored", "processed", "ignored"]
    rows = await hooks.rows()
    assert [row["error"] for row in rows] == [None, "duplicate", "duplicate", None, "duplicate"]
    assert rows[1]["body"] is None and rows[4]["body"] is None
    assert await answers(scene) == [NOT_FOUND]
    async with world.db.session(world.scope) as session:  # even once nothing is left of the chat
        await session.execute("delete from app.conversation")
    assert await hooks.receive(fields) == "ignored"


async def test_copies_at_the_same_moment_are_acted_on_once(hooks, scene):
    fields = customer_message(scene.chat, "Hello", "m1")
    states = await asyncio.gather(*(hooks.receive(fields) for _ in range(8)))
    assert sorted(states) == ["ignored"] * 7 + ["processed"]
    assert await answers(scene) == [NOT_FOUND]


async def test_what_the_crm_said_of_an_earlier_time_is_no_news(hooks, world):
    await hooks.receive(lead(status_id="5", updated_at="1790000010"))
    assert await hooks.receive(lead("status", status_id="4")) == "ignored"
    async with world.db.session(world.scope) as session:
        assert await session.fetchval("select stage_id from app.crm_lead where external_id = 7") == 5


async def test_the_thin_form_moves_a_deal_each_time_and_has_it_read_again(hooks, world):
    thin = {"leads[status][0][id]": "7", "leads[status][0][pipeline_id]": "2"}
    await hooks.receive(lead(status_id="3"))
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_lead set fetched_at = now()")
    states = [await hooks.receive(thin | {"leads[status][0][status_id]": stage}) for stage in "4434"]
    assert states == ["processed", "ignored", "processed", "processed"]
    async with world.db.session(world.scope) as session:
        row = await session.fetchrow("select stage_id, fetched_at from app.crm_lead")
    assert (row["stage_id"], row["fetched_at"]) == (4, None)


async def test_a_failure_leaves_no_trace_but_the_delivery(hooks, scene, world):
    """CRM-19"""
    hooks.failing.texts = {"Hello"}
    assert await hooks.receive(customer_message(scene.chat, "Hello", "m1")) == "failed"
    (row,) = await hooks.rows()
    assert (row["state"], row["error"], row["attempts"]) == ("failed", "RuntimeError", 1)
    (job,) = await hooks.queued(PROCESS)
    assert json.loads(job["payload"]) == {"delivery_id": str(row["id"])} and 290 < job["seconds"] <= 300
    async with world.db.session(world.scope) as session:
        assert await session.fetchval("select count(*) from app.conversation") == 0
        assert await session.fetchval("select count(*) from app.crm_seen") == 0
    assert (await hooks.connection())["hook_failed_at"] is not None


async def test_a_failed_delivery_is_tried_after_5_10_20_40_and_60_minutes_and_is_dead_then(hooks, scene):
    """CRM-17"""
    hooks.failing.texts = {"Hello"}
    await hooks.receive(customer_message(scene.chat, "Hello", "m1"))
    (row,) = await hooks.rows()
    waits = []
    for attempt in range(2, 7):
        await hooks.process(row["id"])  # too early: its time has not come
        assert (await hooks.rows())[0]["attempts"] == attempt - 1
        waits.append(round((await hooks.queued(PROCESS))[-1]["seconds"] / 60))
        await hooks.due(row["id"])
        if attempt < 6:
            await hooks.process(row["id"])
    assert waits == [delay.total_seconds() / 60 for delay in RETRY_DELAYS] == [5, 10, 20, 40, 60]
    with pytest.raises(Conflict, match="delivery_dead"):  # makes its job a dead one
        await hooks.process(row["id"], job_id=77)
    (row,) = await hooks.rows()
    assert (row["state"], row["attempts"], row["retry_at"], row["job_id"]) == ("dead", 6, None, 77)
    assert await scene.sent() == []


async def test_a_retry_after_the_cause_has_passed_is_answered_once(hooks, scene):
    hooks.failing.texts = {"Hello"}
    await hooks.receive(customer_message(scene.chat, "Hello", "m1"))
    hooks.failing.texts = set()
    (row,) = await hooks.rows()
    await hooks.due(row["id"])
    await hooks.process(row["id"])
    await hooks.process(row["id"])  # the job of a killed worker
    await hooks.receive(customer_message(scene.chat, "Hello", "m1"))  # the CRM's own second try
    assert [row["state"] for row in await hooks.rows()] == ["processed", "ignored"]
    assert await answers(scene) == [NOT_FOUND]


async def test_the_crms_own_second_try_makes_the_retry_a_copy(hooks, scene):
    hooks.failing.texts = {"Hello"}
    await hooks.receive(customer_message(scene.chat, "Hello", "m1"))
    hooks.failing.texts = set()
    assert await hooks.receive(customer_message(scene.chat, "Hello", "m1")) == "ignored"
    rows = await hooks.rows()
    assert [row["state"] for row in rows] == ["processed", "ignored"]  # the first was caught up with
    await hooks.process(rows[0]["id"])
    assert await answers(scene) == [NOT_FOUND]


async def test_an_earlier_failed_message_comes_first_once_its_cause_has_passed(hooks, scene, world):
    hooks.failing.texts = {"first"}
    await hooks.receive(customer_message(scene.chat, "first", "m1"))
    hooks.failing.texts = set()
    assert await hooks.receive(customer_message(scene.chat, "second", "m2")) == "processed"
    async with world.db.session(world.scope) as session:
        texts = await session.fetch("select text from app.message order by seq")
    assert [row["text"] for row in texts] == ["first", "second"]
    assert await answers(scene) == [NOT_FOUND]
    (turn,) = await scene.turns()
    assert (turn["first_seq"], turn["last_seq"]) == (1, 2)


async def test_a_later_message_does_not_wait_for_one_that_goes_on_failing(hooks, scene):
    """Each is answered once: the later at once, the earlier when it can be read."""
    hooks.failing.texts = {"first"}
    await hooks.receive(customer_message(scene.chat, "first", "m1"))
    assert await hooks.receive(customer_message(scene.chat, "second", "m2")) == "processed"
    assert await answers(scene) == [NOT_FOUND]
    rows = await hooks.rows()
    assert [(row["state"], row["attempts"]) for row in rows] == [("failed", 1), ("processed", 1)]
    hooks.failing.texts = set()
    await hooks.due(rows[0]["id"])
    await hooks.process(rows[0]["id"])
    assert await answers(scene) == [NOT_FOUND, NOT_FOUND]
    assert [(turn["first_seq"], turn["last_seq"]) for turn in await scene.turns()] == [(1, 1), (2, 3)]


async def test_a_late_message_while_a_person_has_the_chat_is_not_answered(hooks, scene, world):
    hooks.failing.texts = {"first"}
    await hooks.receive(customer_message(scene.chat, "first", "m1"))
    await scene.says("I am here", author="human")
    hooks.failing.texts = set()
    (failed, *_) = await hooks.rows()
    await hooks.due(failed["id"])
    await hooks.process(failed["id"])
    assert await answers(scene) == []
    assert await scene.outcomes() == [("refused", "taken_over")]


async def test_one_bad_element_undoes_the_whole_delivery_and_all_of_it_is_tried_again(hooks, scene):
    both = {
        key.replace("[0]", f"[{number}]"): value
        for number, text in enumerate(("good", "bad"))
        for key, value in customer_message(scene.chat, text, text).items()
    }
    hooks.failing.texts = {"bad"}
    assert await hooks.receive(both) == "failed"
    hooks.failing.texts = set()
    (row,) = await hooks.rows()
    await hooks.due(row["id"])
    await hooks.process(row["id"])
    assert await answers(scene) == [NOT_FOUND]
    (turn,) = await scene.turns()
    assert turn["last_seq"] == 2


async def test_a_listener_that_takes_too_long_is_left_to_a_job(hooks, scene, monkeypatch):
    monkeypatch.setattr(processing, "ACT_SECONDS", 0.2)

    async def sleep(session, _event):
        await session.execute("select pg_sleep(5)")

    monkeypatch.setattr(Failing, "__call__", lambda _self, session, event: sleep(session, event))
    assert await hooks.receive(customer_message(scene.chat, "Hello", "m1")) == "received"
    monkeypatch.undo()
    (row,) = await hooks.rows()
    assert (row["state"], row["error"]) == ("received", "slow")
    (job,) = await hooks.queued(PROCESS)
    assert job["seconds"] <= 1
    await hooks.process(row["id"])
    assert await answers(scene) == [NOT_FOUND]


async def test_a_failed_delivery_is_queued_again_by_hand(hooks, scene, world):
    """CRM-18"""
    hooks.failing.texts = {"Hello"}
    await hooks.receive(customer_message(scene.chat, "Hello", "m1"))
    hooks.failing.texts = set()
    (row,) = await hooks.rows()
    async with world.db.session(world.scope) as session:
        again = await service.retry_delivery(session, world.hook.connection_id, row["id"], now=utcnow())
    assert (again.state, again.attempts) == ("received", 0)
    due = [job for job in await hooks.queued(PROCESS) if job["seconds"] <= 0]
    assert json.loads(due[-1]["payload"]) == {"delivery_id": str(row["id"])}
    await hooks.process(row["id"])
    assert await answers(scene) == [NOT_FOUND]
    async with world.db.session(world.scope) as session:
        with pytest.raises(Conflict, match="delivery_not_failed"):
            await service.retry_delivery(session, world.hook.connection_id, row["id"], now=utcnow())
        with pytest.raises(NotFound):
            await service.retry_delivery(session, world.hook.connection_id, new_id(), now=utcnow())


async def die(world, job):
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_delivery set state = 'dead', attempts = 6, retry_at = null")
        await session.execute("update jobs.pgqueuer set status = 'failed' where id = $1", job["id"])


async def test_a_dead_delivery_is_revived_by_its_dead_job(hooks, scene, world):
    """CRM-17, CRM-18: `gptagent jobs replay` and the button do the same."""
    hooks.failing.texts = {"Hello"}
    await hooks.receive(customer_message(scene.chat, "Hello", "m1"))
    (row,) = await hooks.rows()
    (job,) = await hooks.queued(PROCESS)
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_delivery set job_id = $1", job["id"])
    await die(world, job)
    async with world.db.session(world.scope) as session:
        await service.retry_delivery(session, world.hook.connection_id, row["id"], now=utcnow())
    assert [one["id"] for one in await hooks.queued(PROCESS)] == [job["id"]]  # replayed, not a second one
    await die(world, job)
    async with world.db.installation() as session:
        assert await jobs.replay_job(session, job["id"])
    hooks.failing.texts = set()
    await hooks.process(row["id"], job["id"])
    assert [(one["state"], one["attempts"]) for one in await hooks.rows()] == [("processed", 1)]
    assert await answers(scene) == [NOT_FOUND]


async def test_a_job_that_was_given_up_leaves_a_dead_delivery(hooks, scene):
    hooks.failing.texts = {"Hello"}
    await hooks.receive(customer_message(scene.chat, "Hello", "m1"))
    (row,) = await hooks.rows()
    await hooks.jobs.bury(hooks.context(), delivery_id=str(row["id"]))
    await hooks.jobs.bury(hooks.context(), delivery_id=str(new_id()))
    assert [one["state"] for one in await hooks.rows()] == ["dead"]


async def test_unknown_kinds_are_kept_and_acknowledged(hooks):
    body = b"account[id]=%d&surprise[happened][0][id]=5&add[0][id]=6" % hooks.world.hook.account_id
    assert await hooks.receive_raw(FORM, body) == "ignored"
    assert await hooks.receive_raw("application/json", b'{"add": [{"id": 1}]}') == "ignored"
    assert await hooks.receive({}) == "ignored"
    rows = await hooks.rows()
    assert [(row["kind"], row["error"]) for row in rows] == [
        ("surprise[happened]", "nothing_new"),
        ("add", "nothing_new"),
        ("unknown", "empty"),
    ]


async def test_the_old_form_is_known_by_its_subdomain(hooks, world):
    """2016: no number of the account."""
    own = f"account[subdomain]={world.account.subdomain}&leads[add][0][id]=7".encode()
    assert await hooks.receive_raw(FORM, own) == "processed"
    with pytest.raises(Forbidden):
        await hooks.receive_raw(FORM, b"account[subdomain]=other&leads[add][0][id]=7")
    with pytest.raises(Forbidden):
        await hooks.receive({**lead(), "account[id]": world.hook.account_id + 1})
    assert len(await hooks.rows()) == 1


async def test_a_missed_call_is_a_task_once_for_whoever_is_responsible(hooks, scene, world):
    """CRM-20"""
    note = {
        "id": 9,
        "note_type": 10,
        "element_type": 2,
        "element_id": scene.chat["lead_id"],
        "text": '{"PHONE":"+491234","DURATION":"0"}',
        "created_at": 1790000000,
    }
    fields = {f"leads[note][0][note][{name}]": value for name, value in note.items()}
    user = (await world.account.call("GET", ""))["user_ids"][1]
    await hooks.receive(lead(id=scene.chat["lead_id"], responsible_user_id=user))
    assert await hooks.receive(fields) == "processed"
    assert await hooks.receive({**fields, "leads[note][0][note][updated_at]": 1790000099}) == "ignored"
    taken = {**fields, "leads[note][0][note][id]": 10, "leads[note][0][note][text]": '{"DURATION":"60"}'}
    await hooks.receive(taken)
    contact = {**fields, "leads[note][0][note][id]": 11, "leads[note][0][note][element_type]": 1}
    contact |= {"leads[note][0][note][element_id]": scene.chat["contact_id"]}
    contact |= {"leads[note][0][note][main_user_id]": user}
    await hooks.receive(contact)
    await scene.perform_tasks()
    made = [(task["entity_type"], task["entity_id"]) for task in await scene.tasks()]
    assert sorted(made) == [("contacts", scene.chat["contact_id"]), ("leads", scene.chat["lead_id"])]
    assert all("+491234" in task["text"] for task in await scene.tasks())
    assert {task["responsible_user_id"] for task in await scene.tasks()} == {user}


async def test_a_lead_that_was_deleted_and_restored_is_both(hooks, world):
    async def is_deleted():
        async with world.db.session(world.scope) as session:
            return await session.fetchval("select is_deleted from app.crm_lead where external_id = 7")

    thin = {"leads[delete][0][id]": "7", "leads[delete][0][status_id]": "3"}
    await hooks.receive(lead("add"))
    assert [await hooks.receive(thin) for _ in range(2)] == ["processed", "ignored"]
    assert await is_deleted()
    await hooks.receive(lead("restore", updated_at="1790000020"))
    assert not await is_deleted()


async def test_lists_are_filtered_counted_and_searched(hooks, scene, world):
    hooks.failing.texts = {"bad"}
    await hooks.receive(customer_message(scene.chat, "good", "m1"))
    await hooks.receive(customer_message(scene.chat, "bad", "m2"))
    await hooks.receive(lead())
    page = service.page_of_newest(2)
    connection_id = world.hook.connection_id

    async def found(**wanted):
        async with world.db.session(world.scope) as session:
            rows, after = await service.page_deliveries(session, connection_id, page, **wanted)
        return [row.kind for row in rows], after is not None

    assert await found() == (["leads[update]", "message[add]"], True)
    assert await found(state="failed") == (["message[add]"], False)
    assert await found(kind="leads[update]") == (["leads[update]"], False)
    assert await found(search="m1") == (["message[add]"], False)
    assert await found(search="7 ") == (["leads[update]"], False)
    assert await found(search="nothing") == ([], False)
    async with world.db.session(world.scope) as session:
        counts = await service.count_deliveries(session, connection_id, now=utcnow())
        assert (counts.all, counts.ok, counts.waiting, counts.failed) == (3, 2, 0, 1)
        assert await service.list_kinds(session, connection_id, now=utcnow()) == [
            "leads[update]",
            "message[add]",
        ]
        (row, *_), _ = await service.page_deliveries(session, connection_id, page)
        full = await service.get_delivery(session, connection_id, row.id, with_payload=True)
        assert full.payload["leads"]["update"][0]["name"] == "Deal"
        hidden = await service.get_delivery(session, connection_id, row.id, with_payload=False)
        assert (hidden.payload, hidden.is_withheld) == (None, True)
        health = await crm_service.get_health(session, connection_id)
        assert health.last_delivery_at is not None and health.failed_at is not None
