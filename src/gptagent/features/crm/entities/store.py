"""SQL of contacts and deals: a page of the CRM's list goes in by one statement, and ids stay the same."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from gptagent.features.crm.entities.model import ToldContact
from gptagent.features.crm.mirror.model import Counts, MirroredContact, MirroredLead
from gptagent.features.crm.mirror.store import count_changed, packed, tallied
from gptagent.features.crm.records import ContactRecord, LeadRecord, Tag
from gptagent.features.crm.values import FieldValue, coded, pack, unpack
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page

_CONTACT = """select external_id as id, name, phones, emails, responsible_user_id, fields, tags, updated_at,
                     removed_at
                from app.crm_contact"""
_HERE = "connection_id = $1 and removed_at is null"
_GONE = """removed_at = clock_timestamp(), seen_at = now(), name = '', first_name = '', last_name = '',
           phones = '{}', emails = '{}', fields = '[]', tags = '[]', lead_ids = '{}', company_ids = '{}'"""
_LEAD = """select external_id as id, name, price, pipeline_id, stage_id, responsible_user_id, fields, tags,
                  contact_ids, loss_reason, updated_at, removed_at
             from app.crm_lead"""
# Of a page that was asked for at $3: whether a webhook has told of a later change, or of one within the same
# second while the page was on its way.
_LEAD_TOLD = "t.told_at > excluded.updated_at or (t.seen_at > $3 and t.told_at = excluded.updated_at)"
_CONTACT_TOLD = """t.removed_at is null and (t.updated_at > excluded.updated_at
                   or (t.seen_at > $3 and t.updated_at = excluded.updated_at))"""


def _newer(told: str, *columns: str) -> str:
    """Return the assignments that keep what was told and take the rest."""
    return ", ".join(f"{one} = case when {told} then t.{one} else excluded.{one} end" for one in columns)


_CONTACTS_NEWER = _newer(
    _CONTACT_TOLD, "name", "phones", "emails", "responsible_user_id", "fields", "tags", "updated_at"
)
# A webhook without a time tells of these alone.
_TOLD_ALWAYS = ("name", "price", "pipeline_id", "stage_id", "responsible_user_id")
_LEADS_NEWER = ", ".join(
    (_newer(f"t.seen_at > $3 or {_LEAD_TOLD}", *_TOLD_ALWAYS), _newer(_LEAD_TOLD, "fields", "tags"))
)
_TAGS = msgspec.json.Decoder(tuple[Tag, ...])


async def upsert_contacts(
    session: Session, connection_id: UUID, contacts: Sequence[ContactRecord], read_at: datetime
) -> Counts:
    """Store one page of contacts that was asked for at `read_at`; of those who asked to be forgotten nothing
    is stored again. What a webhook told since then, or of a later change, is newer and stays.
    """
    tally = await session.fetchrow(
        f"""with rows as (select distinct on (id) * from jsonb_to_recordset($2::jsonb)
                       as r(id bigint, name text, first_name text, last_name text, phones text[],
                            emails text[], responsible_user_id bigint, fields jsonb, tags jsonb,
                            lead_ids bigint[], company_ids bigint[], created_at timestamptz,
                            updated_at timestamptz)),
                 done as (insert into app.crm_contact as t
                                 (connection_id, external_id, name, first_name, last_name, phones, emails,
                                  responsible_user_id, fields, tags, lead_ids, company_ids, created_at,
                                  updated_at)
                          select $1, id, name, first_name, last_name, phones, emails, responsible_user_id,
                                 fields, tags, lead_ids, company_ids, created_at, updated_at
                            from rows order by id
                          on conflict (org_id, connection_id, external_id) do update
                             set {_CONTACTS_NEWER}, first_name = excluded.first_name,
                                 last_name = excluded.last_name, lead_ids = excluded.lead_ids,
                                 company_ids = excluded.company_ids, created_at = excluded.created_at,
                                 seen_at = now(), removed_at = null
                           where t.erased_at is null and (t.removed_at is null or t.seen_at <= $3)
                          returning xmax = 0 as added)
            select count(*) as read, count(*) filter (where added) as added from done""",  # noqa: S608 - of this file
        connection_id,
        packed(contacts),
        read_at,
    )
    return tallied(tally, read=len(contacts))


async def merge_contact(session: Session, connection_id: UUID, told: ToldContact) -> None:
    """Take over what a delivery says of a contact, leaving the rest: nothing if more recent is known, of one
    who asked to be forgotten, or of a deleted one unless it is of a time after that.
    """
    await session.execute(
        """insert into app.crm_contact as t (connection_id, external_id, name, responsible_user_id, fields,
                                             phones, emails, tags, lead_ids, updated_at)
           values ($1, $2, coalesce($3, ''), $4, coalesce($5::jsonb, '[]'), $6, $7, coalesce($8::jsonb, '[]'),
                   $9, coalesce($10, now()))
           on conflict (org_id, connection_id, external_id) do update
              set name = coalesce($3, t.name),
                  responsible_user_id = coalesce($4, t.responsible_user_id),
                  fields = coalesce($5::jsonb, t.fields),
                  phones = case when $5::jsonb is null then t.phones else $6 end,
                  emails = case when $5::jsonb is null then t.emails else $7 end,
                  tags = coalesce($8::jsonb, t.tags),
                  lead_ids = case when $9::bigint[] = '{}' then t.lead_ids else $9 end,
                  updated_at = coalesce($10, t.updated_at), seen_at = now(), removed_at = null
            where t.erased_at is null and coalesce($10 >= t.updated_at, true)
              and (t.removed_at is null or $11 or $10 > t.removed_at)""",
        connection_id,
        told.id,
        told.name,
        told.responsible_user_id,
        None if told.fields is None else pack(told.fields),
        list(coded(told.fields or (), "PHONE")),
        list(coded(told.fields or (), "EMAIL")),
        None if told.tags is None else packed(told.tags),
        list(told.lead_ids),
        told.changed_at,
        told.is_restored,
    )


async def remove_contact(session: Session, connection_id: UUID, contact_id: int) -> None:
    """Forget who the contact was: it was deleted in the CRM."""
    await session.execute(
        f"update app.crm_contact set {_GONE} where {_HERE} and external_id = $2",  # noqa: S608 - of this file
        connection_id,
        contact_id,
    )


async def remove_unseen_contacts(session: Session, connection_id: UUID, since: datetime) -> int:
    """Forget who the contacts were that the CRM no longer has; their numbers stay."""
    return await count_changed(
        session,
        f"update app.crm_contact set {_GONE} where {_HERE} and seen_at < $2",  # noqa: S608 - of this file
        connection_id,
        since,
    )


async def update_lead_values(
    session: Session,
    connection_id: UUID,
    lead_id: int,
    *,
    fields: tuple[FieldValue, ...] | None,
    tags: tuple[Tag, ...] | None,
) -> None:
    """Store what a delivery lists of a deal; what it does not speak of (None) stays."""
    await session.execute(
        """update app.crm_lead set fields = coalesce($3::jsonb, fields), tags = coalesce($4::jsonb, tags)
            where connection_id = $1 and external_id = $2""",
        connection_id,
        lead_id,
        None if fields is None else pack(fields),
        None if tags is None else packed(tags),
    )


async def upsert_leads(
    session: Session, connection_id: UUID, leads: Sequence[LeadRecord], read_at: datetime
) -> Counts:
    """Store one page of deals that was asked for at `read_at`; none of people who asked to be forgotten.

    Where a webhook told of a deal since then, or of a later change, what it told is newer and stays.
    """
    tally = await session.fetchrow(
        f"""with rows as (select distinct on (id) * from jsonb_to_recordset($2::jsonb)
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
                             set {_LEADS_NEWER},
                                 removed_at = case when t.seen_at <= $3 then null else t.removed_at end,
                                 is_deleted = t.seen_at > $3 and t.is_deleted,
                                 contact_ids = excluded.contact_ids, company_ids = excluded.company_ids,
                                 loss_reason = excluded.loss_reason, closed_at = excluded.closed_at,
                                 updated_at = greatest(excluded.updated_at, t.told_at), fetched_at = now(),
                                 seen_at = now()
                          returning xmax = 0 as added)
            select count(*) as read, count(*) filter (where added) as added from done""",  # noqa: S608 - of this file
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


async def select_stages(
    session: Session, deals: Sequence[tuple[UUID, int]]
) -> dict[tuple[UUID, int], tuple[int | None, int | None]]:
    rows = await session.fetch(
        """select connection_id, external_id, pipeline_id, stage_id from app.crm_lead
            where (connection_id, external_id) in (select * from unnest($1::uuid[], $2::bigint[]))""",
        [connection_id for connection_id, _lead_id in deals],
        [lead_id for _connection_id, lead_id in deals],
    )
    return {(row["connection_id"], row["external_id"]): (row["pipeline_id"], row["stage_id"]) for row in rows}


async def select_contact(session: Session, connection_id: UUID, contact_id: int) -> Record | None:
    return await session.fetchrow(
        """select c.name, c.phones, c.emails, c.fields, u.name as responsible,
                  array(select t->>'name' from jsonb_array_elements(c.tags) t) as tags
             from app.crm_contact c
             left join app.crm_user u
               on u.connection_id = c.connection_id and u.external_id = c.responsible_user_id
            where c.connection_id = $1 and c.external_id = $2 and c.erased_at is null
              and c.removed_at is null""",
        connection_id,
        contact_id,
    )


async def select_reach(session: Session, connection_id: UUID, contact_id: int) -> tuple[str, str]:
    row = await session.fetchrow(
        f"""select coalesce(emails[1], '') as email, coalesce(phones[1], '') as phone from app.crm_contact
             where {_HERE} and external_id = $2 and erased_at is null""",  # noqa: S608 - of this file
        connection_id,
        contact_id,
    )
    return (row["email"], row["phone"]) if row else ("", "")


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
