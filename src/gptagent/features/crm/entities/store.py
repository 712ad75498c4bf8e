"""SQL of contacts and deals: a page of the CRM's list goes in by one statement, and ids stay the same."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from gptagent.features.crm.mirror.model import Counts, MirroredContact, MirroredLead
from gptagent.features.crm.mirror.store import count_changed, packed, tallied
from gptagent.features.crm.records import ContactRecord, LeadRecord, Tag
from gptagent.features.crm.values import unpack
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page

_CONTACT = """select external_id as id, name, phones, emails, responsible_user_id, fields, tags, updated_at,
                     removed_at
                from app.crm_contact"""
_LEAD = """select external_id as id, name, price, pipeline_id, stage_id, responsible_user_id, fields, tags,
                  contact_ids, loss_reason, updated_at, removed_at
             from app.crm_lead"""
_TAGS = msgspec.json.Decoder(tuple[Tag, ...])


async def upsert_contacts(session: Session, connection_id: UUID, contacts: Sequence[ContactRecord]) -> Counts:
    """Store one page of contacts; of those who asked to be forgotten nothing is stored again."""
    tally = await session.fetchrow(
        """with rows as (select distinct on (id) * from jsonb_to_recordset($2::jsonb)
                       as r(id bigint, name text, first_name text, last_name text, phones text[],
                            emails text[], responsible_user_id bigint, fields jsonb, tags jsonb,
                            lead_ids bigint[], company_ids bigint[], created_at timestamptz,
                            updated_at timestamptz)),
                 done as (insert into app.crm_contact as t
                                 (connection_id, external_id, name, first_name, last_name, phones, emails,
                                  responsible_user_id, fields, tags, lead_ids, company_ids, created_at,
                                  updated_at)
                          select $1, id, name, first_name, last_name, phones, emails, responsible_user_id,
                                 fields, tags, lead_ids, company_ids, created_at, updated_at from rows
                          on conflict (org_id, connection_id, external_id) do update
                             set name = excluded.name, first_name = excluded.first_name,
                                 last_name = excluded.last_name, phones = excluded.phones,
                                 emails = excluded.emails, responsible_user_id = excluded.responsible_user_id,
                                 fields = excluded.fields, tags = excluded.tags, lead_ids = excluded.lead_ids,
                                 company_ids = excluded.company_ids, created_at = excluded.created_at,
                                 updated_at = excluded.updated_at, seen_at = now(), removed_at = null
                           where t.erased_at is null
                          returning xmax = 0 as added)
            select count(*) as read, count(*) filter (where added) as added from done""",
        connection_id,
        packed(contacts),
    )
    return tallied(tally, read=len(contacts))


async def remove_unseen_contacts(session: Session, connection_id: UUID, since: datetime) -> int:
    """Forget who the contacts were that the CRM no longer has; their numbers stay."""
    return await count_changed(
        session,
        """update app.crm_contact
              set removed_at = now(), name = '', first_name = '', last_name = '', phones = '{}',
                  emails = '{}', fields = '[]', tags = '[]', lead_ids = '{}', company_ids = '{}'
            where connection_id = $1 and removed_at is null and seen_at < $2""",
        connection_id,
        since,
    )


async def upsert_leads(
    session: Session, connection_id: UUID, leads: Sequence[LeadRecord], read_at: datetime
) -> Counts:
    """Store one page of deals that was asked for at `read_at`; none of people who asked to be forgotten.

    Where a webhook told of a deal since then, its words on name, stage and person are newer and stay.
    """
    tally = await session.fetchrow(
        """with rows as (select distinct on (id) * from jsonb_to_recordset($2::jsonb)
                       as r(id bigint, name text, price bigint, pipeline_id bigint, stage_id bigint,
                            responsible_user_id bigint, fields jsonb, tags jsonb, contact_ids bigint[],
                            company_ids bigint[], loss_reason text, closed_at timestamptz,
                            updated_at timestamptz)),
                 done as (insert into app.crm_lead as t
                                 (connection_id, external_id, name, price, pipeline_id, stage_id,
                                  responsible_user_id, fields, tags, contact_ids, company_ids, loss_reason,
                                  closed_at, updated_at, fetched_at)
                          select $1, id, name, price, pipeline_id, stage_id, responsible_user_id, fields,
                                 tags, contact_ids, company_ids, loss_reason, closed_at, updated_at, now()
                            from rows
                           where not exists (select from app.crm_contact c
                                              where c.connection_id = $1 and c.erased_at is not null
                                                and c.external_id = any(rows.contact_ids))
                           order by id
                          on conflict (org_id, connection_id, external_id) do update
                             set name = case when t.seen_at <= $3 then excluded.name else t.name end,
                                 price = case when t.seen_at <= $3 then excluded.price else t.price end,
                                 pipeline_id =
                                   case when t.seen_at <= $3 then excluded.pipeline_id else t.pipeline_id end,
                                 stage_id =
                                   case when t.seen_at <= $3 then excluded.stage_id else t.stage_id end,
                                 responsible_user_id =
                                   case when t.seen_at <= $3 then excluded.responsible_user_id
                                        else t.responsible_user_id end,
                                 removed_at = case when t.seen_at <= $3 then null else t.removed_at end,
                                 is_deleted = t.seen_at > $3 and t.is_deleted,
                                 fields = excluded.fields, tags = excluded.tags,
                                 contact_ids = excluded.contact_ids, company_ids = excluded.company_ids,
                                 loss_reason = excluded.loss_reason, closed_at = excluded.closed_at,
                                 updated_at = excluded.updated_at, fetched_at = now(), seen_at = now()
                          returning xmax = 0 as added)
            select count(*) as read, count(*) filter (where added) as added from done""",
        connection_id,
        packed(leads),
        read_at,
    )
    return tallied(tally, read=len(leads))


async def remove_unseen_leads(session: Session, connection_id: UUID, since: datetime) -> int:
    """Mark the deals the CRM no longer lists. It never lists incoming ones, so of them nothing is known."""
    return await count_changed(
        session,
        """update app.crm_lead l set removed_at = now(), is_deleted = true
            where connection_id = $1 and removed_at is null and seen_at < $2
              and exists (select from app.crm_stage s
                           where s.connection_id = l.connection_id and s.pipeline_id = l.pipeline_id
                             and s.external_id = l.stage_id and s.kind <> 'incoming')""",
        connection_id,
        since,
    )


async def erase_contact(session: Session, connection_id: UUID, contact_id: int) -> None:
    """Forget the person and remember the number, so that no run copies them again."""
    await session.execute(
        """insert into app.crm_contact (connection_id, external_id, erased_at) values ($1, $2, now())
           on conflict (org_id, connection_id, external_id) do update
              set erased_at = now(), name = '', first_name = '', last_name = '', phones = '{}',
                  emails = '{}', responsible_user_id = null, fields = '[]', tags = '[]', lead_ids = '{}',
                  company_ids = '{}'""",
        connection_id,
        contact_id,
    )


async def lift_erasure(session: Session, connection_id: UUID, contact_id: int) -> None:
    await session.execute(
        """delete from app.crm_contact
            where connection_id = $1 and external_id = $2 and erased_at is not null""",
        connection_id,
        contact_id,
    )


async def select_contacts_of_leads(
    session: Session, connection_id: UUID, lead_ids: Sequence[int]
) -> list[int]:
    rows = await session.fetch(
        """select distinct unnest(contact_ids) as id from app.crm_lead
            where connection_id = $1 and external_id = any($2)""",
        connection_id,
        list(lead_ids),
    )
    return [row["id"] for row in rows]


async def forget_contacts(session: Session, age: timedelta, limit: int) -> int:
    """Delete copies of contacts that no run has renewed for so long."""
    return await count_changed(
        session,
        """delete from app.crm_contact where (connection_id, external_id) in (
             select connection_id, external_id from app.crm_contact
              where seen_at < now() - $1::interval and erased_at is null limit $2)""",
        age,
        limit,
    )


async def select_contacts(
    session: Session, connection_id: UUID, page: Page, search: str
) -> list[MirroredContact]:
    rows = await session.fetch(
        f"""{_CONTACT} where connection_id = $1 and erased_at is null
               and ($2 = '' or position(lower($2) in lower(name)) > 0) and {page.clause(3)}""",
        connection_id,
        search,
        *page.args,
    )
    return [MirroredContact(**_read(row, "phones", "emails")) for row in rows]


async def select_leads(session: Session, connection_id: UUID, page: Page, search: str) -> list[MirroredLead]:
    rows = await session.fetch(
        f"""{_LEAD} where connection_id = $1
               and ($2 = '' or position(lower($2) in lower(coalesce(name, ''))) > 0) and {page.clause(3)}""",
        connection_id,
        search,
        *page.args,
    )
    return [MirroredLead(**_read(row, "contact_ids")) for row in rows]


def _read(row: Record, *arrays: str) -> dict[str, Any]:
    values = {**dict(row), "fields": unpack(row["fields"]), "tags": _TAGS.decode(row["tags"])}
    return values | {name: tuple(row[name]) for name in arrays}
