"""All SQL of administration. The functions answer in a transaction of the platform only."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from gptagent.kernel.db import Session


async def organizations(
    session: Session,
    *,
    search: str = "",
    number: int | None = None,
    before: int | None = None,
    limit: int = 1,
) -> list[Record]:
    return await session.fetch(
        """select org_id, number, slug, name, created_at, suspended_at, delete_at, members, agents,
                  last_active_at
             from app.admin_organizations($1, $2, $3, $4)""",
        search,
        number,
        before,
        limit,
    )


async def members(session: Session, org_id: UUID) -> list[Record]:
    return await session.fetch(
        """select person_id, full_name, email, role, status, is_platform_admin, is_suspended
             from app.admin_members($1)""",
        org_id,
    )


async def people(
    session: Session,
    *,
    search: str = "",
    person_id: UUID | None = None,
    before: UUID | None = None,
    limit: int = 1,
) -> list[Record]:
    return await session.fetch(
        """select person_id, full_name, email, created_at, suspended_at, erased_at, is_platform_admin,
                  workspaces, last_seen_at, has_second_factor
             from app.admin_people($1, $2, $3, $4)""",
        search,
        person_id,
        before,
        limit,
    )


async def memberships(session: Session, person_id: UUID) -> list[Record]:
    return await session.fetch(
        "select org_id, number, name, role, status, is_suspended from app.admin_memberships($1)", person_id
    )


async def suspend_organization(session: Session, org_id: UUID, *, suspended: bool) -> bool:
    return bool(await session.fetchval("select app.admin_suspend_organization($1, $2)", org_id, suspended))


async def suspend_person(session: Session, person_id: UUID, *, suspended: bool) -> str:
    return str(await session.fetchval("select app.admin_suspend_person($1, $2)", person_id, suspended))


async def appoint(session: Session, person_id: UUID, *, appointed: bool) -> str:
    return str(await session.fetchval("select app.admin_appoint($1, $2)", person_id, appointed))


async def figures(session: Session) -> Record | None:
    return await session.fetchrow(
        """select database_bytes, people, organizations, agents_estimate, messages_estimate, administrators
             from app.admin_figures()"""
    )


async def insert_key(
    session: Session,
    key_id: UUID,
    name: str,
    key_hash: bytes,
    *,
    ends: tuple[str, str],
    scopes: Sequence[str],
    expires_at: datetime | None,
) -> None:
    await session.execute(
        """insert into app.api_key (id, name, key_hash, key_start, key_end, scopes, expires_at, created_by)
           values ($1, $2, $3, $4, $5, $6, $7, app.person())""",
        key_id,
        name,
        key_hash,
        *ends,
        list(scopes),
        expires_at,
    )


async def keys(session: Session) -> list[Record]:
    return await session.fetch(
        """select id, name, key_start, key_end, scopes, created_by, created_at, expires_at, last_used_at,
                  revoked_at
             from app.api_key where org_id = app.org() order by created_at desc, id limit 200"""
    )


async def revoke_key(session: Session, key_id: UUID) -> str | None:
    """Return the key's name, or None if there is no such key in use."""
    name: str | None = await session.fetchval(
        """update app.api_key set revoked_at = now()
            where org_id = app.org() and id = $1 and revoked_at is null returning name""",
        key_id,
    )
    return name


async def insert_impersonation(
    session: Session,
    session_id: UUID,
    token_hash: bytes,
    expires_at: datetime,
    *,
    device: str,
    impersonator: UUID,
    reason: str,
) -> None:
    """Open a browser's log-in for the transaction's person in its workspace. It never counts as confirmed."""
    await session.execute(
        """insert into app.web_session (id, person_id, token_hash, expires_at, device, workspace_id,
                                        confirmed_at, impersonator_id, impersonation_reason)
           values ($1, app.person(), $2, $3, $4, app.org(), 'epoch', $5, $6)""",
        session_id,
        token_hash,
        expires_at,
        device,
        impersonator,
        reason,
    )


async def end_impersonations(session: Session, impersonator: UUID | None) -> None:
    """End the log-ins of an administrator as the transaction's person."""
    await session.execute(
        "delete from app.web_session where person_id = app.person() and impersonator_id = $1", impersonator
    )
