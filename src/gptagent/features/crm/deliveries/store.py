"""All SQL of deliveries. Locks: connection, seen, delivery, and then what the listeners lock."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from gptagent.features.crm.deliveries.model import Arrival, End, HookHealth, Merged
from gptagent.features.crm.model import LeadChanged
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page

# A search reads no more than the latest so many of a connection.
SEARCHED_ROWS = 10_000
_LISTED = """select id, connection_id, source, kind, state, attempts, error, received_at, processed_at,
                    retry_at from app.crm_delivery"""
_WHOLE = """select id, connection_id, source, kind, state, attempts, error, received_at, processed_at,
                   retry_at, job_id, payload::text as payload from app.crm_delivery"""
# Of the id $4 among the latest $5 rows.
_FOUND = """($4 = id::text or $4 = any(refs))
            and received_at >= coalesce((select r.received_at from app.crm_delivery r
                                          where r.connection_id = $1
                                          order by r.received_at desc, r.id desc offset $5 limit 1),
                                        '-infinity')"""


async def hold_connection(session: Session, connection_id: UUID) -> str | None:
    """Keep the connection from being disconnected until the commit; return its host, None if it is gone."""
    host: str | None = await session.fetchval(
        "select host from app.crm_connection where id = $1 for key share", connection_id
    )
    return host


async def remember(session: Session, connection_id: UUID, keys: Sequence[bytes]) -> set[bytes]:
    """Note what is being acted on; return what was not known before. Waits for who notes the same."""
    rows = await session.fetch(
        """insert into app.crm_seen (connection_id, key)
           select $1, key from unnest($2::bytea[]) key order by key
           on conflict do nothing returning key""",
        connection_id,
        list(keys),
    )
    return {row["key"] for row in rows}


async def insert_delivery(
    session: Session, arrival: Arrival, end: End, payload: Mapping[str, object] | None
) -> None:
    await session.execute(
        """insert into app.crm_delivery (id, connection_id, source, kind, refs, received_at, state, attempts,
                                         error, processed_at, retry_at, job_id, payload)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)""",
        *astuple(arrival),
        *astuple(end),
        None if payload is None else msgspec.json.encode(payload).decode(),
    )


async def update_delivery(session: Session, delivery_id: UUID, end: End) -> None:
    await session.execute(
        """update app.crm_delivery set state = $2, attempts = $3, error = $4, processed_at = $5,
                  retry_at = $6, job_id = $7 where id = $1""",
        delivery_id,
        *astuple(end),
    )


async def touch_webhook(session: Session, connection_id: UUID, now: datetime) -> bool:
    """Note the time of the last delivery, at most once in ten seconds: the row is read by every webhook."""
    done = await session.fetchval(
        """update app.crm_connection set last_webhook_at = $2::timestamptz
            where id = $1
              and (last_webhook_at is null or last_webhook_at < $2::timestamptz - interval '10 seconds')
        returning true""",
        connection_id,
        now,
    )
    return bool(done)


async def merge_lead(session: Session, connection_id: UUID, change: LeadChanged) -> Merged:
    """Take over what a delivery says of a deal, leaving the rest. What is older than we know is left alone,
    be it from a delivery or from reading the account; only what happened later brings a deleted deal back.

    The full form tells a deal as well as reading it would. The thin form has no time: where it brings
    something new, the deal counts as not read.
    """
    before = await session.fetchrow(
        """select name, price, responsible_user_id, pipeline_id, stage_id, is_deleted, removed_at,
                  greatest(told_at, updated_at) as known_at
             from app.crm_lead
            where connection_id = $1 and external_id = $2 for no key update""",
        connection_id,
        change.lead_id,
    )
    told_at, is_deleted = change.changed_at, change.change == "deleted"
    if before and (_is_late(before, told_at) or not (is_deleted or _exists(before, change))):
        return Merged(is_news=False, has_moved=False)
    has_moved = bool(before and before["stage_id"] and _has_moved(before, change))
    is_said = change.change != "updated" and told_at is not None
    is_news = is_said or before is None or has_moved or _has_changed(before, change)
    await session.execute(
        """insert into app.crm_lead (connection_id, external_id, name, pipeline_id, stage_id,
                                     responsible_user_id, is_deleted, price, told_at, updated_at, removed_at,
                                     fetched_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, case when $7 then clock_timestamp() end,
                   case when $11 then clock_timestamp() end)
           on conflict (org_id, connection_id, external_id) do update
              set name = coalesce(excluded.name, crm_lead.name),
                  price = coalesce(excluded.price, crm_lead.price),
                  pipeline_id = coalesce(excluded.pipeline_id, crm_lead.pipeline_id),
                  stage_id = coalesce(excluded.stage_id, crm_lead.stage_id),
                  responsible_user_id = coalesce(excluded.responsible_user_id, crm_lead.responsible_user_id),
                  is_deleted = excluded.is_deleted, removed_at = excluded.removed_at, seen_at = now(),
                  told_at = coalesce(excluded.told_at, crm_lead.told_at),
                  updated_at = coalesce(excluded.told_at, crm_lead.updated_at),
                  fetched_at = case when $11 then excluded.fetched_at
                                    when excluded.told_at is not null or not $10
                                    then crm_lead.fetched_at end""",
        connection_id,
        change.lead_id,
        change.name,
        change.pipeline_id,
        change.stage_id,
        change.responsible_user_id,
        is_deleted,
        change.price,
        told_at,
        is_news,
        _is_full(change),
    )
    return Merged(is_news, has_moved)


def _is_full(change: LeadChanged) -> bool:
    """Return whether this names all a deal has but its people, who are told with the contacts."""
    parts = (change.changed_at, change.name, change.price, change.pipeline_id, change.stage_id)
    return all(part is not None for part in parts)


def _is_late(before: Record, told_at: datetime | None) -> bool:
    return told_at is not None and before["known_at"] is not None and told_at < before["known_at"]


def _exists(before: Record, change: LeadChanged) -> bool:
    """Return whether the deal was not deleted, or this is of a time after that."""
    if not before["is_deleted"] or change.change == "restored":
        return True
    told_at, removed_at = change.changed_at, before["removed_at"]
    return told_at is not None and (removed_at is None or told_at > removed_at)


def _has_changed(before: Record, change: LeadChanged) -> bool:
    """Seconds are all the CRM tells: of two changes within one, the later tells lists of its own."""
    told_at, known_at = change.changed_at, before["known_at"]
    if told_at is not None and (known_at is None or told_at > known_at):
        return True
    if told_at is not None and (change.fields is not None or change.tags is not None):
        return True
    if before["is_deleted"] != (change.change == "deleted"):
        return True
    said = (change.name, change.price, change.responsible_user_id)
    known = (before["name"], before["price"], before["responsible_user_id"])
    return any(new is not None and new != old for new, old in zip(said, known, strict=True))


def _has_moved(before: Record, change: LeadChanged) -> bool:
    if change.stage_id is None:
        return False
    other_pipeline = change.pipeline_id is not None and before["pipeline_id"] != change.pipeline_id
    return bool(before["stage_id"] != change.stage_id or other_pipeline)


async def waiting_of(
    session: Session, connection_id: UUID, chat_ids: Sequence[str], limit: int
) -> list[Record]:
    """Lock and return what of these chats could not be acted on yet, oldest first."""
    return await session.fetch(
        """select id, payload::text as payload, state, attempts from app.crm_delivery
            where connection_id = $1 and state in ('received', 'failed') and refs && $2
            order by received_at, id limit $3 for update skip locked""",
        connection_id,
        list(chat_ids),
        limit,
    )


async def connection_of(session: Session, delivery_id: UUID) -> UUID | None:
    found: UUID | None = await session.fetchval(
        "select connection_id from app.crm_delivery where id = $1", delivery_id
    )
    return found


async def lock_delivery(session: Session, delivery_id: UUID) -> Record | None:
    return await session.fetchrow(
        f"{_WHOLE} where id = $1 for update",
        delivery_id,
    )


async def select_delivery(session: Session, connection_id: UUID, delivery_id: UUID) -> Record | None:
    return await session.fetchrow(
        f"{_WHOLE} where id = $2 and connection_id = $1",
        connection_id,
        delivery_id,
    )


async def select_page(
    session: Session, connection_id: UUID, page: Page, *, state: str | None, kind: str | None, search: str
) -> list[Record]:
    """Return a page of a connection's deliveries. `search`: an id of the delivery or of what it speaks of."""
    return await session.fetch(
        f"""{_LISTED} where connection_id = $1 and ($2::text is null or state = $2)
               and ($3::text is null or kind = $3) and ($4 = '' or {_FOUND}) and {page.clause(6)}""",
        connection_id,
        state,
        kind,
        search,
        SEARCHED_ROWS,
        *page.args,
    )


async def count_since(session: Session, connection_id: UUID, since: datetime) -> dict[str, int]:
    rows = await session.fetch(
        """select state, count(*) as n from app.crm_delivery
            where connection_id = $1 and received_at >= $2 group by state""",
        connection_id,
        since,
    )
    return {row["state"]: row["n"] for row in rows}


async def kinds_since(session: Session, connection_id: UUID, since: datetime) -> list[str]:
    rows = await session.fetch(
        """select kind from app.crm_delivery
            where connection_id = $1 and received_at >= $2 group by kind order by kind limit 100""",
        connection_id,
        since,
    )
    return [row["kind"] for row in rows]


async def note_failure(session: Session, connection_id: UUID, now: datetime) -> None:
    await session.execute(
        "update app.crm_connection set hook_failed_at = $2 where id = $1", connection_id, now
    )


async def select_health(session: Session, connection_id: UUID) -> HookHealth | None:
    row = await session.fetchrow(
        """select hook_state as state, hook_error as error, hook_codes as codes,
                  hook_checked_at as checked_at, hook_restored_at as restored_at,
                  last_webhook_at as last_delivery_at, hook_failed_at as failed_at
             from app.crm_connection where id = $1""",
        connection_id,
    )
    return HookHealth(**{**dict(row), "codes": tuple(row["codes"])}) if row else None


async def update_health(
    session: Session,
    connection_id: UUID,
    *,
    state: str,
    error: str | None,
    codes: Sequence[str],
    wanted: str,
    restored: bool,
    now: datetime,
) -> bool:
    """Note what was found; return whether a page would show something else than before."""
    before = await session.fetchval(
        "select hook_state from app.crm_connection where id = $1 for no key update", connection_id
    )
    await session.execute(
        """update app.crm_connection
              set hook_state = $2, hook_error = $3, hook_codes = $4, hook_checked_at = $5,
                  hook_restored_at = case when $6 then $5 else hook_restored_at end, hook_wanted = $7
            where id = $1""",
        connection_id,
        state,
        error,
        list(codes),
        now,
        restored,
        wanted,
    )
    return bool(before != state or restored)


async def due_care(session: Session, every: timedelta, limit: int) -> list[tuple[UUID, UUID]]:
    rows = await session.fetch("select org_id, connection_id from app.due_care($1, $2)", every, limit)
    return [(row["org_id"], row["connection_id"]) for row in rows]


async def due_polls(session: Session, patience: timedelta, limit: int) -> list[tuple[UUID, UUID]]:
    rows = await session.fetch("select org_id, connection_id from app.due_polls($1, $2)", patience, limit)
    return [(row["org_id"], row["connection_id"]) for row in rows]


async def forget_seen(session: Session, age: timedelta, limit: int) -> int:
    gone: int = await session.fetchval("select app.forget_seen($1, $2)", age, limit)
    return gone


async def select_poll(session: Session, connection_id: UUID) -> Record | None:
    return await session.fetchrow(
        """select c.account_id, c.host, c.status, c.is_active, c.polled_to, c.hook_state,
                  greatest(c.last_webhook_at, c.poll_found_at, c.created_at) as active_at,
                  coalesce(s.reads_letters, false) as reads_letters
             from app.crm_connection c left join app.crm_reply_setup s on s.connection_id = c.id
            where c.id = $1""",
        connection_id,
    )


async def place_of_letter(
    session: Session, connection_id: UUID, lead_id: int | None, contact_id: int | None
) -> dict[str, int | None]:
    """Return the deal and the contact of a letter that lies at one of them.

    The CRM files an answer where its thread began, mostly at a deal that is closed by now: then it belongs to
    the contact's deal that changed last and is not.
    """
    row = await session.fetchrow(
        """select l.external_id as lead_id, coalesce($3, l.contact_ids[1]) as contact_id
             from app.crm_lead l
             left join app.crm_stage s on s.connection_id = l.connection_id
                                      and s.pipeline_id = l.pipeline_id and s.external_id = l.stage_id
            cross join lateral (select coalesce(s.kind, 'open') in ('won', 'lost') as is_closed) how
            where l.connection_id = $1 and not l.is_deleted and l.removed_at is null
              and (l.external_id = $2
                   or (not how.is_closed
                       and l.contact_ids @> array[coalesce($3, (select named.contact_ids[1]
                                                                  from app.crm_lead named
                                                                 where named.connection_id = $1
                                                                   and named.external_id = $2))]))
            order by how.is_closed, l.external_id is not distinct from $2 desc, l.updated_at desc nulls last
            limit 1""",
        connection_id,
        lead_id,
        contact_id,
    )
    return dict(row) if row else {"lead_id": lead_id, "contact_id": contact_id}


async def update_poll(
    session: Session, connection_id: UUID, polled_to: datetime, pause: timedelta, found_at: datetime | None
) -> None:
    await session.execute(
        """update app.crm_connection set polled_to = greatest(polled_to, $2),
                  poll_at = clock_timestamp() + $3::interval, poll_found_at = coalesce($4, poll_found_at)
            where id = $1""",
        connection_id,
        polled_to,
        pause,
        found_at,
    )


async def select_care(session: Session, connection_id: UUID) -> Record | None:
    return await session.fetchrow(
        "select status, is_active, hook_state, hook_codes, hook_wanted from app.crm_connection where id = $1",
        connection_id,
    )


async def stages_of(session: Session, connection_id: UUID, lead_ids: Sequence[int]) -> dict[int, Any]:
    """Return (pipeline, stage, told_at) of the deals we know."""
    rows = await session.fetch(
        """select external_id, pipeline_id, stage_id, told_at from app.crm_lead
            where connection_id = $1 and external_id = any($2)""",
        connection_id,
        list(lead_ids),
    )
    return {row["external_id"]: (row["pipeline_id"], row["stage_id"], row["told_at"]) for row in rows}


async def known_keys(session: Session, connection_id: UUID, keys: Sequence[bytes]) -> set[bytes]:
    rows = await session.fetch(
        "select key from app.crm_seen where connection_id = $1 and key = any($2)", connection_id, list(keys)
    )
    return {row["key"] for row in rows}
