"""All SQL of identity. A person's rows are visible only in a transaction opened for that person."""

from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record, UniqueViolationError

from gptagent.kernel.db import Session


async def insert_person(
    session: Session, person_id: UUID, email: str, full_name: str, locale: str, *, admin: bool
) -> bool:
    """Return False if the address is taken."""
    try:
        await session.execute(
            """insert into app.person (id, email, full_name, locale, is_platform_admin)
               values ($1, $2, $3, $4, $5)""",
            person_id,
            email,
            full_name,
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
        """select id, email, full_name, locale, is_platform_admin,
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
) -> None:
    await session.execute(
        """insert into app.web_session (id, person_id, token_hash, expires_at, remembered, device, address,
                                        workspace_id)
           values ($1, $2, $3, $4, $5, $6, $7, $8)""",
        session_id,
        person_id,
        token_hash,
        expires_at,
        remembered,
        device,
        address,
        workspace_id,
    )


async def session_by_hash(session: Session, token_hash: bytes) -> Record | None:
    return await session.fetchrow(
        """select session_id as id, person_id, expires_at, confirmed_at, workspace_id, impersonator_id
             from app.session_by_hash($1)""",
        token_hash,
    )


async def insert_grant(
    session: Session, grant_id: UUID, person_id: UUID, workspace_id: UUID, *, device: str, address: str
) -> None:
    await session.execute(
        """insert into app.api_grant (id, person_id, workspace_id, device, address)
           values ($1, $2, $3, $4, $5)""",
        grant_id,
        person_id,
        workspace_id,
        device,
        address,
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


async def grant_is_live(session: Session, person_id: UUID, grant_id: UUID) -> bool:
    return bool(await session.fetchval("select app.grant_is_live($1, $2)", person_id, grant_id))


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
