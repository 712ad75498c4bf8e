"""What a workspace may spend, has spent and holds, and what its providers were asked."""

from gptagent.features.inference.budgets import service as budgets
from gptagent.features.inference.budgets.model import Amount, Budgets, Limits
from gptagent.kernel.clock import utcnow

PLENTY = Limits(day_tokens=1_000_000)


async def allow(db, scope, limits=PLENTY, contact=PLENTY):
    async with db.session(scope) as session:
        await budgets.set_budgets(session, Budgets(limits, contact), now=utcnow())


async def used(db, scope):
    """Return what each level has used today."""
    async with db.session(scope) as session:
        rows = await session.fetch("select level, micro_usd, tokens from app.budget_use where period = 'day'")
    return {row["level"]: Amount(row["micro_usd"], row["tokens"]) for row in rows}


async def held(db, scope):
    async with db.session(scope) as session:
        rows = await session.fetch("select micro_usd, tokens from app.budget_hold")
    return [Amount(row["micro_usd"], row["tokens"]) for row in rows]


def asked(control, since=0):
    """Return what kinds of calls the providers had, in their order."""
    return [call["kind"] for call in control.get("/calls?prompts=0").json()["calls"][since:]]
