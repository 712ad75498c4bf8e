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
