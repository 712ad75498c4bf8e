"""All SQL of the record."""

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


async def page(session: Session, *, before: int | None, limit: int) -> list[Record]:
    """Return rows of the transaction's chain, the newest first."""
    return await session.fetch(
        """select seq, at, actor_kind, actor_id, acting_for, action, target_kind, target_id, changes::text,
                  address, personal, personal_of, request_id
             from app.audit_event where org_id = app.org() and ($1::bigint is null or seq < $1)
            order by seq desc limit $2""",
        before,
        limit,
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
