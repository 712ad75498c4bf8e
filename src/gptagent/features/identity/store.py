"""All SQL of identity. A person's rows are visible only in a transaction opened for that person."""

from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record, UniqueViolationError

from gptagent.kernel.db import Session


async def insert_person(
    session: Session, person_id: UUID, email: str, names: tuple[str, str], locale: str, *, admin: bool
) -> bool:
    """Return False if the address is taken. `names`: given, family."""
    try:
        await session.execute(
            """insert into app.person (id, email, given_name, family_name, locale, is_platform_admin)
               values ($1, $2, $3, $4, $5, $6)""",
            person_id,
            email,
            *names,
            locale,
            admin,
        )
    except UniqueViolationError:
        return False
    return True


async def insert_credential(session: Session, person_id: UUID, password_hash: str) -> None:
    await session.execute(
        "insert into app.credential (person_id, password_hash) values ($1, $2)", person_id, password_hash
    )


async def select_person(session: Session, person_id: UUID) -> Record | None:
    return await session.fetchrow(
        """select id, email, full_name, given_name, family_name, locale, is_platform_admin, avatar_key,
                  email_verified_at is not null as is_verified
             from app.person where id = $1""",
        person_id,
    )


async def update_locale(session: Session, person_id: UUID, locale: str) -> None:
    await session.execute("update app.person set locale = $2 where id = $1", person_id, locale)


async def credential_by_email(session: Session, email: str) -> Record | None:
    return await session.fetchrow("select person_id, password_hash from app.credential_by_email($1)", email)


async def insert_session(
    session: Session,
    session_id: UUID,
    person_id: UUID,
    token_hash: bytes,
    expires_at: datetime,
    *,
    remembered: bool,
    device: str,
    address: str,
    workspace_id: UUID | None,
    idle_life: timedelta,
    is_strong: bool,
) -> None:
    """Open a browser's log-in. It confirms who the person is, unless only a workspace's provider says so, or
    a password where a second factor is demanded.
    """
    await session.execute(
        """insert into app.web_session (id, person_id, token_hash, expires_at, remembered, device, address,
                                        workspace_id, idle_life, is_strong, confirmed_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10,
                   case when $8::uuid is null and ($10 or not app.must_show_factor($2)) then now()
                        else 'epoch' end)""",
        session_id,
        person_id,
        token_hash,
        expires_at,
        remembered,
        device,
        address,
        workspace_id,
        idle_life,
        is_strong,
    )


async def session_by_hash(session: Session, token_hash: bytes, *, is_use: bool) -> Record | None:
    return await session.fetchrow(
        """select session_id as id, person_id, expires_at, confirmed_at, workspace_id, impersonator_id,
                  is_strong
             from app.session_by_hash($1, $2)""",
        token_hash,
        is_use,
    )


async def insert_grant(
    session: Session,
    grant_id: UUID,
    person_id: UUID,
    workspace_id: UUID,
    *,
    device: str,
    address: str,
    is_strong: bool,
) -> None:
    """Open a log-in over the API; whether it confirms who the person is: as for a browser's."""
    await session.execute(
        """insert into app.api_grant (id, person_id, workspace_id, device, address, is_strong, confirmed_at)
           values ($1, $2, $3, $4, $5, $6,
                   case when $6 or not app.must_show_factor($2) then now() else 'epoch' end)""",
        grant_id,
        person_id,
        workspace_id,
        device,
        address,
        is_strong,
    )


async def begin_refresh(session: Session, grant_id: UUID, token_hash: bytes, life: timedelta) -> None:
    await session.execute("select app.begin_refresh($1, $2, $3)", grant_id, token_hash, life)


async def use_refresh_token(
    session: Session, token_hash: bytes, next_hash: bytes, life: timedelta
) -> Record | None:
    return await session.fetchrow(
        "select outcome, grant_id, person_id, workspace_id from app.use_refresh_token($1, $2, $3)",
        token_hash,
        next_hash,
        life,
    )


async def grant_strength(
    session: Session, person_id: UUID, grant_id: UUID, impersonator_id: UUID | None
) -> bool | None:
    """Return None if there is no such log-in."""
    found: bool | None = await session.fetchval(
        "select app.grant_strength($1, $2, $3)", person_id, grant_id, impersonator_id
    )
    return found


async def delete_session(session: Session, session_id: UUID) -> None:
    await session.execute("delete from app.web_session where id = $1", session_id)


async def has_people(session: Session) -> bool:
    return bool(await session.fetchval("select app.has_people()"))


async def offer_setup(session: Session, token_hash: bytes) -> None:
    await session.execute("select app.offer_setup($1)", token_hash)


async def setup_is_open(session: Session, token_hash: bytes) -> bool:
    return bool(await session.fetchval("select app.setup_is_open($1)", token_hash))


async def use_setup(session: Session, token_hash: bytes) -> bool:
    return bool(await session.fetchval("select app.use_setup($1)", token_hash))


async def person_by_email(session: Session, email: str) -> UUID | None:
    found: UUID | None = await session.fetchval("select app.person_by_email($1)", email)
    return found


async def offer_token(
    session: Session, token_hash: bytes, kind: str, person_id: UUID | None, *, payload: bytes, life: timedelta
) -> None:
    await session.execute(
        "select app.offer_token($1, $2, $3, $4, $5)", token_hash, kind, person_id, payload, life
    )


async def peek_token(session: Session, token_hash: bytes, kind: str) -> Record | None:
    return await session.fetchrow("select person_id, payload from app.peek_token($1, $2)", token_hash, kind)


async def use_token(session: Session, token_hash: bytes, kind: str) -> Record | None:
    return await session.fetchrow("select person_id, payload from app.use_token($1, $2)", token_hash, kind)


async def void_links(session: Session, person_id: UUID) -> None:
    await session.execute("select app.void_links($1)", person_id)


async def end_entries(session: Session, person_id: UUID) -> None:
    """End every log-in of the person."""
    await session.execute("select app.end_entries($1, null)", person_id)


async def put_credential(session: Session, person_id: UUID, password_hash: str) -> None:
    """Set the password of somebody who has forgotten theirs, or never had one."""
    await session.execute(
        """insert into app.credential (person_id, password_hash) values ($1, $2)
           on conflict (person_id)
           do update set password_hash = excluded.password_hash, changed_at = now()""",
        person_id,
        password_hash,
    )


async def confirm_email(session: Session, person_id: UUID) -> None:
    await session.execute(
        "update app.person set email_verified_at = coalesce(email_verified_at, now()) where id = $1",
        person_id,
    )


async def update_email(session: Session, person_id: UUID, email: str, *, is_verified: bool) -> bool:
    """Return False if the address is taken; the transaction is of no use then."""
    try:
        await session.execute(
            """update app.person set email = $2, email_verified_at = case when $3 then now() end
                where id = $1""",
            person_id,
            email,
            is_verified,
        )
    except UniqueViolationError:
        return False
    return True


async def update_names(session: Session, person_id: UUID, given: str | None, family: str | None) -> None:
    """What is None stays."""
    await session.execute(
        """update app.person
              set given_name = coalesce($2, given_name), family_name = coalesce($3, family_name)
            where id = $1""",
        person_id,
        given,
        family,
    )


async def replace_avatar(session: Session, person_id: UUID, key: str | None) -> str | None:
    """Return the key of the picture there was before."""
    before: str | None = await session.fetchval(
        "select avatar_key from app.person where id = $1 for update", person_id
    )
    await session.execute("update app.person set avatar_key = $2 where id = $1", person_id, key)
    return before


async def select_password(session: Session, person_id: UUID) -> str | None:
    found: str | None = await session.fetchval(
        "select password_hash from app.credential where person_id = $1", person_id
    )
    return found


async def replace_password(session: Session, person_id: UUID, before: str, after: str) -> bool:
    """Return False if the password was changed meanwhile."""
    changed = await session.fetchval(
        """update app.credential set password_hash = $3, changed_at = now()
            where person_id = $1 and password_hash = $2 returning true""",
        person_id,
        before,
        after,
    )
    return bool(changed)


async def select_sessions(session: Session) -> list[Record]:
    """Return the log-ins with a browser of the transaction's person, the last used first."""
    return await session.fetch(
        """select id, device, address, created_at, last_seen_at,
                  impersonator_id is not null as is_impersonation
             from app.web_session
            where person_id = app.person() and expires_at > now() and last_seen_at + idle_life > now()
            order by last_seen_at desc, id desc"""
    )


async def select_grants(session: Session, life: timedelta) -> list[Record]:
    """Return the log-ins over the API of the transaction's person that can still be renewed."""
    return await session.fetch(
        """select id, device, address, created_at, last_used_at as last_seen_at from app.api_grant
            where person_id = app.person() and revoked_at is null and last_used_at > now() - $1::interval
            order by last_used_at desc, id desc""",
        life,
    )


async def revoke_session(session: Session, session_id: UUID) -> bool:
    return bool(
        await session.fetchval(
            "delete from app.web_session where id = $1 and person_id = app.person() returning true",
            session_id,
        )
    )


async def revoke_grant(session: Session, grant_id: UUID) -> bool:
    return bool(
        await session.fetchval(
            """update app.api_grant set revoked_at = now()
                where id = $1 and person_id = app.person() and revoked_at is null returning true""",
            grant_id,
        )
    )


async def end_others(session: Session, session_id: UUID | None, grant_id: UUID | None) -> int:
    """End every log-in of the transaction's person but these; return how many."""
    browsers = await session.fetch(
        "delete from app.web_session where person_id = app.person() and id is distinct from $1 returning id",
        session_id,
    )
    grants = await session.fetch(
        """update app.api_grant set revoked_at = now()
            where person_id = app.person() and id is distinct from $1 and revoked_at is null returning id""",
        grant_id,
    )
    return len(browsers) + len(grants)


async def renew_session(
    session: Session, session_id: UUID, token_hash: bytes, *, confirms: bool, is_strong: bool
) -> Record | None:
    """Give the log-in another token, and note what its person has just shown."""
    return await session.fetchrow(
        """update app.web_session
              set token_hash = $2, confirmed_at = case when $3 then now() else confirmed_at end,
                  is_strong = is_strong or $4
            where id = $1 returning remembered, expires_at""",
        session_id,
        token_hash,
        confirms,
        is_strong,
    )


async def confirm_grant(session: Session, grant_id: UUID, *, is_strong: bool) -> None:
    await session.execute(
        "update app.api_grant set confirmed_at = now(), is_strong = is_strong or $2 where id = $1",
        grant_id,
        is_strong,
    )


async def confirmed_at(session: Session, session_id: UUID | None, grant_id: UUID | None) -> datetime | None:
    """Return when the transaction's person last showed in this log-in who they are."""
    found: datetime | None = await session.fetchval(
        """select confirmed_at from app.api_grant where id = $1 and person_id = app.person()
           union all
           select confirmed_at from app.web_session where id = $2 and person_id = app.person()""",
        grant_id,
        session_id,
    )
    return found


async def forget_identities(session: Session) -> None:
    """Unlink every sign-in provider from the transaction's person."""
    await session.execute("delete from app.oidc_identity where person_id = app.person()")
