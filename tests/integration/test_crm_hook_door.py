"""The door of webhooks answers in time: what had to wait behind others is stored, and left to a job."""

import asyncio

import httpx2
import pytest

from gptagent.features.crm import api
from gptagent.features.crm import service as crm
from gptagent.features.crm.deliveries import processing
from gptagent.features.crm.deliveries import service as deliveries
from gptagent.features.crm.deliveries.service import PROCESS
from hookings import FORM, answers, customer_message
from integration.conftest import serving_here
from scenes import Scene
from trust import TRUST
from worlds import NOT_FOUND

WAIT_SECONDS = 0.3


@pytest.fixture(scope="module")
async def served(home, roles):
    async with serving_here(home) as url:
        yield url


@pytest.fixture
async def scene(world):
    return await Scene.open(world)


@pytest.fixture
async def deliver(served, world, hooks):
    async with world.db.session(world.scope) as session:
        address = await crm.open_hook(session, world.hook.connection_id, world.vault, served)

    async def send(fields):
        return await http.post(address, content=hooks.body(fields), headers={"content-type": FORM})

    async with httpx2.AsyncClient(timeout=60, verify=TRUST) as http:
        yield send


@pytest.fixture
def behind_others(monkeypatch):
    """Each delivery waits before its connection is found, as behind a hundred that came at once."""
    find = crm.find_hook

    async def wait_and_find(session, secret):
        await asyncio.sleep(WAIT_SECONDS)
        return await find(session, secret)

    monkeypatch.setattr(api.service, "find_hook", wait_and_find)


async def test_a_delivery_that_waited_behind_others_is_stored_and_left_to_a_job(
    deliver, hooks, scene, behind_others, monkeypatch
):
    monkeypatch.setattr(processing, "ACT_SECONDS", WAIT_SECONDS)
    told = [await deliver(customer_message(scene.chat, "Hello", "m1")) for _ in range(2)]
    assert [one.status_code for one in told] == [200, 200]
    rows = await hooks.rows()
    assert [(row["state"], row["error"], row["attempts"]) for row in rows] == [("received", "slow", 1)] * 2
    jobs = await hooks.queued(PROCESS)
    assert [job["seconds"] <= 1 for job in jobs] == [True, True]
    assert not await scene.world.account.sent(scene.chat["chat_id"])
    for row in rows:
        await hooks.process(row["id"])
    assert [row["state"] for row in await hooks.rows()] == ["processed", "ignored"]
    assert await answers(scene) == [NOT_FOUND]


async def test_no_more_are_acted_on_at_once_than_have_seats(deliver, hooks, scene, monkeypatch):
    """One more is stored while they act; each seat is free again afterwards."""
    acting, go_on = asyncio.Queue(), asyncio.Event()

    async def act(*args, **options):
        acting.put_nowait(None)
        await go_on.wait()
        return await attempt(*args, **options)

    attempt = deliveries.attempt
    monkeypatch.setattr(deliveries, "attempt", act)
    chats = [await scene.world.account.new_chat() for _ in range(api.ACTING_AT_ONCE)]
    async with asyncio.TaskGroup() as tasks:
        seated = [tasks.create_task(deliver(customer_message(chat, "Hello"))) for chat in chats]
        for _ in chats:
            await acting.get()
        with monkeypatch.context() as soon:
            soon.setattr(processing, "ACT_SECONDS", WAIT_SECONDS)
            assert (await deliver(customer_message(scene.chat, "Hello", "m1"))).status_code == 200
        (row,) = await hooks.rows()
        assert (row["state"], row["error"], acting.qsize()) == ("received", "slow", 0)
        go_on.set()
    assert [(await one).status_code for one in seated] == [200] * api.ACTING_AT_ONCE
    for chat in chats:
        assert (await deliver(customer_message(chat, "Are you open?"))).status_code == 200
    states = sorted(row["state"] for row in await hooks.rows())
    assert states == ["processed"] * 2 * api.ACTING_AT_ONCE + ["received"]


async def test_an_earlier_message_that_was_only_stored_comes_before_the_next(
    deliver, hooks, scene, behind_others, monkeypatch
):
    with monkeypatch.context() as late:
        late.setattr(processing, "ACT_SECONDS", WAIT_SECONDS)
        await deliver(customer_message(scene.chat, "Hello", "m1"))
    assert (await deliver(customer_message(scene.chat, "Are you open?", "m2"))).status_code == 200
    assert [row["state"] for row in await hooks.rows()] == ["processed", "processed"]
    async with scene.world.db.session(scene.world.scope) as session:
        rows = await session.fetch("select provider_id from app.message order by seq")
    assert [row["provider_id"] for row in rows] == ["m1", "m2"]


async def test_a_delivery_that_could_not_be_stored_in_time_is_asked_for_again(
    deliver, hooks, scene, behind_others, monkeypatch
):
    monkeypatch.setattr(api, "ANSWER_SECONDS", WAIT_SECONDS / 2)
    answer = await deliver(customer_message(scene.chat, "Hello", "m1"))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert await hooks.rows() == []
