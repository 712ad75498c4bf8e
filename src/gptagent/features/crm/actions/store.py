"""All SQL of actions and of the journal."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from asyncpg import Record

from gptagent.features.crm.actions.model import (
    Action,
    ActionState,
    Change,
    Evidence,
    Held,
    Promise,
    WrittenKind,
    pack,
    read_held,
)
from gptagent.kernel.db import Session
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page

_ACTION = """select id, connection_id, kind, entity, entity_id, state, external_id, error_code, error_detail,
                    created_at, finished_at
               from app.crm_action"""
_CHANGE = """select c.*, a.actor_kind, a.actor_id, a.conversation_id, a.message_seq, a.turn_id, a.reason,
                    a.state, a.error_code,
                    (select max(r.written_at) from app.crm_change r where r.reverts = c.id) as reverted_at,
                    exists (select from app.crm_action r
                             where r.connection_id = c.connection_id and r.entity = c.entity
                               and r.entity_id = c.entity_id and r.state in ('pending', 'sending')
                               and r.request->>'reverts' = c.id::text) as is_being_reverted
               from app.crm_change c join app.crm_action a on a.id = c.action_id"""
_RECORD = """connection_id = $1 and ($2::text is null or entity = $2)
             and ($3::bigint is null or entity_id = $3)"""


async def insert_action(session: Session, promise: Promise) -> UUID:
    action_id = new_id()
    actor, evidence = session.scope.actor, promise.evidence
    await session.execute(
        """insert into app.crm_action (id, connection_id, kind, entity, entity_id, request, actor_kind,
                                       actor_id, conversation_id, message_seq, turn_id, reason)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)""",
        action_id,
        promise.connection_id,
        promise.kind,
        promise.entity,
        promise.record_id,
        pack(promise.request),
        actor.kind,
        actor.id,
        evidence.conversation_id,
        evidence.message_seq,
        evidence.turn_id,
        evidence.reason,
    )
    return action_id


async def select_action(session: Session, connection_id: UUID, action_id: UUID) -> Action | None:
    row = await session.fetchrow(f"{_ACTION} where connection_id = $1 and id = $2", connection_id, action_id)
    return None if row is None else Action(**dict(row))


async def is_owed(session: Session, action_id: UUID) -> Record | None:
    """Return since when and for which connection, if the action is neither done nor given up; locked, so that
    nobody else records meanwhile what became of it.
    """
    return await session.fetchrow(
        """select connection_id, created_at from app.crm_action
            where id = $1 and state in ('pending', 'sending') for no key update""",
        action_id,
    )


async def claim_action(session: Session, action_id: UUID, now: datetime) -> Record | None:
    """Return the action with the state it had before (`was`), now 'sending'.

    None if it is done or gone, or if an earlier one of the same record is not over yet, or one that makes a
    contact for the same deal: a deal gets one. `made` is the contact that this action, or a failed one for
    the same deal and name, has made and not given to the deal.
    """
    return await session.fetchrow(
        """update app.crm_action a set state = 'sending', started_at = coalesce(a.started_at, $2)
             from app.crm_action before
            where a.id = $1 and before.id = a.id and a.state in ('pending', 'sending')
              and not exists (
                select from app.crm_action o
                 where o.connection_id = a.connection_id and o.entity = a.entity
                   and o.entity_id = a.entity_id and o.state in ('pending', 'sending')
                   and (o.created_at, o.id) < (a.created_at, a.id))
              and (a.entity_id is not null or not exists (
                select from app.crm_action o
                 where o.connection_id = a.connection_id and o.entity = a.entity and o.entity_id is null
                   and o.state in ('pending', 'sending')
                   and (o.request->>'lead_id')::bigint = (a.request->>'lead_id')::bigint
                   and (o.created_at, o.id) < (a.created_at, a.id)))
        returning a.id, a.connection_id, a.kind, a.entity, a.entity_id, a.request, a.started_at,
                  before.state as was,
                  coalesce(a.external_id, (
                    select o.external_id from app.crm_action o
                     where o.connection_id = a.connection_id and o.kind = a.kind and o.state = 'failed'
                       and o.request->>'lead_id' = a.request->>'lead_id'
                       and o.request->>'name' = a.request->>'name' and o.external_id is not null
                     order by o.created_at desc limit 1)) as made,
                  (select l.responsible_user_id from app.crm_lead l
                    where a.entity = 'leads' and l.connection_id = a.connection_id
                      and l.external_id = a.entity_id) as responsible""",
        action_id,
        now,
    )


async def release_action(session: Session, action_id: UUID) -> None:
    """Let it wait again: what it asked was certainly refused."""
    await session.execute(
        "update app.crm_action set state = 'pending' where id = $1 and state = 'sending'", action_id
    )


async def note_made(session: Session, action_id: UUID, contact_id: int) -> None:
    """Note the contact that was made for a deal, before it is the deal's."""
    await session.execute(
        "update app.crm_action set external_id = $2 where id = $1 and state = 'sending'",
        action_id,
        contact_id,
    )


async def find_orphan(session: Session, action_id: UUID) -> Record | None:
    """Return the contact that a failed action has made, and the deal that did not get it; none if another
    action has failed with the same contact.
    """
    return await session.fetchrow(
        """select a.connection_id, a.external_id as contact_id, (a.request->>'lead_id')::bigint as lead_id
             from app.crm_action a
            where a.id = $1 and a.state = 'failed' and a.kind = 'create_contact'
              and a.external_id is not null
              and not exists (select from app.crm_action o
                               where o.connection_id = a.connection_id and o.kind = a.kind and o.id <> a.id
                                 and o.state = 'failed' and o.external_id = a.external_id)""",
        action_id,
    )


async def finish_action(
    session: Session,
    action_id: UUID,
    state: ActionState,
    *,
    external_id: int | None = None,
    error: tuple[str, str | None] = ("", None),
) -> bool:
    """Return False if it was over already."""
    return bool(
        await session.fetchval(
            """update app.crm_action
                  set state = $2, external_id = coalesce($3, external_id),
                      entity_id = coalesce(entity_id, $3), error_code = nullif($4, ''), error_detail = $5,
                      finished_at = now()
                where id = $1 and state in ('pending', 'sending') returning true""",
            action_id,
            state,
            external_id,
            *error,
        )
    )


async def known_ids(session: Session, connection_id: UUID, kind: str, since: datetime) -> list[int]:
    """Return what other actions of this kind have made: none of it is what is looked for."""
    rows = await session.fetch(
        """select external_id from app.crm_action
            where connection_id = $1 and kind = $2 and external_id is not null
              and created_at >= $3::timestamptz - interval '1 day'""",
        connection_id,
        kind,
        since,
    )
    return [row["external_id"] for row in rows]


async def count_emails(
    session: Session, connection_id: UUID, contact_id: int, since: datetime
) -> tuple[int, int]:
    """Return how many were asked for since then: to this contact, and by the whole workspace."""
    row = await session.fetchrow(
        """select count(*) filter (where connection_id = $1 and entity_id = $2) as of_contact,
                  count(*) as of_all
             from app.crm_action where kind = 'send_email' and created_at >= $3""",
        connection_id,
        contact_id,
        since,
    )
    assert row is not None  # an aggregate always has one
    return row["of_contact"], row["of_all"]


async def count_notes(session: Session, connection_id: UUID, entity: WrittenKind, record_id: int) -> int:
    found: int = await session.fetchval(
        """select count(*) from app.crm_action
            where connection_id = $1 and entity = $2 and entity_id = $3 and kind = 'add_note'
              and state <> 'failed'""",
        connection_id,
        entity,
        record_id,
    )
    return found


async def insert_changes(
    session: Session,
    action: Record,
    entity_id: int,
    rows: Sequence[tuple[str, Held | None, Held]],
    *,
    reverts: UUID | None = None,
    written_at: datetime | None = None,
) -> None:
    await session.executemany(
        """insert into app.crm_change (id, connection_id, action_id, entity, entity_id, key, before, after,
                                       reverts, written_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)""",
        [
            (
                new_id(),
                action["connection_id"],
                action["id"],
                action["entity"],
                entity_id,
                key,
                None if before is None else pack(before),
                pack(after),
                reverts,
                written_at,
            )
            for key, before, after in rows
        ],
    )


async def select_planned(session: Session, action_id: UUID) -> list[tuple[str, Held | None, Held | None]]:
    rows = await session.fetch(
        "select key, before, after from app.crm_change where action_id = $1 order by key", action_id
    )
    return [(row["key"], read_held(row["before"]), read_held(row["after"])) for row in rows]


async def settle_change(session: Session, action_id: UUID, key: str, after: Held, now: datetime) -> None:
    await session.execute(
        """update app.crm_change set after = $3, written_at = $4
            where action_id = $1 and key = $2 and written_at is null""",
        action_id,
        key,
        pack(after),
        now,
    )


async def drop_planned(session: Session, action_id: UUID) -> None:
    """Forget what was not written after all."""
    await session.execute("delete from app.crm_change where action_id = $1 and written_at is null", action_id)


async def select_change(
    session: Session, connection_id: UUID, change_id: UUID, *, lock: bool = False
) -> Change | None:
    if lock:
        await session.execute(
            "select from app.crm_change where connection_id = $1 and id = $2 for update",
            connection_id,
            change_id,
        )
    row = await session.fetchrow(
        f"{_CHANGE} where c.connection_id = $1 and c.id = $2", connection_id, change_id
    )
    return None if row is None else _change(row)


async def select_page(
    session: Session, connection_id: UUID, page: Page, entity: str | None, entity_id: int | None
) -> list[Change]:
    rows = await session.fetch(
        f"""select * from ({_CHANGE}) changes where {_RECORD} and {page.clause(4)}""",  # noqa: S608 - of this file
        connection_id,
        entity,
        entity_id,
        *page.args,
    )
    return [_change(row) for row in rows]


async def select_latest(
    session: Session, connection_id: UUID, record: tuple[str | None, int | None], offset: int, limit: int
) -> list[Change]:
    rows = await session.fetch(
        f"""select * from ({_CHANGE}) changes where {_RECORD}
             order by created_at desc, id desc offset $4 limit $5""",  # noqa: S608 - of this file
        connection_id,
        *record,
        offset,
        limit,
    )
    return [_change(row) for row in rows]


async def select_of_customer(
    session: Session, connection_id: UUID, lead_id: int | None, contact_id: int | None, limit: int
) -> list[Change]:
    rows = await session.fetch(
        f"""{_CHANGE} where c.connection_id = $1
                and (c.entity, c.entity_id) in (('leads', $2::bigint), ('contacts', $3::bigint))
              order by c.created_at desc, c.id desc limit $4""",
        connection_id,
        lead_id,
        contact_id,
        limit,
    )
    return [_change(row) for row in rows]


async def count_changes(
    session: Session, connection_id: UUID, entity: str | None, entity_id: int | None
) -> int:
    found: int = await session.fetchval(
        f"select count(*) from app.crm_change where {_RECORD}",  # noqa: S608 - of this file
        connection_id,
        entity,
        entity_id,
    )
    return found


async def knows_record(session: Session, connection_id: UUID, entity: WrittenKind, entity_id: int) -> bool:
    """Whether the mirror has the record, or an action has made it."""
    known: bool = await session.fetchval(
        """select case $2
             when 'leads' then exists (select from app.crm_lead
                                        where connection_id = $1 and external_id = $3 and not is_deleted)
             else exists (select from app.crm_contact
                           where connection_id = $1 and external_id = $3
                             and removed_at is null and erased_at is null)
                  or exists (select from app.crm_lead l
                              where l.connection_id = $1 and $3 = any(l.contact_ids) and not l.is_deleted
                                and not exists (select from app.crm_contact c
                                                 where c.connection_id = $1 and c.external_id = $3))
           end
           or exists (select from app.crm_action
                       where connection_id = $1 and external_id = $3
                         and kind = case $2 when 'leads' then 'create_lead' else 'create_contact' end)""",
        connection_id,
        entity,
        entity_id,
    )
    return known


async def select_contact_names(
    session: Session, connection_id: UUID, contact_ids: Sequence[int]
) -> dict[int, str]:
    """Return the names of those of these contacts that the mirror has."""
    rows = await session.fetch(
        """select external_id, name from app.crm_contact
            where connection_id = $1 and external_id = any($2)
              and removed_at is null and erased_at is null""",
        connection_id,
        list(contact_ids),
    )
    return {row["external_id"]: row["name"] for row in rows}


async def select_place(session: Session, connection_id: UUID, lead_id: int) -> int | None:
    """Return the pipeline the mirror knows a deal to be in."""
    found: int | None = await session.fetchval(
        "select pipeline_id from app.crm_lead where connection_id = $1 and external_id = $2",
        connection_id,
        lead_id,
    )
    return found


def _change(row: Record) -> Change:
    return Change(
        id=row["id"],
        action_id=row["action_id"],
        entity=row["entity"],
        entity_id=row["entity_id"],
        key=row["key"],
        before=read_held(row["before"]),
        after=msgspec.json.decode(row["after"], type=Held),
        reverts=row["reverts"],
        created_at=row["created_at"],
        written_at=row["written_at"],
        actor_kind=row["actor_kind"],
        actor_id=row["actor_id"],
        evidence=Evidence(row["conversation_id"], row["message_seq"], row["turn_id"], row["reason"]),
        state=row["state"],
        error_code=row["error_code"],
        reverted_at=row["reverted_at"],
        is_being_reverted=row["is_being_reverted"],
    )
