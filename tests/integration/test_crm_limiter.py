"""Calls to a CRM are spaced over all tasks and processes, per account and per egress address."""

import asyncio
from datetime import timedelta

import psycopg
import pytest

from gptagent.features.crm import store
from gptagent.features.crm.limiter import CALLS_PER_SECOND, MAX_WAIT, SPACING, PostgresCallLimiter
from gptagent.features.crm.model import CallPriority
from gptagent.kernel.db import Database
from gptagent.kernel.errors import RateLimited
from gptagent.kernel.ids import new_id

LONG = timedelta(hours=1)


@pytest.fixture
def keys():
    """An account and an address that nobody else calls."""
    return f"account:{new_id().hex}", f"address:{new_id().hex}"


@pytest.fixture
def free_at(roles):
    """Tell when the next call of a key may leave, by the database's clock; now for an unused one."""

    def ask(key):
        with psycopg.connect(roles.owner_dsn) as connection:
            (at,) = connection.execute(
                "select coalesce(max(next_at), clock_timestamp()) from app.crm_call_slot where key = %s",
                [key],
            ).fetchone()
        return at

    return ask


async def reserve(database, keys, max_wait=LONG):
    """Reserve the next slot; return in how many seconds it is, negative if it was too far off."""
    async with database.installation() as session:
        return await store.take_slot(session, sorted(keys), SPACING, max_wait)


async def test_each_of_many_calls_at_once_gets_a_slot_of_its_own(roles, keys, free_at):
    """Two processes' worth of connections: if two calls shared a slot, the row would be free too early."""
    pools = [await Database.connect(roles.app_dsn, max_connections=4) for _ in range(2)]
    before = free_at(keys[0])
    await asyncio.gather(*(reserve(pool, keys) for pool in pools for _ in range(20)))
    for pool in pools:
        await pool.close()
    for key in keys:
        assert free_at(key) >= before + 40 * SPACING
    assert timedelta(seconds=0.999999) <= CALLS_PER_SECOND * SPACING


async def test_a_call_waits_for_its_slot(database, keys, free_at):
    limiter = PostgresCallLimiter(database)
    before = free_at(keys[0])
    for _ in range(3):
        await limiter.wait(*keys, CallPriority.SEND)
    assert free_at(f"unused:{new_id()}") >= before + 2 * SPACING  # the third has left in the third slot


async def test_two_accounts_behind_one_address_share_its_slots(database, keys):
    account, address = keys
    for _ in range(6):
        await reserve(database, keys)
    assert await reserve(database, (f"account:{new_id()}", address), timedelta(seconds=0)) < 0
    assert await reserve(database, (account, f"address:{new_id()}"), timedelta(seconds=0)) < 0
    assert await reserve(database, (f"account:{new_id()}", f"address:{new_id()}"), timedelta(seconds=0)) == 0


async def test_a_refused_call_takes_no_slot(database, keys, free_at):
    for _ in range(6):
        await reserve(database, keys)
    before = free_at(keys[0])
    assert await reserve(database, keys, timedelta(seconds=0)) < 0
    assert free_at(keys[0]) == before


async def test_a_block_stops_the_account_and_its_address_for_everybody(database, keys):
    limiter = PostgresCallLimiter(database)
    await limiter.block(*keys, seconds=600)
    await limiter.block(*keys, seconds=1)  # a shorter one does not lift it
    for key in keys:
        with pytest.raises(RateLimited) as refused:
            await limiter.wait(key, f"other:{new_id()}", CallPriority.SEND)
        assert refused.value.code == "crm_busy" and refused.value.retry_after > 500


async def test_under_load_a_sync_gives_way_first_and_a_reply_last(database, keys):
    """One slot ahead of what a sync waits for, then of what a read waits for."""
    limiter = PostgresCallLimiter(database)
    await limiter.block(*keys, seconds=(MAX_WAIT[CallPriority.SYNC] + timedelta(seconds=0.5)).total_seconds())
    with pytest.raises(RateLimited):
        await limiter.wait(*keys, CallPriority.SYNC)
    assert MAX_WAIT[CallPriority.SYNC] < MAX_WAIT[CallPriority.READ] < MAX_WAIT[CallPriority.SEND]
    await limiter.wait(*keys, CallPriority.READ)
