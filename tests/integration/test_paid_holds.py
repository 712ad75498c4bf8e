"""What is held before a paid call is let go or counted, however the call ends and whoever is killed."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import psycopg
import pytest

from gptagent.features.inference import service as inference
from gptagent.features.inference.budgets import service as budgets
from gptagent.features.inference.budgets.model import HOLD_FOR, Amount, Limits
from gptagent.features.inference.budgets.service import BudgetExhausted
from gptagent.features.inference.guarded import GuardedModel
from gptagent.features.inference.model import (
    ChatTurn,
    ModelRequest,
    Use,
)
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import UpstreamUnavailable
from gptagent.kernel.ids import new_id
from gptagent.kernel.settings import child_environment
from integration.paid_desk import allow, asked, held, used

PROCESS = Path(__file__).with_name("paid_process.py")


@pytest.fixture
def door(database, model):
    return GuardedModel(database, model, names=("sandbox",))


@pytest.mark.parametrize("ending", [RuntimeError("of the process"), UpstreamUnavailable("x", "x"), None])
async def test_however_a_call_ends_without_an_answer_it_lets_go(database, scope, ending):
    """A mistake of ours, a failure of theirs, and somebody who does not want to know any more."""
    await allow(database, scope, Limits(day_tokens=1))
    began = asyncio.Event()

    async def ask():
        began.set()
        if ending is None:
            await asyncio.Event().wait()
        raise ending

    call = asyncio.create_task(inference.pay(database, Use(scope), Amount(0, 10), ask, lambda _: Amount()))
    await began.wait()
    if ending is None:
        assert await held(database, scope) == [Amount(0, 10)]
        call.cancel()
    with pytest.raises(asyncio.CancelledError if ending is None else type(ending)):
        await call
    assert (await held(database, scope), await used(database, scope)) == ([], {})


async def test_what_a_killed_process_held_counts_in_time_and_nothing_is_overspent(
    door, scope, roles, llm, control
):
    """MSG-5: what its provider takes for the call nobody knows, so it counts as what was held."""
    database, contact, agent = door.db, new_id(), new_id()
    use = Use(scope, contact, agent)
    request = ModelRequest("You answer briefly.", (ChatTurn("user", "Hello " * 40),), 0.2, 60, use=use)
    first = await door.complete(request)
    each = first.tokens_in + first.tokens_out
    await allow(database, scope, Limits(day_tokens=10 * each))
    control.post("/faults", json={"action": "timeout", "count": 1}).raise_for_status()
    given = {"dsn": roles.app_dsn, "url": llm, "org": scope.org_id, "contact": contact, "agent": agent}
    process = await asyncio.create_subprocess_exec(
        sys.executable, PROCESS, json.dumps(given, default=str), env=child_environment()
    )
    try:
        async with asyncio.timeout(60):
            while len(asked(control)) < 2:
                assert process.returncode is None
                await asyncio.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        assert await process.wait() == -signal.SIGKILL
    (lost,) = await held(database, scope)
    assert lost.tokens > each
    await allow(database, scope, Limits(day_tokens=each + 1))
    with pytest.raises(BudgetExhausted):
        await door.complete(request)
    pass_time(roles, scope)
    limit = each + lost.tokens
    await allow(database, scope, Limits(day_tokens=limit))
    with pytest.raises(BudgetExhausted):
        await door.complete(request)
    counted = await used(database, scope)
    assert counted["workspace"].tokens == counted["agent"].tokens == limit
    assert counted["contact"].tokens == lost.tokens, "before it had no limit"
    assert await held(database, scope) == []
    await allow(database, scope, Limits(day_tokens=limit + 1))
    await door.complete(request)
    assert (await used(database, scope))["workspace"].tokens == limit + each
    with pytest.raises(BudgetExhausted):
        await door.complete(request)


def pass_time(roles, scope):
    """Let the time pass that a hold lasts."""
    with psycopg.connect(roles.owner_dsn) as owner:
        owner.execute("select set_config('app.org_id', %s, true)", [str(scope.org_id)])
        owner.execute("update app.budget_hold set expires_at = expires_at - %s", [HOLD_FOR])


async def test_whoever_settles_late_does_not_count_a_second_time(database, scope, roles):
    """Its hold had expired, and was counted when somebody else reserved."""
    await allow(database, scope)

    async def ask():
        pass_time(roles, scope)
        async with database.session(scope) as session:
            other = await budgets.reserve(session, Use(scope), Amount(0, 1), now=utcnow())
            await budgets.release(session, other)

    await inference.pay(database, Use(scope), Amount(0, 10), ask, lambda _: Amount(0, 3))
    assert (await used(database, scope))["workspace"] == Amount(0, 10)
