"""All SQL of integrations, consents and grants. Locks: a grant before its connection."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record, UniqueViolationError

from gptagent.kernel.db import Session

_INTEGRATION = "select id, brand, client_id, secret_end, created_at, updated_at from app.crm_integration"


async def insert_integration(session: Session, *values: object) -> bool:
    """Return False if the workspace has it already; the transaction is of no use then."""
    try:
        await session.execute(
            """insert into app.crm_integration (id, brand, client_id, secret_sealed, secret_end)
               values ($1, $2, $3, $4, $5)""",
            *values,
        )
    except UniqueViolationError:
        return False
    return True


async def update_secret(session: Session, integration_id: UUID, sealed: bytes, end: str) -> None:
    await session.execute(
        """update app.crm_integration set secret_sealed = $2, secret_end = $3, updated_at = now()
            where id = $1""",
        integration_id,
        sealed,
        end,
    )


async def select_integrations(session: Session) -> list[Record]:
    return await session.fetch(f"{_INTEGRATION} order by created_at, id")


async def select_integration(session: Session, integration_id: UUID, *, lock: bool = False) -> Record | None:
    return await session.fetchrow(
        f"{_INTEGRATION} where id = $1{' for no key update' if lock else ''}", integration_id
    )


async def select_secret(session: Session, brand: str, client_id: str) -> bytes | None:
    sealed: bytes | None = await session.fetchval(
        "select secret_sealed from app.crm_integration where brand = $1 and client_id = $2", brand, client_id
    )
    return sealed


async def delete_integration(session: Session, integration_id: UUID) -> None:
    await session.execute("delete from app.crm_integration where id = $1", integration_id)


async def count_granted(session: Session, brand: str, client_id: str) -> int:
    """Return how many connections have their tokens renewed by this integration."""
    found: int = await session.fetchval(
        """select count(*) from app.crm_grant g join app.crm_connection c on c.id = g.connection_id
            where c.brand = $1 and c.client_id = $2 and g.renew_at is not null""",
        brand,
        client_id,
    )
    return found


async def insert_consent(session: Session, state_hash: bytes, life: timedelta, *values: object) -> None:
    """Keep a consent that was asked for, and forget those nobody came back with."""
    await session.execute("delete from app.crm_consent where expires_at < now()")
    await session.execute(
        """insert into app.crm_consent (state_hash, expires_at, person_id, session_id, brand, client_id)
           values ($1, now() + $2::interval, $3, $4, $5, $6)""",
        state_hash,
        life,
        *values,
    )


async def use_consent(session: Session, state_hash: bytes) -> Record | None:
    return await session.fetchrow(
        "select org_id, person_id, session_id, brand, client_id from app.use_crm_consent($1)", state_hash
    )


async def hold_account(session: Session, brand: str, account_id: int) -> bool:
    """Let nobody else connect this account until the commit. Returns whether another workspace has it."""
    await session.execute(
        "select pg_advisory_xact_lock(hashtextextended('crm-account|' || $1::text || '|' || $2::bigint, 0))",
        brand,
        account_id,
    )
    taken = await session.fetchval("select app.crm_account_taken($1, $2)", brand, account_id)
    return bool(taken)


async def connections_of(session: Session, client_id: str, account_id: int) -> Sequence[Record]:
    return await session.fetch(
        "select org_id, connection_id, brand from app.crm_connections_of($1, $2)", client_id, account_id
    )


async def update_token(
    session: Session,
    connection_id: UUID,
    *,
    host: str,
    sealed: bytes,
    expires_at: datetime | None,
    scopes: Sequence[str] | None,
) -> None:
    await session.execute(
        """update app.crm_connection
              set host = $2, token_sealed = $3, access_expires_at = $4, scopes = $5, updated_at = now()
            where id = $1""",
        connection_id,
        host,
        sealed,
        expires_at,
        scopes,
    )


async def update_switches(
    session: Session, connection_id: UUID, *, is_active: bool, reads_daily: bool
) -> None:
    await session.execute(
        """update app.crm_connection
              set is_active = $2, reads_daily = $3, updated_at = now(),
                  active_since = case when $2 and not is_active then clock_timestamp() else active_since end
            where id = $1""",
        connection_id,
        is_active,
        reads_daily,
    )


async def upsert_grant(
    session: Session, connection_id: UUID, sealed: bytes, renewed_at: datetime, renew_at: datetime
) -> None:
    await session.execute(
        """insert into app.crm_grant (connection_id, refresh_sealed, renewed_at, renew_at)
           values ($1, $2, $3, $4)
           on conflict (org_id, connection_id) do update
              set refresh_sealed = excluded.refresh_sealed, renewed_at = excluded.renewed_at,
                  renew_at = excluded.renew_at, queued_at = null""",
        connection_id,
        sealed,
        renewed_at,
        renew_at,
    )


async def lock_grant(session: Session, connection_id: UUID) -> bool:
    """Wait for the grant's lock; False if there is none. Comes before the connection's."""
    found = await session.fetchval(
        "select true from app.crm_grant where connection_id = $1 for update", connection_id
    )
    return bool(found)


async def lock_grant_of_account(session: Session, brand: str, account_id: int) -> None:
    """As above, of the connection that this workspace has to an account, if it has one."""
    await session.execute(
        """select from app.crm_grant g
            where g.connection_id in (select c.id from app.crm_connection c
                                       where c.brand = $1 and c.account_id = $2) for update of g""",
        brand,
        account_id,
    )


async def try_lock_grant(session: Session, connection_id: UUID) -> bool:
    """Take the grant's lock if it is free at once."""
    found = await session.fetchval(
        "select true from app.crm_grant where connection_id = $1 for update skip locked", connection_id
    )
    return bool(found)


async def has_grant(session: Session, connection_id: UUID) -> bool:
    found = await session.fetchval("select true from app.crm_grant where connection_id = $1", connection_id)
    return bool(found)


async def select_grant(session: Session, connection_id: UUID) -> Record | None:
    """Return the grant with what its connection says now."""
    return await session.fetchrow(
        """select g.refresh_sealed, g.renewed_at, g.renew_at, c.token_sealed, c.host, c.account_id, c.brand,
                  c.client_id
             from app.crm_grant g join app.crm_connection c on c.id = g.connection_id
            where g.connection_id = $1""",
        connection_id,
    )


async def refuse_grant(session: Session, connection_id: UUID) -> None:
    await session.execute("update app.crm_grant set renew_at = null where connection_id = $1", connection_id)


async def delete_grant(session: Session, connection_id: UUID) -> None:
    await session.execute("delete from app.crm_grant where connection_id = $1", connection_id)


async def grants_due(session: Session, most: int) -> list[tuple[UUID, UUID]]:
    rows = await session.fetch("select org_id, connection_id from app.crm_grants_due($1)", most)
    return [(row["org_id"], row["connection_id"]) for row in rows]


async def mark_queued(session: Session, connection_id: UUID) -> bool:
    """Note that a renewal was queued; False if another process has just done so."""
    done = await session.fetchval(
        """update app.crm_grant set queued_at = now()
            where connection_id = $1 and renew_at <= now()
              and (queued_at is null or queued_at < now() - interval '15 minutes') returning true""",
        connection_id,
    )
    return bool(done)


async def break_connection(session: Session, connection_id: UUID, reason: str) -> bool:
    """Return whether it worked until now, or broke for another reason."""
    done = await session.fetchval(
        """update app.crm_connection
              set status = 'broken', status_reason = $2, updated_at = now(),
                  broken_at = case when status = 'broken' then coalesce(broken_at, now()) else now() end,
                  told_at = case when status = 'broken' then told_at end
            where id = $1 and (status, status_reason) is distinct from ('broken', $2) returning true""",
        connection_id,
        reason,
    )
    return bool(done)


async def take_untold(session: Session, connection_id: UUID) -> Record | None:
    """Return a broken connection whose owners were not told yet, and note that they are."""
    return await session.fetchrow(
        """update app.crm_connection set told_at = now()
            where id = $1 and status = 'broken' and told_at is null returning name, status_reason""",
        connection_id,
    )


async def select_broken(session: Session) -> list[Record]:
    return await session.fetch(
        """select id, name, status_reason from app.crm_connection where status = 'broken'
            order by created_at"""
    )
