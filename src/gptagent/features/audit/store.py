"""All SQL of the record."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from gptagent.kernel.db import Session


async def append(session: Session, *values: object) -> int:
    seq: int = await session.fetchval(
        "select app.audit_append($1, $2, $3, $4, $5, $6, $7::jsonb, $8, $9, $10, $11, $12)", *values
    )
    return seq


async def person_key(session: Session, person_id: UUID) -> bytes | None:
    key: bytes | None = await session.fetchval("select app.person_key_of($1)", person_id)
    return key


async def keep_person_key(session: Session, person_id: UUID, sealed: bytes) -> bytes:
    """Return the key that counts: another transaction may have been first."""
    kept: bytes = await session.fetchval("select app.keep_person_key($1, $2)", person_id, sealed)
    return kept


async def destroy_person_key(session: Session, person_id: UUID) -> None:
    await session.execute("select app.destroy_person_key($1)", person_id)


async def page(
    session: Session,
    *,
    before: int | None,
    limit: int,
    action: str | None,
    person_id: UUID | None,
    since: datetime | None,
    until: datetime | None,
) -> list[Record]:
    """Return rows of the transaction's chain, the newest first."""
    return await session.fetch(
        """select seq, at, actor_kind, actor_id, acting_for, action, target_kind, target_id, changes::text,
                  address, personal, personal_of, request_id, hash
             from app.audit_event
            where org_id = app.org() and ($1::bigint is null or seq < $1)
              and ($3::text is null or action = $3)
              and ($4::uuid is null or actor_id = $4 or acting_for = $4)
              and ($5::timestamptz is null or at >= $5) and ($6::timestamptz is null or at < $6)
            order by seq desc limit $2""",
        before,
        limit,
        action,
        person_id,
        since,
        until,
    )


async def about(session: Session, person_id: UUID, before: int | None, limit: int) -> list[Record]:
    """Return rows of the chain that the person caused or that are about them, the newest first."""
    return await session.fetch(
        """select seq, at, actor_kind, actor_id, acting_for, action, target_kind, target_id, changes::text,
                  address, personal, personal_of, request_id, hash
             from app.audit_event
            where org_id = app.org() and ($2::bigint is null or seq < $2)
              and (actor_id = $1 or acting_for = $1 or personal_of = $1 or target_id = $1::text)
            order by seq desc limit $3""",
        person_id,
        before,
        limit,
    )


async def last_actor(session: Session, action: str, target_id: str) -> UUID | None:
    """Return who caused the newest entry of this action about this target; None if there is none."""
    actor: UUID | None = await session.fetchval(
        """select actor_id from app.audit_event
            where org_id = app.org() and action = $1 and target_id = $2 order by seq desc limit 1""",
        action,
        target_id,
    )
    return actor


async def actions(session: Session) -> list[str]:
    """Return the actions that occur in the transaction's chain: one step in the index for each."""
    rows = await session.fetch(
        """with recursive found as (
             (select action from app.audit_event where org_id = app.org() order by action limit 1)
             union all
             select (select e.action from app.audit_event e where e.org_id = app.org() and e.action > f.action
                      order by e.action limit 1) from found f where f.action is not null)
           select action from found where action is not null"""
    )
    return [row["action"] for row in rows]


async def actors(session: Session) -> list[Record]:
    """Return the people who act in the transaction's chain."""
    return await session.fetch("select person_id as id, full_name as name, is_erased from app.audit_actors()")


async def names(session: Session, low: int, high: int) -> list[Record]:
    """Return the people whom the rows from `low` to `high` name."""
    return await session.fetch(
        "select person_id as id, full_name as name, is_erased from app.audit_names($1, $2)", low, high
    )


async def key_names(session: Session, ids: Collection[UUID]) -> list[Record]:
    return await session.fetch(
        "select id, name, false as is_erased from app.api_key where org_id = app.org() and id = any($1)",
        list(ids),
    )


# What follows is asked by the owner's role only: the application's sees one chain at a time.

VERIFIED_ROWS = 2_000


async def freeze_view(session: Session) -> None:
    """Let the transaction see one moment only. It must be its first statement."""
    await session.execute("set transaction isolation level repeatable read, read only")


async def heads(session: Session) -> list[Record]:
    return await session.fetch("select chain, seq, hash, closed_at from app.audit_head")


async def chains(session: Session) -> list[UUID]:
    return [row["org_id"] for row in await session.fetch("select distinct org_id from app.audit_event")]


async def deletions(session: Session, platform: UUID, action: str) -> list[Record]:
    """Return what the platform's chain says of deleted workspaces: number of rows and last hash."""
    return await session.fetch(
        """select target_id as workspace, (changes->'audit_rows'->>0)::bigint as rows,
                  changes->'audit_head'->>0 as head
             from app.audit_event where org_id = $1 and action = $2""",
        platform,
        action,
    )


async def rows_after(session: Session, chain: UUID, seq: int) -> list[Record]:
    return await session.fetch(
        """select org_id, seq, at, actor_kind, actor_id, acting_for, action, target_kind, target_id,
                  changes::text as changes, address, personal, personal_of, request_id, prev, hash
             from app.audit_event where org_id = $1 and seq > $2 order by seq limit $3""",
        chain,
        seq,
        VERIFIED_ROWS,
    )
