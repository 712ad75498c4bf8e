"""All SQL of second factors: codes of an app, those for a lost phone, and passkeys."""

from uuid import UUID

from asyncpg import Record

from gptagent.kernel.db import Session


async def weaken_log_ins(session: Session) -> None:
    """No log-in of the transaction's person counts as strong any more, if they have no factor left."""
    await session.execute(
        """update app.web_session set is_strong = false
            where person_id = app.person() and is_strong and not app.has_any_factor(person_id)"""
    )
    await session.execute(
        """update app.api_grant set is_strong = false
            where person_id = app.person() and is_strong and not app.has_any_factor(person_id)"""
    )


async def has_any_factor(session: Session, person_id: UUID) -> bool:
    return bool(await session.fetchval("select app.has_any_factor($1)", person_id))


async def must_show_factor(session: Session, person_id: UUID) -> bool:
    return bool(await session.fetchval("select app.must_show_factor($1)", person_id))


async def delete_passkeys(session: Session, person_id: UUID) -> None:
    await session.execute("delete from app.passkey where person_id = $1", person_id)


async def has_second_factor(session: Session, person_id: UUID) -> bool:
    return bool(await session.fetchval("select app.has_second_factor($1)", person_id))


async def select_totp(session: Session, person_id: UUID) -> Record | None:
    return await session.fetchrow(
        "select secret_sealed, confirmed_at, last_step from app.totp where person_id = $1", person_id
    )


async def offer_totp(session: Session, person_id: UUID, sealed: bytes) -> bool:
    """Keep a secret that is not in use yet. Return False if one is."""
    return bool(
        await session.fetchval(
            """insert into app.totp (person_id, secret_sealed) values ($1, $2)
               on conflict (person_id) do update
                  set secret_sealed = excluded.secret_sealed, created_at = now()
                where totp.confirmed_at is null returning true""",
            person_id,
            sealed,
        )
    )


async def take_totp_step(session: Session, person_id: UUID, step: int) -> bool:
    """Return False if a code of this step or a later one was accepted before."""
    return bool(
        await session.fetchval(
            "update app.totp set last_step = $2 where person_id = $1 and last_step < $2 returning true",
            person_id,
            step,
        )
    )


async def confirm_totp(session: Session, person_id: UUID) -> bool:
    return bool(
        await session.fetchval(
            """update app.totp set confirmed_at = now()
                where person_id = $1 and confirmed_at is null returning true""",
            person_id,
        )
    )


async def delete_totp(session: Session, person_id: UUID) -> bool:
    await session.execute("delete from app.recovery_code where person_id = $1", person_id)
    return bool(await session.fetchval("delete from app.totp where person_id = $1 returning true", person_id))


async def replace_recovery_codes(session: Session, person_id: UUID, hashes: list[bytes]) -> None:
    await session.execute("delete from app.recovery_code where person_id = $1", person_id)
    await session.execute(
        "insert into app.recovery_code (person_id, code_hash) select $1, unnest($2::bytea[])",
        person_id,
        hashes,
    )


async def use_recovery_code(session: Session, person_id: UUID, code_hash: bytes) -> bool:
    return bool(
        await session.fetchval(
            """update app.recovery_code set used_at = now()
                where person_id = $1 and code_hash = $2 and used_at is null returning true""",
            person_id,
            code_hash,
        )
    )


async def count_recovery_codes(session: Session, person_id: UUID) -> int:
    left: int = await session.fetchval(
        "select count(*) from app.recovery_code where person_id = $1 and used_at is null", person_id
    )
    return left


async def insert_passkey(
    session: Session,
    passkey_id: UUID,
    person_id: UUID,
    credential_id: bytes,
    *,
    public_key: bytes,
    sign_count: int,
    name: str,
) -> bool:
    """Return False if the credential is known already."""
    return bool(
        await session.fetchval(
            """insert into app.passkey (id, person_id, credential_id, public_key, sign_count, name)
               values ($1, $2, $3, $4, $5, $6) on conflict (credential_id) do nothing returning true""",
            passkey_id,
            person_id,
            credential_id,
            public_key,
            sign_count,
            name,
        )
    )


async def select_passkeys(session: Session, person_id: UUID) -> list[Record]:
    return await session.fetch(
        """select id, credential_id, name, created_at, last_used_at from app.passkey
            where person_id = $1 order by created_at, id""",
        person_id,
    )


async def passkey_by_credential(session: Session, credential_id: bytes) -> Record | None:
    return await session.fetchrow(
        "select passkey_id, person_id, public_key, sign_count from app.passkey_by_credential($1)",
        credential_id,
    )


async def note_passkey_use(session: Session, passkey_id: UUID, sign_count: int) -> bool:
    """Return False if a later use was noted meanwhile."""
    return bool(
        await session.fetchval(
            """update app.passkey set sign_count = $2, last_used_at = now()
                where id = $1 and (sign_count < $2 or (sign_count = 0 and $2 = 0)) returning true""",
            passkey_id,
            sign_count,
        )
    )


async def delete_passkey(session: Session, passkey_id: UUID) -> bool:
    return bool(
        await session.fetchval(
            "delete from app.passkey where id = $1 and person_id = app.person() returning true", passkey_id
        )
    )
