"""All SQL of the CRM mirror."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from gptagent.features.crm.model import Lead, NewTask
from gptagent.features.crm.values import pack
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page

_CONNECTION = """select id, provider, host, account_id, name, token_sealed, hook_sealed, status,
                        status_reason, can_send_messages, last_webhook_at, synced_at, created_at, brand,
                        client_id, access_kind, access_expires_at, scopes, is_active,
                        active_since, reads_daily, currency
                   from app.crm_connection"""
_STORED = (
    "id",
    "provider",
    "host",
    "account_id",
    "name",
    "token_sealed",
    "hook_hash",
    "hook_sealed",
    "can_send_messages",
    "client_id",
    "access_kind",
    "access_expires_at",
    "scopes",
    "currency",
)


def hash_secret(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def insert_connection(session: Session, values: Mapping[str, object]) -> UUID | None:
    """Insert or, for the same account, renew. Returns the id of the row that stands."""
    found: UUID | None = await session.fetchval(
        """insert into app.crm_connection (id, provider, host, account_id, name, token_sealed, hook_hash,
                                           hook_sealed, can_send_messages, client_id, access_kind,
                                           access_expires_at, scopes, currency)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
           on conflict (org_id, provider, account_id) do update
              set host = excluded.host, name = excluded.name, token_sealed = excluded.token_sealed,
                  can_send_messages = excluded.can_send_messages, status = 'connected', status_reason = null,
                  client_id = excluded.client_id, access_kind = excluded.access_kind,
                  access_expires_at = excluded.access_expires_at, scopes = excluded.scopes, broken_at = null,
                  told_at = null, currency = excluded.currency, updated_at = now()
           returning id""",
        *(values[name] for name in _STORED),
    )
    return found


async def select_connections(session: Session) -> list[Record]:
    return await session.fetch(f"{_CONNECTION} order by created_at")


async def select_page(session: Session, page: Page, status: str | None) -> list[Record]:
    return await session.fetch(
        f"{_CONNECTION} where ($1::text is null or status = $1) and {page.clause(2)}", status, *page.args
    )


async def select_connection(session: Session, connection_id: UUID) -> Record | None:
    return await session.fetchrow(f"{_CONNECTION} where id = $1", connection_id)


async def hold_connection(session: Session, connection_id: UUID) -> bool:
    held = await session.fetchval(
        "select true from app.crm_connection where id = $1 for key share", connection_id
    )
    return bool(held)


async def lock_connection(session: Session, connection_id: UUID) -> Record | None:
    return await session.fetchrow(f"{_CONNECTION} where id = $1 for no key update", connection_id)


async def delete_connection(session: Session, connection_id: UUID) -> bool:
    done = await session.fetchval(
        "delete from app.crm_connection where id = $1 returning true", connection_id
    )
    return bool(done)


async def update_status(session: Session, connection_id: UUID, status: str, reason: str | None) -> bool:
    """Return whether the status changed."""
    done = await session.fetchval(
        """update app.crm_connection set status = $2, status_reason = $3, updated_at = now()
            where id = $1 and (status, status_reason) is distinct from ($2, $3) returning true""",
        connection_id,
        status,
        reason,
    )
    return bool(done)


async def update_account(session: Session, connection_id: UUID, name: str, currency: str | None) -> None:
    await session.execute(
        """update app.crm_connection set name = $2, currency = $3, updated_at = now()
            where id = $1 and (name, currency) is distinct from ($2, $3)""",
        connection_id,
        name,
        currency,
    )


async def upsert_lead(session: Session, connection_id: UUID, lead: Lead, now: datetime) -> None:
    await session.execute(
        """insert into app.crm_lead (connection_id, external_id, name, price, pipeline_id, stage_id,
                                     responsible_user_id, fields, contact_ids, fetched_at, updated_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
           on conflict (org_id, connection_id, external_id) do update
              set name = excluded.name, price = excluded.price, pipeline_id = excluded.pipeline_id,
                  stage_id = excluded.stage_id, responsible_user_id = excluded.responsible_user_id,
                  fields = excluded.fields, contact_ids = excluded.contact_ids,
                  updated_at = coalesce(excluded.updated_at, crm_lead.updated_at),
                  fetched_at = excluded.fetched_at, seen_at = now(), is_deleted = false, removed_at = null""",
        connection_id,
        lead.id,
        lead.name,
        lead.price,
        lead.pipeline_id,
        lead.stage_id,
        lead.responsible_user_id,
        pack(lead.fields),
        list(lead.contact_ids),
        now,
        lead.updated_at,
    )


async def select_lead(session: Session, connection_id: UUID, lead_id: int) -> Record | None:
    return await session.fetchrow(
        """select l.external_id, l.name, l.price, l.responsible_user_id, p.name as pipeline, s.name as stage,
                  l.pipeline_id, l.stage_id, l.fetched_at, l.fields, u.name as responsible,
                  array(select t->>'name' from jsonb_array_elements(l.tags) t) as tags,
                  l.contact_ids <> '{}' as has_contact, c.currency
             from app.crm_lead l
             join app.crm_connection c on c.id = l.connection_id
             left join app.crm_user u
               on u.connection_id = l.connection_id and u.external_id = l.responsible_user_id
             left join app.crm_pipeline p
               on p.connection_id = l.connection_id and p.external_id = l.pipeline_id
             left join app.crm_stage s
               on s.connection_id = l.connection_id and s.pipeline_id = l.pipeline_id
                  and s.external_id = l.stage_id
            where l.connection_id = $1 and l.external_id = $2""",
        connection_id,
        lead_id,
    )


async def insert_task(
    session: Session, task_id: UUID, connection_id: UUID, task: NewTask, conversation_id: UUID | None
) -> None:
    await session.execute(
        """insert into app.crm_task (id, connection_id, lead_id, text, due_at, responsible_user_id,
                                     record_kind, conversation_id)
           values ($1, $2, $3, $4, $5, $6, $7, $8)""",
        task_id,
        connection_id,
        task.lead_id,
        task.text,
        task.due_at,
        task.responsible_user_id,
        task.kind,
        conversation_id,
    )


async def owed_to_active(session: Session, task_id: UUID) -> bool | None:
    """Return whether the connection of a task that is still owed is switched on; None if nothing is owed."""
    found: bool | None = await session.fetchval(
        """select c.is_active from app.crm_task t join app.crm_connection c on c.id = t.connection_id
            where t.id = $1 and t.state in ('pending', 'sending')""",
        task_id,
    )
    return found


async def claim_task(session: Session, task_id: UUID, now: datetime) -> Record | None:
    """Return the task with the state it had before (`was`), now 'sending'; None if it is done or gone."""
    return await session.fetchrow(
        """update app.crm_task t set state = 'sending', started_at = coalesce(t.started_at, $2)
             from app.crm_task before
            where t.id = $1 and before.id = t.id and t.state in ('pending', 'sending')
        returning t.id, t.connection_id, t.lead_id, t.text, t.due_at, t.started_at, t.record_kind,
                  before.state as was,
                  coalesce(
                    (select l.responsible_user_id from app.crm_lead l
                      where t.record_kind = 'lead'
                        and l.connection_id = t.connection_id and l.external_id = t.lead_id),
                    t.responsible_user_id) as responsible""",
        task_id,
        now,
    )


async def tasks_of_others(
    session: Session, task_id: UUID, connection_id: UUID, record_id: int
) -> frozenset[int]:
    """Return the numbers of the tasks that were made on a record, except by this one."""
    rows = await session.fetch(
        """select external_id from app.crm_task
            where connection_id = $1 and lead_id = $2 and id <> $3 and external_id is not null
           union all
           select external_id from app.crm_action
            where connection_id = $1 and kind = 'create_task' and entity_id = $2
              and external_id is not null""",
        connection_id,
        record_id,
        task_id,
    )
    return frozenset(row["external_id"] for row in rows)


async def finish_task(session: Session, task_id: UUID, state: str, external_id: int | None) -> None:
    await session.execute(
        "update app.crm_task set state = $2, external_id = $3 where id = $1", task_id, state, external_id
    )


async def connection_by_hook(session: Session, hook_hash: bytes) -> Record | None:
    return await session.fetchrow(
        "select org_id, connection_id, account_id from app.connection_by_hook($1)", hook_hash
    )
