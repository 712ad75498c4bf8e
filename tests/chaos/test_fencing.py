"""Never two replies, never none: seeded interleavings of messages, people, crashes, stalls and duplicates.

`--interleavings N` and `--seed S` choose how many and which; a failure prints its seed.
"""

import asyncio
from datetime import timedelta

import pytest
from lanes import Interleaving

from gptagent.features.dialog.lanes import store as lane_store
from gptagent.features.dialog.service import sweep_lanes

AT_ONCE = 24
UNFENCED_INTERLEAVINGS = 200
SWEEP = timedelta(seconds=1)


async def play_all(worlds, seeds):
    """Play every seed; return {seed: what is wrong}."""
    faults = {}
    queue = iter(seeds)

    async def player(world):
        for seed in queue:
            wrong = await Interleaving(world, seed).play()
            if wrong:
                faults[seed] = wrong

    sweeper = asyncio.create_task(sweep(worlds[0].db))
    async with asyncio.TaskGroup() as group:
        for number in range(AT_ONCE):
            group.create_task(player(worlds[number % len(worlds)]))
    sweeper.cancel()
    return faults


async def sweep(db):
    """Wake what lost its wake-up, as the worker's schedule does."""
    while True:
        await sweep_lanes(db, late=SWEEP)
        await asyncio.sleep(SWEEP.total_seconds())


@pytest.mark.timeout(7200)
async def test_every_message_gets_exactly_one_answer_whatever_happens(worlds, pytestconfig):
    """MSG-2, MSG-3, MSG-23, AGT-27"""
    count, first = pytestconfig.getoption("--interleavings"), pytestconfig.getoption("--seed")
    faults = await play_all(worlds, range(first * 1_000_000, first * 1_000_000 + count))
    assert not faults, f"{len(faults)} of {count} failed; repeat with Interleaving(world, seed): {faults}"


async def test_without_the_fence_the_same_interleavings_go_wrong(worlds, monkeypatch):
    async def no_fence(session, turn, lease):
        return True

    monkeypatch.setattr(lane_store, "pass_fence", no_fence)
    assert await play_all(worlds, range(5_000_000, 5_000_000 + UNFENCED_INTERLEAVINGS))
