"""SQL of the calls to the CRM: their slots, and how the accounts do."""

from collections.abc import Sequence
from datetime import timedelta

from gptagent.features.crm.calling.lines import Claim
from gptagent.kernel.circuits import Circuit
from gptagent.kernel.db import Session


async def claim_slot(
    session: Session, keys: tuple[str, str], spacing: timedelta, horizon: timedelta, circuit: Circuit
) -> Claim:
    """Take the next slot of an account's and an address's keys if it is within the horizon and the account
    is worth a try.
    """
    row = await session.fetchrow(
        "select granted, wait, account_wait, failures, open_for"
        " from app.claim_call_slot($1, $2, $3, $4, $5, $6)",
        *keys,
        spacing,
        horizon,
        circuit.trip,
        circuit.probe,
    )
    if row is None:
        raise LookupError("the function returned no row")
    return Claim(**row)


async def note_call(session: Session, account_key: str, *, failed: bool, circuit: Circuit) -> int:
    """Count a failure or forget them all; return how many there are in a row."""
    failures: int | None = await session.fetchval(
        "select app.note_call($1, $2, $3, $4, $5)",
        account_key,
        failed,
        circuit.trip,
        circuit.first,
        circuit.longest,
    )
    return failures or 0


async def block_calls(session: Session, keys: Sequence[str], seconds: float) -> None:
    await session.execute("select app.block_calls($1, $2)", list(keys), seconds)
