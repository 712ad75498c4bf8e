"""Reading an account, and looking for what no webhook told, by processes as in earnest; one is killed."""

import asyncio
import os
import signal
import time

import httpx2
import pytest

from cast import make_scope
from gptagent.features.crm.syncing import service as syncing
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.db import Database
from gptagent.kernel.ids import new_id
from gptagent.kernel.settings import Settings
from homes import new_home, own_database
from servers import working
from worlds import NOT_FOUND, Account, make_world

PATIENCE_SECONDS = 60
ASKINGS = 100


@pytest.fixture(scope="module")
def own_home():
    """A worker takes whatever job it finds: it gets a database without the other tests' jobs."""
    with new_home() as home:
        yield home


@pytest.fixture(scope="module")
def own_roles(own_home):
    with own_database(own_home) as roles:
        yield roles


@pytest.fixture
async def world(own_home, own_roles, kommo):
    vault = load_vault(Settings(gptagent_home=own_home))
    database = await Database.connect(own_roles.app_dsn, vault)
    scope = await make_scope(database)
    async with httpx2.AsyncClient(timeout=30) as client:
        account = await Account.open(kommo, f"p{new_id().hex[-20:]}", client)
        world = await make_world(database, scope, account, vault)
        yield world
        await world.egress.aclose()
    await database.close()


async def state_of(world, condition):
    """Return the latest run once it is as wanted."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        async with world.db.session(world.scope) as session:
            found, _ = await syncing.list_syncs(session, world.hook.connection_id, offset=0, limit=1)
        if found and condition(found[0]):
            return found[0]
        assert time.monotonic() < deadline, f"not in time: {found}"


async def test_a_run_is_brought_to_its_end_after_its_worker_was_killed(own_home, world, kommo):
    """CRM-9: the schedule begins it, the first worker is killed in the middle, the second ends it."""
    await world.account.call("POST", "/records/contacts", {"count": 1_500})
    stuck = {"method": "GET", "path": "/contacts$", "query": "page=4", "count": 1}
    await world.account.call("POST", "/faults", {**stuck, "action": "delay", "delay_ms": 3_600_000})
    settings = {"KOMMO_SANDBOX_URL": kommo}
    with working(own_home, **settings) as first:
        half = await state_of(world, lambda one: any(part.page == 4 for part in one.parts))
        os.kill(first.process.pid, signal.SIGKILL)
        first.process.wait()
    assert (half.kind, half.state) == ("scheduled", "running")
    await world.account.call("DELETE", "/faults")
    for stored in ({"path": "/contacts$", "query": "page=[123](&|$)"}, {"path": "/(pipelines|tags|users)$"}):
        await world.account.call("POST", "/faults", {"method": "GET", "count": ASKINGS, **stored})
    with working(own_home, **settings):
        done = await state_of(world, lambda one: not one.is_under_way)
    assert (done.id, done.state, done.claim) == (half.id, "completed", 2)
    (contacts,) = [part for part in done.parts if part.name == "contacts"]
    assert (contacts.read, contacts.added) == (1_500, 1_500)
    faults = (await world.account.call("GET", "/faults"))["faults"]
    assert [fault["count"] for fault in faults] == [ASKINGS, ASKINGS], "what was stored was asked for again"


async def test_a_message_whose_webhook_never_came_is_answered_by_the_running_worker(own_home, world, kommo):
    """Nothing but the worker's own schedule looks for it; a second look finds nothing new."""
    chat = await world.account.new_chat()
    await world.account.call("POST", "/knobs", {"drop": 1.0})
    await world.account.call("POST", f"/chats/{chat['chat_id']}/customer", {"text": "Hello"})

    async def said():
        messages = (await world.account.call("GET", f"/chats/{chat['chat_id']}/messages"))["messages"]
        return [one["text"] for one in messages if one["author"] == "bot"]

    with working(own_home, KOMMO_SANDBOX_URL=kommo):
        await looked(world, said)
        looks = await looks_of(world)
        await looked(world, lambda: later_than(world, looks))
    assert await said() == [NOT_FOUND]
    async with world.db.session(world.scope) as session:
        rows = await session.fetch("select source, kind, state from app.crm_delivery")
    assert [tuple(row) for row in rows if row["kind"] == "message[add]"] == [
        ("poll", "message[add]", "processed")
    ]


async def looks_of(world):
    async with world.db.session(world.scope) as session:
        return await session.fetchval("select polled_to from app.crm_connection")


async def later_than(world, moment):
    return await looks_of(world) > moment


async def looked(world, condition):
    """Let the time of the next look come, again and again, until it has brought this."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await condition():
        assert time.monotonic() < deadline
        async with world.db.session(world.scope) as session:
            await session.execute(
                "update app.crm_connection set poll_at = now() where poll_at > now() + interval '6 seconds'"
            )
        await asyncio.sleep(0.5)
