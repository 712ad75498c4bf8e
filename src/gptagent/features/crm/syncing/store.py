"""All SQL of the runs that copy an account."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from asyncpg import Record

from gptagent.features.crm.syncing.model import Part, PartName, Sync
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page

_SYNC = "select * from app.crm_sync"
_PARTS = msgspec.json.Decoder(tuple[Part, ...])


async def insert_sync(session: Session, sync_id: UUID, connection_id: UUID, kind: str) -> None:
    """Insert the connection's one run. The caller holds the connection's lock."""
    await session.execute(
        "insert into app.crm_sync (id, connection_id, kind) values ($1, $2, $3)", sync_id, connection_id, kind
    )


async def count_recent(session: Session, connection_id: UUID, age: timedelta) -> int:
    count: int = await session.fetchval(
        "select count(*) from app.crm_sync where connection_id = $1 and created_at > now() - $2::interval",
        connection_id,
        age,
    )
    return count


async def forget_old(session: Session, connection_id: UUID, age: timedelta) -> None:
    await session.execute(
        "delete from app.crm_sync where connection_id = $1 and created_at < now() - $2::interval",
        connection_id,
        age,
    )


async def fail_stale(session: Session, connection_id: UUID, age: timedelta) -> None:
    await session.execute(
        """update app.crm_sync set state = 'failed', error_code = 'sync_lost', finished_at = now(),
                                   updated_at = now()
            where connection_id = $1 and state in ('queued', 'running')
              and updated_at < now() - $2::interval""",
        connection_id,
        age,
    )


async def select_active(session: Session, connection_id: UUID) -> Sync | None:
    row = await session.fetchrow(
        f"{_SYNC} where connection_id = $1 and state in ('queued', 'running')",
        connection_id,
    )
    return None if row is None else _sync(row)


async def select_sync(session: Session, connection_id: UUID, sync_id: UUID) -> Sync | None:
    row = await session.fetchrow(f"{_SYNC} where connection_id = $1 and id = $2", connection_id, sync_id)
    return None if row is None else _sync(row)


async def select_page(session: Session, connection_id: UUID, page: Page) -> list[Sync]:
    rows = await session.fetch(
        f"{_SYNC} where connection_id = $1 and {page.clause(2)}",
        connection_id,
        *page.args,
    )
    return [_sync(row) for row in rows]


async def select_latest(session: Session, connection_id: UUID, offset: int, limit: int) -> list[Sync]:
    rows = await session.fetch(
        f"""{_SYNC} where connection_id = $1
             order by created_at desc, id desc offset $2 limit $3""",
        connection_id,
        offset,
        limit,
    )
    return [_sync(row) for row in rows]


async def count_syncs(session: Session, connection_id: UUID) -> int:
    count: int = await session.fetchval(
        "select count(*) from app.crm_sync where connection_id = $1", connection_id
    )
    return count


async def claim_sync(session: Session, sync_id: UUID) -> Sync | None:
    """Take the run; whoever had it before finds that it is no longer theirs. None once it is over."""
    row = await session.fetchrow(
        """update app.crm_sync set state = 'running', claim = claim + 1, updated_at = now(),
                                    started_at = coalesce(started_at, now())
             where id = $1 and state in ('queued', 'running') returning *""",
        sync_id,
    )
    return None if row is None else _sync(row)


async def begin(session: Session, sync: Sync, parts: Sequence[Part], *, is_full: bool) -> bool:
    done = await session.fetchval(
        """update app.crm_sync set parts = $3, is_full = $4, updated_at = now()
            where id = $1 and claim = $2 and state = 'running' returning true""",
        sync.id,
        sync.claim,
        _packed(parts),
        is_full,
    )
    return bool(done)


async def save_parts(session: Session, sync: Sync, parts: Sequence[Part]) -> datetime | None:
    """Record how far the run is. Returns the database's time, None if the run is another's."""
    at: datetime | None = await session.fetchval(
        """update app.crm_sync set parts = $3, error_code = null, updated_at = now()
            where id = $1 and claim = $2 and state = 'running' returning now()""",
        sync.id,
        sync.claim,
        _packed(parts),
    )
    return at


async def note_error(session: Session, sync: Sync, code: str) -> bool:
    """Record what a run is held up by while it is tried again."""
    done = await session.fetchval(
        """update app.crm_sync set error_code = $3, updated_at = now()
            where id = $1 and claim = $2 and state = 'running' returning true""",
        sync.id,
        sync.claim,
        code,
    )
    return bool(done)


async def finish(
    session: Session, sync_id: UUID, claim: int | None, state: str, error_code: str | None
) -> UUID | None:
    """End the run; without a code the one noted last stays. Returns its connection, None if it was over."""
    connection_id: UUID | None = await session.fetchval(
        """update app.crm_sync
              set state = $3, error_code = case when $3 = 'completed' then null
                                                else coalesce($4, error_code, 'sync_failed') end,
                  finished_at = now(), updated_at = now()
            where id = $1 and ($2::integer is null or claim = $2) and state in ('queued', 'running')
        returning connection_id""",
        sync_id,
        claim,
        state,
        error_code,
    )
    return connection_id


async def select_starts(session: Session, connection_id: UUID) -> dict[PartName, datetime]:
    """Return when the last completed run began in which each part was read."""
    rows = await session.fetch(
        """select part->>'name' as name, max(s.started_at) as at
             from app.crm_sync s cross join jsonb_array_elements(s.parts) part
            where s.connection_id = $1 and s.state = 'completed' and part->>'state' = 'done'
            group by 1""",
        connection_id,
    )
    return {row["name"]: row["at"] for row in rows}


async def has_recent_full(session: Session, connection_id: UUID, age: timedelta) -> bool:
    """Whether everything was read within this time, contacts and deals included."""
    found = await session.fetchval(
        """select exists (
             select from app.crm_sync s
              where s.connection_id = $1 and s.state = 'completed' and s.is_full
                and s.started_at > now() - $2::interval
                and s.parts @> '[{"name": "contacts", "state": "done"}]'
                and s.parts @> '[{"name": "leads", "state": "done"}]')""",
        connection_id,
        age,
    )
    return bool(found)


async def is_due(
    session: Session, connection_id: UUID, age: timedelta, pause: timedelta, stale: timedelta
) -> bool:
    """Answer for one connection what `connections_to_sync` answers for all."""
    found = await session.fetchval(
        """select not exists (
             select from app.crm_sync where connection_id = $1
                and case state when 'completed' then started_at > now() - $2::interval
                               when 'failed' then updated_at > now() - $3::interval
                               else updated_at > now() - $4::interval end)""",
        connection_id,
        age,
        pause,
        stale,
    )
    return bool(found)


async def connections_to_sync(
    session: Session, age: timedelta, pause: timedelta, stale: timedelta, most: int
) -> list[Record]:
    return await session.fetch(
        "select * from app.connections_to_sync($1, $2, $3, $4)", age, pause, stale, most
    )


def _packed(parts: Sequence[Part]) -> str:
    return msgspec.json.encode(parts).decode()


def _sync(row: Record) -> Sync:
    values = {name: row[name] for name in Sync.__dataclass_fields__}
    return Sync(**{**values, "parts": _PARTS.decode(row["parts"])})
