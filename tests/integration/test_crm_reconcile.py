"""What no webhook told is found by polls, told once, and counted; the subscription is looked after."""

import time
from datetime import timedelta

import pytest

from gptagent.adapters.kommo.hooks import WEBHOOK_EVENTS
from gptagent.features.crm.deliveries import reconcile
from gptagent.features.crm.deliveries.jobs import CHECK, RECONCILE, look_after_hooks
from gptagent.kernel.clock import utcnow
from hookings import Door, customer_message
from scenes import Scene
from worlds import NOT_FOUND

NOW = {"settle": timedelta(0)}


@pytest.fixture
def hooks(world):
    return Door(world)


@pytest.fixture
async def as_amocrm(world):
    """The same account, as an account of amoCRM: no text of a message is to be had but by its webhook."""
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_connection set host = replace(host, '.kommo.', '.amocrm.')")


async def writes(world, chat, text):
    await world.account.call("POST", f"/chats/{chat['chat_id']}/customer", {"text": text})


async def sources(hooks):
    return [(row["source"], row["kind"], row["state"]) for row in await hooks.rows()]


async def answered(scene):
    async with scene.world.db.session(scene.world.scope) as session:
        scene.conversation_id = await session.fetchval(
            "select id from app.conversation where chat_id = $1", scene.chat["chat_id"]
        )
    if scene.conversation_id is None:
        return []
    await scene.calm()
    return await scene.sent()


async def test_with_every_webhook_lost_every_message_is_answered_once(hooks, world):
    """The emulator's `drop` at 1.0."""
    await world.account.call("POST", "/knobs", {"drop": 1.0})
    scenes = [await Scene.open(world) for _ in range(7)]  # more chats than one look may read
    for number, scene in enumerate(scenes):
        for text in ("Hello", "Anybody?")[: 1 + number % 2]:
            await writes(world, scene.chat, text)
    for _ in range(3):
        await hooks.reconcile(**NOW)
        for scene in scenes:
            await answered(scene)
    for scene in scenes:
        assert await scene.sent() == [NOT_FOUND]
        (turn,) = await scene.turns()
        assert turn["last_seq"] == len(await customer_texts(scene))
    await writes(world, scenes[0].chat, "One more")
    await hooks.reconcile(**NOW)
    assert await answered(scenes[0]) == [NOT_FOUND, NOT_FOUND]


async def customer_texts(scene):
    answer = await scene.world.account.call("GET", f"/chats/{scene.chat['chat_id']}/messages")
    return [m["text"] for m in answer["messages"] if m["author"] == "external"]


async def test_what_a_webhook_told_is_not_looked_up_and_one_that_comes_late_is_a_copy(hooks, world):
    scene = await Scene.open(world)
    await writes(world, scene.chat, "Hello")
    message = (await world.account.call("GET", f"/chats/{scene.chat['chat_id']}/messages"))["messages"][0]
    fields = customer_message(scene.chat, "Hello", message["id"])
    await hooks.receive(fields)
    await hooks.reconcile(**NOW)
    assert await sources(hooks) == [("webhook", "message[add]", "processed")]
    await writes(world, scene.chat, "Late")
    await hooks.reconcile(**NOW)
    late = (await world.account.call("GET", f"/chats/{scene.chat['chat_id']}/messages"))["messages"][-1]
    await hooks.receive(customer_message(scene.chat, "Late", late["id"]))
    assert (await sources(hooks))[1:] == [
        ("poll", "message[add]", "processed"),
        ("webhook", "message[add]", "ignored"),
    ]
    assert await answered(scene) == [NOT_FOUND]


async def test_a_message_that_has_just_come_is_left_to_its_webhook(hooks, world):
    scene = await Scene.open(world)
    await writes(world, scene.chat, "Hello")
    await hooks.reconcile(settle=timedelta(seconds=30))
    assert await sources(hooks) == []
    await hooks.reconcile(**NOW)
    assert [kind for _, kind, _ in await sources(hooks)] == ["message[add]"]


async def test_a_persons_unreported_message_is_a_takeover(hooks, world):
    scene = await Scene.open(world)
    await writes(world, scene.chat, "Hello")
    await world.account.call("POST", f"/chats/{scene.chat['chat_id']}/manager", {"text": "I am here"})
    await hooks.reconcile(**NOW)
    assert await answered(scene) == []
    assert await scene.outcomes() == [("refused", "taken_over")]


async def test_on_amocrm_a_person_is_seen_by_the_log_alone(hooks, world, as_amocrm):
    """No hook of amoCRM tells of outgoing messages."""
    scene = await Scene.open(world)
    await hooks.receive(customer_message(scene.chat, "Hello", "m1"))
    await world.account.call("POST", f"/chats/{scene.chat['chat_id']}/manager", {"text": "I am here"})
    await hooks.reconcile(**NOW)
    assert await answered(scene) == []
    assert (await scene.conversation())["taken_over_at"] is not None
    pause = (await hooks.connection())["poll_at"] - utcnow()
    assert pause <= timedelta(seconds=45)


async def test_on_amocrm_a_robots_message_is_no_takeover(hooks, world, as_amocrm):
    scene = await Scene.open(world)
    await hooks.receive(customer_message(scene.chat, "Hello", "m1"))
    await world.account.call("POST", f"/chats/{scene.chat['chat_id']}/bot", {"text": "Welcome"})
    await hooks.reconcile(**NOW)
    assert await answered(scene) == ["Welcome", NOT_FOUND]


async def test_on_amocrm_a_lost_message_waits_for_the_second_try_and_is_answered_unread(
    hooks, world, as_amocrm, monkeypatch
):
    scene = await Scene.open(world)
    await writes(world, scene.chat, "Hello")
    await hooks.reconcile(**NOW)
    assert await sources(hooks) == []
    monkeypatch.setattr(reconcile, "UNREADABLE_AFTER", timedelta(0))
    await hooks.reconcile(**NOW)
    assert await answered(scene) == [NOT_FOUND]
    async with world.db.session(world.scope) as session:
        (row,) = await session.fetch(
            "select text, attachment_type from app.message where author = 'customer'"
        )
    assert tuple(row) == ("", "unreadable")


async def test_a_moved_deal_is_found_and_told_once(hooks, world):
    scene = await Scene.open(world)
    pipeline = (await world.account.call("GET", ""))["pipeline"]
    stages = pipeline["stages"]
    await scene.says("Hello")
    await scene.calm()
    lead = scene.chat["lead_id"]
    told = stage_of(lead, pipeline["id"], stages[1])
    await hooks.receive({f"leads[update][0][{name}]": value for name, value in told.items()})
    before = (await scene.lane())["epoch"]
    await world.account.call("POST", f"/leads/{lead}/move", {"status_id": stages[2]["id"]})
    await hooks.reconcile(**NOW)
    async with world.db.session(world.scope) as session:
        assert await session.fetchval("select stage_id from app.crm_lead") == stages[2]["id"]
    assert (await scene.lane())["epoch"] == before + 1
    found = len(await hooks.rows())
    await hooks.reconcile(**NOW)
    assert len(await hooks.rows()) == found


def stage_of(lead, pipeline_id, stage):
    earlier = int(time.time()) - 2
    return {"id": lead, "status_id": stage["id"], "pipeline_id": pipeline_id, "updated_at": earlier}


async def test_a_look_costs_a_few_calls_and_its_pause_grows_with_the_silence(hooks, world):
    before = (await world.account.call("GET", "/stats"))["requests"]
    await hooks.reconcile(**NOW)
    assert (await world.account.call("GET", "/stats"))["requests"] - before == 2  # the log, changed deals
    assert (await hooks.connection())["poll_at"] - utcnow() < timedelta(seconds=67)
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_connection set created_at = now() - interval '1 day'")
    await hooks.reconcile(**NOW)
    assert (await hooks.connection())["poll_at"] - utcnow() > timedelta(minutes=8)


async def test_a_crm_that_does_not_answer_is_asked_again_later_and_nothing_is_skipped(hooks, world):
    scene = await Scene.open(world)
    await writes(world, scene.chat, "Hello")
    fault = {"method": "GET", "path": "events", "action": "status", "status": 500, "count": 1}
    await world.account.call("POST", "/faults", fault)
    await hooks.reconcile(**NOW)
    assert await sources(hooks) == [] and (await hooks.connection())["status"] == "connected"
    await hooks.reconcile(**NOW)
    assert await answered(scene) == [NOT_FOUND]


async def test_a_refused_token_marks_the_connection(hooks, world):
    await world.account.call("DELETE", "/tokens")
    await hooks.reconcile(**NOW)
    assert (await hooks.connection())["status_reason"] == "crm_unauthorized"


async def listed(hooks, world):
    return await hooks.jobs.crm.fetch_webhook(await link_of(world), (await destination(world)))


async def link_of(world):
    from gptagent.features.crm import service

    async with world.db.session(world.scope) as session:
        return await service.open_link(session, world.hook.connection_id, world.vault)


async def destination(world):
    from gptagent.features.crm import service

    async with world.db.session(world.scope) as session:
        return await service.open_hook(session, world.hook.connection_id, world.vault, "http://127.0.0.1:9")


async def test_the_account_is_asked_for_all_we_listen_to(hooks, world):
    """CRM-11"""
    await hooks.check()
    assert (await listed(hooks, world)).codes == frozenset(WEBHOOK_EVENTS["kommo"])
    row = await hooks.connection()
    assert (row["hook_state"], set(row["hook_codes"])) == ("subscribed", set(WEBHOOK_EVENTS["kommo"]))
    assert row["hook_restored_at"] is None


@pytest.mark.parametrize("loss", ["disabled", "deleted", "other codes", "new release"])
async def test_a_lost_subscription_is_made_anew(hooks, world, loss):
    await hooks.check()
    crm, address = hooks.jobs.crm, await destination(world)
    if loss == "deleted":
        await crm.unregister_webhook(await link_of(world), address)
    elif loss == "disabled":
        await world.account.call("POST", "/knobs", {"invalid_answers_until_disabled": 0})
        await writes(world, await world.account.new_chat(), "Hello")  # nobody listens at our address here
        while not (await listed(hooks, world)).is_disabled:
            await hooks.connection()
    else:
        column = {"other codes": "hook_codes = '{add_message}'", "new release": "hook_wanted = 'older'"}[loss]
        async with world.db.session(world.scope) as session:
            await session.execute(f"update app.crm_connection set {column}")  # noqa: S608 - of this test
        calls = (await world.account.call("GET", "/stats"))["requests"]
    await hooks.check()
    found = await listed(hooks, world)
    assert (found.is_disabled, found.codes) == (False, frozenset(WEBHOOK_EVENTS["kommo"]))
    row = await hooks.connection()
    assert row["hook_state"] == "subscribed"
    assert (row["hook_restored_at"] is not None) == (loss in {"disabled", "deleted"})
    if loss in {"other codes", "new release"}:
        assert (await world.account.call("GET", "/stats"))["requests"] == calls + 3  # looked, asked, looked


async def test_a_subscription_in_order_is_left_alone(hooks, world):
    await hooks.check()
    before = (await world.account.call("GET", "/stats"))["requests"]
    await hooks.check()
    assert (await world.account.call("GET", "/stats"))["requests"] == before + 1


async def test_a_code_the_account_does_not_know_is_left_out(hooks, world):
    await world.account.call("POST", "/knobs", {"unknown_codes": ["add_company", "note_lead"]})
    await hooks.check()
    codes = set((await hooks.connection())["hook_codes"])
    assert set(WEBHOOK_EVENTS["kommo"]) - codes == {"add_company", "note_lead"}
    await hooks.check()
    assert (await hooks.connection())["hook_state"] == "subscribed"


async def test_a_plan_without_webhooks_is_told_and_polls_go_on(hooks, world):
    fault = {"path": "webhooks", "action": "status", "status": 402}
    await world.account.call("POST", "/faults", fault)
    await hooks.check()
    row = await hooks.connection()
    assert (row["hook_state"], row["hook_error"]) == ("refused", "crm_payment_required")
    scene = await Scene.open(world)
    await world.account.call("POST", "/knobs", {"drop": 1.0})
    await writes(world, scene.chat, "Hello")
    await hooks.reconcile(**NOW)
    assert await answered(scene) == [NOT_FOUND]


async def test_each_connection_is_named_once_per_period_whoever_asks(hooks, world):
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_connection set care_at = now(), poll_at = now()")
    await look_after_hooks(world.db)
    await look_after_hooks(world.db)
    assert [len(await hooks.queued(job)) for job in (CHECK, RECONCILE)] == [1, 1]
    row = await hooks.connection()
    assert timedelta(minutes=8) < row["care_at"] - utcnow() < timedelta(minutes=12)
