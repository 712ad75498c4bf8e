"""All SQL of workspaces."""

from datetime import datetime
from uuid import UUID

from asyncpg import Record

from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page


async def insert_organization(session: Session, org_id: UUID, name: str, slug: str, locale: str) -> None:
    await session.execute(
        "insert into app.organization (id, name, slug, locale) values ($1, $2, $3, $4)",
        org_id,
        name,
        slug,
        locale,
    )


async def select_locale(session: Session) -> str | None:
    locale: str | None = await session.fetchval("select locale from app.organization")
    return locale


async def insert_member(session: Session, person_id: UUID, role: str) -> None:
    await session.execute("insert into app.member (person_id, role) values ($1, $2)", person_id, role)


async def memberships_of(session: Session, person_id: UUID) -> list[Record]:
    return await session.fetch(
        "select org_id, number, slug, name, role, delete_at from app.memberships_of($1)", person_id
    )


async def api_key_by_hash(session: Session, key_hash: bytes) -> Record | None:
    return await session.fetchrow("select org_id, key_id, scopes from app.api_key_by_hash($1)", key_hash)


_API_KEY = """select id, name, description, key_start, key_end, scopes, created_by,
                     (select full_name from app.api_key_makers() m where m.person_id = created_by)
                       as created_by_name,
                     created_at, expires_at, last_used_at, revoked_at
                from app.api_key"""


async def insert_api_key(session: Session, *values: object) -> bool:
    """Return False if there is a key with this id."""
    made = await session.fetchval(
        """insert into app.api_key (id, name, description, key_hash, key_start, key_end, scopes, created_by,
                                    created_at, expires_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
           on conflict (org_id, id) do nothing returning true""",
        *values,
    )
    return bool(made)


async def count_api_keys(session: Session, now: datetime) -> int:
    count: int = await session.fetchval(
        """select count(*) from app.api_key
            where revoked_at is null and coalesce(expires_at, 'infinity') > $1""",
        now,
    )
    return count


async def select_api_key(session: Session, key_id: UUID, *, lock: bool = False) -> Record | None:
    return await session.fetchrow(f"{_API_KEY} where id = $1{' for update' if lock else ''}", key_id)


async def select_api_keys(session: Session, page: Page, in_use: bool | None) -> list[Record]:
    return await session.fetch(
        f"""{_API_KEY}
             where ($1::boolean is null
                    or (revoked_at is null and coalesce(expires_at, 'infinity') > now()) = $1)
               and {page.clause(2)}""",
        in_use,
        *page.args,
    )


async def revoke_api_key(session: Session, key_id: UUID, now: datetime) -> bool:
    """Return whether it was not revoked before."""
    done = await session.fetchval(
        "update app.api_key set revoked_at = $2 where id = $1 and revoked_at is null returning true",
        key_id,
        now,
    )
    return bool(done)


async def take_invitation(session: Session, email: str) -> str | None:
    role: str | None = await session.fetchval(
        """update app.invitation set accepted_at = now(), accepted_by = app.person()
            where email = $1 and revoked_at is null and accepted_at is null and expires_at > now()
        returning role""",
        email,
    )
    return role
