"""Facts about the whole installation, asked without a tenant."""

from collections.abc import Mapping
from datetime import timedelta

from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Misconfigured


async def check_keys(session: Session, vault: Vault) -> None:
    """Remember which keys seal this installation's secrets. Raises Misconfigured for other ones.

    A new first key is accepted as long as the former ones are given too. They are needed until a rotation has
    re-encrypted what they sealed (`gptagent secrets rotate`).
    """
    await session.execute(
        "insert into app.installation (key_fingerprint) values ($1) on conflict do nothing", vault.fingerprint
    )
    # A statement of its own: only now is the row visible that another process was just storing.
    row = await session.fetchrow(
        "select key_fingerprint, older_fingerprints from app.installation for update"
    )
    needed = {row["key_fingerprint"], *row["older_fingerprints"]} if row else set()
    if not needed <= set(vault.fingerprints):
        raise Misconfigured(
            "secret_keys_differ",
            "SECRET_KEYS are not the keys this installation's secrets were sealed with. Set the former ones.",
        )
    if row and row["key_fingerprint"] != vault.fingerprint:
        await session.execute(
            "update app.installation set key_fingerprint = $1, older_fingerprints = $2",
            vault.fingerprint,
            sorted(needed - {vault.fingerprint}),
        )


async def queue_depths(session: Session) -> Mapping[str, int]:
    """Return how many jobs there are by state (queued, picked, failed), over all tenants."""
    rows = await session.fetch("select state, jobs from app.queue_depths()")
    return {row["state"]: row["jobs"] for row in rows}


async def count_overdue_lanes(session: Session, late: timedelta) -> int:
    """Return how many conversations have waited for a worker longer than `late`."""
    count: int = await session.fetchval("select app.count_lanes_overdue($1)", late)
    return count


async def count_connections(session: Session) -> Mapping[str, int]:
    """Return how many CRM connections there are by status, over all tenants."""
    rows = await session.fetch("select status, connections from app.connection_counts()")
    return {row["status"]: row["connections"] for row in rows}


async def count_open_circuits(session: Session, trip: int) -> int:
    """Return how many CRM accounts have failed so many times in a row."""
    count: int = await session.fetchval("select app.open_circuits($1)", trip)
    return count


async def forget_old(session: Session, live_events: timedelta, job_log: timedelta) -> None:
    """Delete live events and job log rows older than these ages, and sessions that have ended."""
    await session.execute("select app.forget_old($1, $2)", live_events, job_log)
    await session.execute("select app.forget_sessions()")
