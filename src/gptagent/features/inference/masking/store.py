"""All SQL of masking. Tenancy is the database's: no statement names the workspace."""

from collections.abc import Sequence
from datetime import datetime

from gptagent.features.inference.masking.model import Masking
from gptagent.kernel.db import Session


async def fetch_masking(session: Session) -> Masking:
    row = await session.fetchrow("select kinds, version, updated_at from app.masking")
    return Masking(tuple(row["kinds"]), row["version"], row["updated_at"]) if row else Masking()


async def save_masking(
    session: Session, kinds: Sequence[str], version: int | None, now: datetime
) -> Masking | None:
    """Return None if there is another version by now; a `version` of None takes any."""
    row = await session.fetchrow(
        """insert into app.masking as m (kinds, version, updated_at)
           select $1, 1, $3 where coalesce($2::int, 0) = 0 or exists (select from app.masking)
           on conflict (org_id) do update
             set kinds = excluded.kinds, version = m.version + 1, updated_at = excluded.updated_at
           where $2::int is null or m.version = $2
           returning kinds, version, updated_at""",
        list(kinds),
        version,
        now,
    )
    return Masking(tuple(row["kinds"]), row["version"], row["updated_at"]) if row else None
