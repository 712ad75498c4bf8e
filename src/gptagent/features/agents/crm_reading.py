"""How the accounts of the CRM were last read, for whoever chooses pipelines, channels and fields of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gptagent.features.crm import service as crm
from gptagent.features.crm.syncing import service as syncing
from gptagent.kernel.db import Session
from gptagent.kernel.errors import AppError, Conflict, RateLimited


@dataclass(frozen=True, slots=True)
class Reading:
    """`done` of `parts` are read of a run under way; `has_failed`: the last run read nothing, or not all."""

    connection_id: UUID
    name: str
    read_at: datetime | None
    is_under_way: bool = False
    done: int = 0
    parts: int = 0
    has_failed: bool = False


async def list_readings(session: Session) -> list[Reading]:
    """Return one for each account of the workspace."""
    found = []
    for one in await crm.list_connections(session):
        runs, _total = await syncing.list_syncs(session, one.id, offset=0, limit=1)
        reading = Reading(one.id, one.name or one.host, one.synced_at)
        if runs:
            run = runs[0]
            has_failed = not run.is_under_way and (run.state == "failed" or run.has_failures)
            reading = Reading(
                one.id,
                reading.name,
                one.synced_at,
                run.is_under_way,
                run.parts_over,
                len(run.parts),
                has_failed,
            )
        found.append(reading)
    return found


async def read_anew(session: Session) -> AppError | None:
    """Have all accounts read that work and are on; return why it could not be begun for one of them.

    What is under way already goes on.
    """
    wrong: AppError | None = None
    for one in await crm.list_connections(session):
        try:
            await syncing.request_sync(session, one.id, "manual")
        except (Conflict, RateLimited) as error:
            wrong = error
    return wrong


def last_read(readings: Sequence[Reading]) -> str:
    """Return a sign that changes once an account was read anew."""
    return "-".join(str(int(one.read_at.timestamp())) if one.read_at else "0" for one in readings)
