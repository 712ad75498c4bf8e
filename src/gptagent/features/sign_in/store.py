"""All SQL of sign-in providers and of the identities they vouch for."""

from datetime import timedelta
from uuid import UUID

from asyncpg import Record, UniqueViolationError

from gptagent.kernel.db import Session

_LISTED = "id, name, issuer, client_id, secret_end, role"


async def select_providers(session: Session) -> list[Record]:
    return await session.fetch(f"select {_LISTED} from app.oidc_provider order by created_at, id")  # noqa: S608 - a constant


async def select_provider(session: Session, provider_id: UUID) -> Record | None:
    return await session.fetchrow(
        f"select {_LISTED} from app.oidc_provider where id = $1",  # noqa: S608 - a constant
        provider_id,
    )


async def insert_provider(session: Session, *values: object) -> bool:
    """Return False if this client of the issuer is there already; the transaction is of no use then."""
    try:
        await session.execute(
            """insert into app.oidc_provider (id, name, issuer, client_id, role, secret_sealed, secret_end)
               values ($1, $2, $3, $4, $5, $6, $7)""",
            *values,
        )
    except UniqueViolationError:
        return False
    return True


async def update_provider(session: Session, *values: object) -> bool:
    """Null keeps the secret. Return False as above."""
    try:
        await session.execute(
            """update app.oidc_provider
                  set name = $2, issuer = $3, client_id = $4, role = $5,
                      secret_sealed = coalesce($6, secret_sealed), secret_end = coalesce($7, secret_end)
                where id = $1""",
            *values,
        )
    except UniqueViolationError:
        return False
    return True


async def delete_provider(session: Session, provider_id: UUID) -> bool:
    found = await session.fetchval("delete from app.oidc_provider where id = $1 returning true", provider_id)
    return bool(found)


async def provider_by_id(session: Session, provider_id: UUID) -> Record | None:
    return await session.fetchrow(
        "select org_id, id, name, issuer, client_id, secret_sealed, role from app.oidc_provider_by_id($1)",
        provider_id,
    )


async def providers_of(session: Session, number: int) -> list[Record]:
    return await session.fetch("select id, name from app.oidc_providers_of($1)", number)


async def person_of_identity(session: Session, provider_id: UUID, subject: str) -> UUID | None:
    found: UUID | None = await session.fetchval("select app.oidc_person($1, $2)", provider_id, subject)
    return found


async def insert_identity(session: Session, provider_id: UUID, subject: str, person_id: UUID) -> bool:
    """Return False if it is somebody's already; the transaction is of no use then."""
    try:
        await session.execute(
            "insert into app.oidc_identity (provider_id, subject, person_id) values ($1, $2, $3)",
            provider_id,
            subject,
            person_id,
        )
    except UniqueViolationError:
        return False
    return True


async def touch_identity(session: Session, provider_id: UUID, subject: str) -> None:
    await session.execute(
        "update app.oidc_identity set last_used_at = now() where provider_id = $1 and subject = $2",
        provider_id,
        subject,
    )


async def select_identities(session: Session) -> list[UUID]:
    """Return the providers the transaction's person has an identity of."""
    rows = await session.fetch("select distinct provider_id from app.oidc_identity")
    return [row["provider_id"] for row in rows]


async def delete_identities(session: Session, provider_id: UUID) -> bool:
    found = await session.fetch(
        "delete from app.oidc_identity where provider_id = $1 returning true", provider_id
    )
    return bool(found)


async def offer_state(session: Session, token_hash: bytes, payload: bytes, life: timedelta) -> None:
    await session.execute("select app.offer_token($1, 'oidc', null, $2, $3)", token_hash, payload, life)


async def use_state(session: Session, token_hash: bytes) -> bytes | None:
    payload: bytes | None = await session.fetchval(
        "select payload from app.use_token($1, 'oidc')", token_hash
    )
    return payload
