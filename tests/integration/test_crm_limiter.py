"""Calls to a CRM are spaced over all tasks and processes, per account and per egress address."""

import asyncio
import time
from datetime import timedelta

import psycopg
import pytest

from gptagent.features.crm import limiter as limiting
from gptagent.features.crm.calling import store
from gptagent.features.crm.limiter import (
    CALLS_PER_SECOND,
    CIRCUIT,
    FAILURES_UNTIL_OPEN,
    HORIZON,
    MAX_WAIT,
    PROBE,
    SPACING,
    PostgresCallLimiter,
)
from gptagent.features.crm.model import CallPriority
from gptagent.kernel.circuits import Circuit
from gptagent.kernel.db import Database
from gptagent.kernel.errors import RateLimited, UpstreamUnavailable
from gptagent.kernel.ids import new_id

LONG = timedelta(hours=1)
FIRST_PAUSE = timedelta(minutes=1)  # the product's is over where the machine stands still
SECONDS_OF_SLOTS = 30


@pytest.fixture
def keys():
    """An account and an address that nobody else calls."""
    return f"account:{new_id().hex}", f"address:{new_id().hex}"


@pytest.fixture
def patient(monkeypatch):
    """Nobody takes a second slot because this process stood still: what is counted are slots, not seconds.

    And the database is asked by one at a time: else whoever it answers late would find the slots gone.
    """
    turn, claim = asyncio.Lock(), PostgresCallLimiter._claim

    async def in_turn(*args):
        async with turn:
            return await claim(*args)

    monkeypatch.setattr(limiting, "MISSED_AFTER", LONG)
    monkeypatch.setattr(PostgresCallLimiter, "_claim", in_turn)


@pytest.fixture
def long_pause(monkeypatch):
    monkeypatch.setattr(limiting, "CIRCUIT", Circuit(FAILURES_UNTIL_OPEN, FIRST_PAUSE, LONG, PROBE))


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


async def reserve(database, keys, horizon=LONG):
    """Reserve the next slot; return in how many seconds it is, negative if it was too far off."""
    async with database.installation() as session:
        claim = await store.claim_slot(session, keys, SPACING, horizon, CIRCUIT)
    return claim.wait if claim.granted else -1


async def test_a_call_that_was_held_up_past_its_slot_takes_another(database, keys, monkeypatch):
    """Else it would leave together with the calls of those whose slots came meanwhile."""
    claims = []

    async def held_up(*args):
        claim = await store_claim(*args)
        claims.append(claim)
        if len(claims) < 3:
            time.sleep(2 * SPACING.total_seconds())  # noqa: ASYNC251 - nothing of this process runs meanwhile
        return claim

    store_claim = store.claim_slot
    monkeypatch.setattr(store, "claim_slot", held_up)
    await PostgresCallLimiter(database).wait(*keys, CallPriority.SEND)
    assert [claim.granted for claim in claims[:3]] == [True, True, True]


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


async def take_slots(database, keys):
    """Take so many that none is free for a while."""
    for _ in range(SECONDS_OF_SLOTS * CALLS_PER_SECOND):
        await reserve(database, keys)


async def test_two_accounts_behind_one_address_share_its_slots(database, keys):
    account, address = keys
    await take_slots(database, keys)
    assert await reserve(database, (f"account:{new_id()}", address), timedelta(seconds=0)) < 0
    assert await reserve(database, (account, f"address:{new_id()}"), timedelta(seconds=0)) < 0
    assert await reserve(database, (f"account:{new_id()}", f"address:{new_id()}"), timedelta(seconds=0)) == 0


async def test_a_refused_call_takes_no_slot(database, keys, free_at):
    await take_slots(database, keys)
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
    """Farther ahead than a sync waits for, then within what a read waits for."""
    limiter = PostgresCallLimiter(database)
    await limiter.block(*keys, seconds=(MAX_WAIT[CallPriority.READ] - timedelta(seconds=1)).total_seconds())
    with pytest.raises(RateLimited):
        await limiter.wait(*keys, CallPriority.SYNC)
    assert MAX_WAIT[CallPriority.SYNC] < MAX_WAIT[CallPriority.READ] < MAX_WAIT[CallPriority.SEND]
    await limiter.wait(*keys, CallPriority.READ)


async def in_line(limiter, keys, priority, served):
    """Wait like a call does, again and again until it has its slot; note when that was."""
    while True:
        try:
            await limiter.wait(*keys, priority)
        except RateLimited:
            continue
        served.append(priority)
        return


async def queue_up(where, priority, served, *, count):
    """Let so many calls wait at a limiter for its two keys."""
    limiter, *keys = where
    tasks = [asyncio.create_task(in_line(limiter, keys, priority, served)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def end(tasks):
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("same_process", [True, False])
async def test_a_send_passes_hundreds_of_waiting_syncs_of_another_account(
    database, keys, patient, same_process
):
    """Counted in slots: a sync that has its slot already is before it, and one more may leave meanwhile."""
    account, address = keys
    served = []
    limiter = PostgresCallLimiter(database)
    other = limiter if same_process else PostgresCallLimiter(database)
    tasks = await queue_up((limiter, account, address), CallPriority.SYNC, served, count=500)
    for _ in range(3):
        another = (f"account:{new_id()}", address)
        await in_line(limiter, another, CallPriority.SYNC, [])  # the syncs are under way
        served.clear()
        await other.wait(f"account:{new_id()}", address, CallPriority.SEND)
        assert len(served) <= 2
    await end(tasks)


async def test_a_send_goes_before_a_read_before_a_sync_over_two_processes(database, keys, patient):
    served, tasks = [], []
    limiters = [PostgresCallLimiter(database) for _ in range(2)]
    await limiters[0].block(*keys, seconds=3)  # nobody is served until all have come
    for limiter in limiters:
        for priority in reversed(CallPriority):
            tasks += await queue_up((limiter, *keys), priority, served, count=4)
    await asyncio.gather(*tasks)
    assert served[:6] == [CallPriority.SEND] * 6
    assert served[-6:] == [CallPriority.SYNC] * 6


async def test_a_send_that_the_database_answered_late_still_goes_before_a_read(database, keys, monkeypatch):
    claim, served, asked = PostgresCallLimiter._claim, [], asyncio.Event()

    async def late_at_first(*args):
        answer = await claim(*args)
        if not asked.is_set():
            asked.set()
            await asyncio.sleep(1)
        return answer

    limiter = PostgresCallLimiter(database)
    await limiter.block(keys[0], keys[0], seconds=2)
    monkeypatch.setattr(PostgresCallLimiter, "_claim", late_at_first)
    tasks = await queue_up((limiter, *keys), CallPriority.SEND, served, count=1)
    await asked.wait()
    tasks += await queue_up((limiter, *keys), CallPriority.READ, served, count=1)
    await asyncio.gather(*tasks)
    assert served == [CallPriority.SEND, CallPriority.READ]


async def test_accounts_behind_one_address_are_served_by_turns(database, keys, patient):
    _, address = keys
    served = []
    limiter = PostgresCallLimiter(database)
    many = await queue_up((limiter, keys[0], address), CallPriority.READ, served, count=30)
    few = await queue_up((limiter, f"account:{new_id()}", address), CallPriority.READ, [], count=3)
    await asyncio.gather(*few)
    await end(many)
    assert len(served) <= 5


async def test_an_account_that_was_told_to_wait_holds_up_nobody_else(database, keys):
    account, address = keys
    limiter = PostgresCallLimiter(database)
    longest = MAX_WAIT[CallPriority.SEND] - timedelta(seconds=0.5)
    await limiter.block(account, account, longest.total_seconds())
    waiting = asyncio.create_task(limiter.wait(account, address, CallPriority.SEND))
    for _ in range(3):
        await in_line(limiter, (f"account:{new_id()}", address), CallPriority.SYNC, [])
        assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_call_given_up_while_it_waits_takes_no_slot(database, keys, free_at):
    limiter = PostgresCallLimiter(database)
    await limiter.block(*keys, seconds=4)
    before = free_at(keys[0])
    tasks = await queue_up((limiter, *keys), CallPriority.READ, [], count=5)
    await end(tasks)
    assert free_at(keys[0]) == before
    await limiter.wait(*keys, CallPriority.SEND)
    assert free_at(keys[0]) > before


async def fail(limiter, account, times=1):
    for _ in range(times):
        await limiter.report(account, failed=True)


async def pass_time(roles, account):
    """The pause of the circuit is over."""
    with psycopg.connect(roles.owner_dsn, autocommit=True) as connection:
        connection.execute(
            "update app.crm_call_slot set open_until = clock_timestamp() where key = %s", [account]
        )


async def refused_for(limiter, keys):
    with pytest.raises(UpstreamUnavailable) as refused:
        await limiter.wait(*keys, CallPriority.SEND)
    assert refused.value.code == "crm_circuit_open"
    return timedelta(seconds=refused.value.retry_after)


async def test_an_account_that_fails_again_and_again_is_left_alone_by_all_processes(
    database, keys, long_pause
):
    limiter, other = PostgresCallLimiter(database), PostgresCallLimiter(database)
    await limiter.wait(*keys, CallPriority.READ)
    await fail(limiter, keys[0], FAILURES_UNTIL_OPEN - 1)
    await other.wait(*keys, CallPriority.READ)
    await fail(other, keys[0])
    assert timedelta(0) < await refused_for(limiter, keys) <= FIRST_PAUSE
    assert timedelta(0) < await refused_for(other, keys) <= FIRST_PAUSE
    await in_line(limiter, (f"account:{new_id()}", keys[1]), CallPriority.SYNC, [])  # others there go on


async def test_after_the_pause_one_call_looks_and_its_failure_doubles_the_pause(
    database, roles, keys, long_pause
):
    limiter, other = PostgresCallLimiter(database), PostgresCallLimiter(database)
    await limiter.wait(*keys, CallPriority.READ)
    await fail(limiter, keys[0], FAILURES_UNTIL_OPEN)
    await fail(other, keys[0], 20)  # were under way: they tell nothing new
    assert await refused_for(other, keys) <= FIRST_PAUSE
    await pass_time(roles, keys[0])
    await limiter.wait(*keys, CallPriority.READ)
    assert await refused_for(other, keys) <= PROBE + SPACING
    await fail(limiter, keys[0])
    assert FIRST_PAUSE < await refused_for(other, keys) <= 2 * FIRST_PAUSE


async def test_one_success_closes_the_circuit_for_all(database, roles, keys, long_pause):
    limiter, other = PostgresCallLimiter(database), PostgresCallLimiter(database)
    await limiter.wait(*keys, CallPriority.READ)
    await fail(limiter, keys[0], FAILURES_UNTIL_OPEN)
    await pass_time(roles, keys[0])
    await other.wait(*keys, CallPriority.READ)
    await other.report(keys[0], failed=False)
    for one in (limiter, other):
        await one.wait(*keys, CallPriority.READ)
    await fail(limiter, keys[0], FAILURES_UNTIL_OPEN - 1)  # counted from the beginning
    await other.wait(*keys, CallPriority.READ)


def test_who_may_wait_longer_may_reach_further():
    assert HORIZON[CallPriority.SYNC] < SPACING < HORIZON[CallPriority.READ] < HORIZON[CallPriority.SEND]
