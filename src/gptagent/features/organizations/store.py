"""All SQL of workspaces."""

from uuid import UUID

from asyncpg import Record

from gptagent.kernel.db import Session


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


async def take_invitation(session: Session, email: str) -> str | None:
    role: str | None = await session.fetchval(
        """update app.invitation set accepted_at = now(), accepted_by = app.person()
            where email = $1 and revoked_at is null and accepted_at is null and expires_at > now()
        returning role""",
        email,
    )
    return role
