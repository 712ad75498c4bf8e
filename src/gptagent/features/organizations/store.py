"""All SQL of workspaces and their members."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from gptagent.kernel.db import Session
from gptagent.kernel.paging import Order, Page, orders

SETTINGS = ("name", "slug", "locale", "needs_second_factor")
MEMBERSHIP = "org_id, number, slug, name, role, delete_at, needs_second_factor"
WORKSPACE_ORDERS = {
    "number": Order("number", "number", "number", id_column="org_id"),
    "name": Order("name", "name", "text", id_column="org_id"),
}
MEMBER_ORDERS = {
    "joined_at": Order("joined_at", "joined_at", id_column="person_id"),
    "-joined_at": Order("-joined_at", "joined_at", descending=True, id_column="person_id"),
    "name": Order("name", "full_name", "text", id_column="person_id"),
}
INVITATION_ORDERS = orders()


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


async def select_settings(session: Session) -> Record | None:
    return await session.fetchrow(
        """select number, slug, name, locale, created_at, delete_at, needs_second_factor,
                  stop_on_human, resume_after_hours, resume_command
             from app.organization"""
    )


async def select_stopping(session: Session) -> Record | None:
    return await session.fetchrow(
        "select stop_on_human, resume_after_hours, resume_command from app.organization"
    )


async def select_plan(session: Session) -> str | None:
    plan: str | None = await session.fetchval("select plan from app.organization")
    return plan


async def lock_organization(session: Session) -> None:
    """Serialise what changes who may do what here. New rows that refer to the workspace need not wait."""
    await session.execute("select from app.organization for no key update")


async def update_settings(session: Session, changes: Mapping[str, object]) -> None:
    """Write the named columns, all of SETTINGS."""
    sets = ", ".join(f"{column} = ${number}" for number, column in enumerate(changes, start=1))
    await session.execute(f"update app.organization set {sets}", *changes.values())  # noqa: S608 - names of columns, from SETTINGS


async def mark_for_deletion(session: Session, grace: timedelta) -> bool:
    """Return whether it was not marked before."""
    done = await session.fetchval(
        "update app.organization set delete_at = now() + $1 where delete_at is null returning true", grace
    )
    return bool(done)


async def unmark_for_deletion(session: Session) -> bool:
    """Return False if there is nothing to take back, or it is too late."""
    done = await session.fetchval(
        "update app.organization set delete_at = null where delete_at > now() returning true"
    )
    return bool(done)


async def select_silence(session: Session) -> Record | None:
    return await session.fetchrow("select suspended_at, delete_at from app.organization")


async def workspaces_to_delete(session: Session) -> list[UUID]:
    return [row["org_id"] for row in await session.fetch("select org_id from app.workspaces_to_delete()")]


async def delete_workspace(session: Session, org_id: UUID) -> bool:
    return bool(await session.fetchval("select app.delete_workspace($1)", org_id))


async def insert_member(
    session: Session, person_id: UUID, role: str, *, invited_by: UUID | None = None
) -> None:
    await session.execute(
        "insert into app.member (person_id, role, invited_by) values ($1, $2, $3)",
        person_id,
        role,
        invited_by,
    )


async def memberships_of(session: Session, person_id: UUID) -> list[Record]:
    return await session.fetch(
        f"select {MEMBERSHIP} from app.memberships_of($1)",  # noqa: S608 - columns of this file
        person_id,
    )


async def page_of_memberships(session: Session, person_id: UUID, page: Page) -> list[Record]:
    return await session.fetch(
        f"""select {MEMBERSHIP} from app.memberships_of($1)
             where {page.clause(2)}""",  # noqa: S608 - columns of this file
        person_id,
        *page.args,
    )


async def api_key_by_hash(session: Session, key_hash: bytes) -> Record | None:
    return await session.fetchrow("select org_id, key_id, scopes from app.api_key_by_hash($1)", key_hash)


async def select_members(session: Session) -> list[Record]:
    return await session.fetch(
        """select person_id, full_name, email, role, status, joined_at, last_seen_at
             from app.workspace_people()"""
    )


async def page_of_members(session: Session, page: Page, role: str | None, status: str | None) -> list[Record]:
    return await session.fetch(
        f"""select person_id, full_name, email, role, status, joined_at, last_seen_at
              from app.workspace_people()
             where ($1::text is null or role = $1) and ($2::text is null or status = $2)
               and {page.clause(3)}""",  # noqa: S608 - columns of this file
        role,
        status,
        *page.args,
    )


async def select_member(session: Session, person_id: UUID) -> Record | None:
    return await session.fetchrow(
        "select person_id, role, status from app.member where person_id = $1", person_id
    )


async def has_other_owner(session: Session, person_id: UUID) -> bool:
    return bool(
        await session.fetchval(
            """select exists (select from app.member
                               where role = 'owner' and status = 'active' and person_id <> $1)""",
            person_id,
        )
    )


async def update_role(session: Session, person_id: UUID, role: str) -> None:
    await session.execute("update app.member set role = $2 where person_id = $1", person_id, role)


async def update_status(session: Session, person_id: UUID, status: str) -> None:
    await session.execute("update app.member set status = $2 where person_id = $1", person_id, status)


async def delete_member(session: Session, person_id: UUID) -> None:
    await session.execute("delete from app.member where person_id = $1", person_id)


async def end_entries(session: Session, person_id: UUID, org_id: UUID) -> None:
    await session.execute("select app.end_entries($1, $2)", person_id, org_id)


async def revoke_keys_of(session: Session, person_id: UUID) -> int:
    """Revoke the keys a person has made in this workspace. Returns how many."""
    rows = await session.fetch(
        """update app.api_key set revoked_at = now()
            where created_by = $1 and revoked_at is null returning id""",
        person_id,
    )
    return len(rows)


async def revoke_invitations_of(session: Session, person_id: UUID) -> int:
    """Revoke the open invitations a person has made: they may know the links. Returns how many."""
    rows = await session.fetch(
        """update app.invitation set revoked_at = now()
            where invited_by = $1 and revoked_at is null and accepted_at is null returning id""",
        person_id,
    )
    return len(rows)


_OPEN = "revoked_at is null and accepted_at is null and expires_at > now()"


async def insert_invitation(
    session: Session,
    invitation_id: UUID,
    *,
    email: str | None,
    role: str,
    token_hash: bytes,
    by_letter: bool,
    invited_by: UUID | None,
    life: timedelta,
) -> None:
    await session.execute(
        """insert into app.invitation (id, email, role, token_hash, by_letter, invited_by, expires_at)
           values ($1, $2, $3, $4, $5, $6, now() + $7)""",
        invitation_id,
        email,
        role,
        token_hash,
        by_letter,
        invited_by,
        life,
    )


async def select_invitations(session: Session) -> list[Record]:
    return await session.fetch(
        f"""select id, email, role, created_at, expires_at from app.invitation
             where {_OPEN} order by created_at desc, id desc"""  # noqa: S608 - a condition of this file
    )


async def page_of_invitations(session: Session, page: Page) -> list[Record]:
    return await session.fetch(
        f"""select id, email, role, created_at, expires_at from app.invitation
             where {_OPEN} and {page.clause(1)}""",  # noqa: S608 - columns of this file
        *page.args,
    )


async def select_invitation(session: Session, invitation_id: UUID) -> Record | None:
    return await session.fetchrow(
        f"select id, email, role, created_at, expires_at from app.invitation where id = $1 and {_OPEN}",  # noqa: S608 - a condition of this file
        invitation_id,
    )


async def is_member_address(session: Session, email: str) -> bool:
    return bool(
        await session.fetchval("select exists (select from app.workspace_people() where email = $1)", email)
    )


async def revoke_invitations_to(session: Session, email: str) -> list[UUID]:
    rows = await session.fetch(
        f"update app.invitation set revoked_at = now() where email = $1 and {_OPEN} returning id",  # noqa: S608 - a condition of this file
        email,
    )
    return [row["id"] for row in rows]


async def revoke_invitation(session: Session, invitation_id: UUID) -> bool:
    done = await session.fetchval(
        f"update app.invitation set revoked_at = now() where id = $1 and {_OPEN} returning true",  # noqa: S608 - a condition of this file
        invitation_id,
    )
    return bool(done)


async def renew_invitation(
    session: Session, invitation_id: UUID, token_hash: bytes, life: timedelta, *, by_letter: bool
) -> bool:
    """Give an open invitation a new token and its whole time: the old token is worth nothing."""
    done = await session.fetchval(
        f"""update app.invitation set token_hash = $2, by_letter = $4, expires_at = now() + $3
             where id = $1 and {_OPEN} returning true""",  # noqa: S608 - a condition of this file
        invitation_id,
        token_hash,
        life,
        by_letter,
    )
    return bool(done)


async def invitation_by_hash(session: Session, token_hash: bytes) -> Record | None:
    return await session.fetchrow(
        """select org_id, invitation_id, workspace, role, invited_by, email, by_letter
             from app.invitation_by_hash($1)""",
        token_hash,
    )


async def use_invitation(
    session: Session, person_id: UUID, *, token_hash: bytes | None = None, email: str | None = None
) -> Record | None:
    """Take the open invitation with this token or to this address, once. Returns what it offers.

    None if there is none, it ended or somebody was faster.
    """
    return await session.fetchrow(
        f"""update app.invitation set accepted_at = now(), accepted_by = $1
             where (token_hash = $2 or email = $3) and {_OPEN} returning id, email, role, invited_by""",  # noqa: S608 - a condition of this file
        person_id,
        token_hash,
        email,
    )


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
