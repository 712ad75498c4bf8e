"""SQL of how an account is set up: a list of the CRM's goes in by one statement, and ids stay what they are.

Rows travel as JSON. `xmax = 0` tells an inserted row from an updated one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
from asyncpg import Record

from gptagent.features.crm.mirror.model import (
    Counts,
    MirroredChannel,
    MirroredField,
    MirroredPipeline,
    MirroredSalesbot,
    MirroredStage,
    MirroredTag,
    MirroredUser,
)
from gptagent.features.crm.model import Pipeline
from gptagent.features.crm.records import (
    Channel,
    CrmUser,
    Field,
    FieldEnum,
    Salesbot,
    Tag,
)
from gptagent.features.crm.values import EntityKind
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page

_WANTED = """connection_id = $1 and ($2::boolean or removed_at is null)
             and ($3 = '' or position(lower($3) in lower(name)) > 0)"""
_FIELD = """select external_id as id, entity, name, type, code, enums, is_api_only, is_known, removed_at,
                   catalogs, links_to
              from app.crm_field"""
_USER = """select external_id as id, name, is_active, is_admin, group_id, removed_at from app.crm_user"""
_TAG = "select external_id as id, entity, name, color, removed_at from app.crm_tag"
_SALESBOT = "select external_id as id, name, is_active, removed_at from app.crm_salesbot"
_CHANNEL = "select origin, source_id, first_seen_at, last_seen_at from app.crm_channel"
_STAGES = msgspec.json.Decoder(tuple[MirroredStage, ...])
_ENUMS = msgspec.json.Decoder(tuple[FieldEnum, ...])


@dataclass(frozen=True, slots=True)
class Listed:
    """Which rows of a list are wanted: a page of one connection's, by a part of the name if need be."""

    connection_id: UUID
    page: Page
    search: str = ""
    removed: bool = True

    @property
    def args(self) -> tuple[UUID, bool, str]:
        """The parameters 1 to 3 of `_WANTED`."""
        return self.connection_id, self.removed, self.search


async def upsert_pipelines(session: Session, connection_id: UUID, pipelines: Sequence[Pipeline]) -> Counts:
    """Make the mirror equal to the CRM's list; what it no longer has stays, marked as removed."""
    named = {(p.id, s.id): s for p in pipelines for s in p.stages}
    stages = [
        {"pipeline_id": pipeline_id, "id": s.id, "name": s.name, "sort": s.sort, "kind": s.kind}
        for (pipeline_id, _), s in named.items()
    ]
    tally = await session.fetchrow(
        """with rows as (select distinct on (id) * from jsonb_to_recordset($2::jsonb)
                                     as r(id bigint, name text, sort integer, is_main boolean)),
                 done as (insert into app.crm_pipeline as t (connection_id, external_id, name, sort, is_main)
                          select $1, id, name, sort, is_main from rows
                          on conflict (org_id, connection_id, external_id) do update
                             set name = excluded.name, sort = excluded.sort, is_main = excluded.is_main,
                                 removed_at = null
                          returning xmax = 0 as added)
            select count(*) as read, count(*) filter (where added) as added from done""",
        connection_id,
        packed([{"id": p.id, "name": p.name, "sort": p.sort, "is_main": p.is_main} for p in pipelines]),
    )
    await session.execute(
        """insert into app.crm_stage as t (connection_id, pipeline_id, external_id, name, sort, kind)
           select $1, pipeline_id, id, name, sort, kind
             from jsonb_to_recordset($2::jsonb)
                  as r(pipeline_id bigint, id bigint, name text, sort integer, kind text)
           on conflict (org_id, connection_id, pipeline_id, external_id) do update
              set name = excluded.name, sort = excluded.sort, kind = excluded.kind, removed_at = null""",
        connection_id,
        packed(stages),
    )
    await session.execute(
        """update app.crm_stage set removed_at = now()
            where connection_id = $1 and removed_at is null
              and (pipeline_id, external_id) not in (
                    select * from unnest($2::bigint[], $3::bigint[]))""",
        connection_id,
        [stage["pipeline_id"] for stage in stages],
        [stage["id"] for stage in stages],
    )
    removed = await count_changed(
        session,
        """update app.crm_pipeline set removed_at = now()
            where connection_id = $1 and removed_at is null and external_id <> all($2::bigint[])""",
        connection_id,
        [pipeline.id for pipeline in pipelines],
    )
    await session.execute("update app.crm_connection set synced_at = now() where id = $1", connection_id)
    return tallied(tally, removed)


async def upsert_fields(
    session: Session, connection_id: UUID, entity: EntityKind, fields: Sequence[Field]
) -> Counts:
    tally = await session.fetchrow(
        """with rows as (select distinct on (id) * from jsonb_to_recordset($3::jsonb)
                       as r(id bigint, name text, type text, code text, sort integer, enums jsonb,
                            is_api_only boolean, is_known boolean, catalogs bigint[], links_to text)),
                 done as (insert into app.crm_field as t
                                 (connection_id, entity, external_id, name, type, code, sort, enums,
                                  is_api_only, is_known, catalogs, links_to)
                          select $1, $2, id, name, type, code, sort, enums, is_api_only, is_known, catalogs,
                                 links_to
                            from rows
                          on conflict (org_id, connection_id, entity, external_id) do update
                             set name = excluded.name, type = excluded.type, code = excluded.code,
                                 sort = excluded.sort, enums = excluded.enums,
                                 is_api_only = excluded.is_api_only, is_known = excluded.is_known,
                                 catalogs = excluded.catalogs, links_to = excluded.links_to,
                                 removed_at = null
                          returning xmax = 0 as added)
            select count(*) as read, count(*) filter (where added) as added from done""",
        connection_id,
        entity,
        packed(fields),
    )
    removed = await count_changed(
        session,
        """update app.crm_field set removed_at = now()
            where connection_id = $1 and removed_at is null and external_id <> all($2::bigint[])
              and entity = $3""",
        connection_id,
        [one.id for one in fields],
        entity,
    )
    return tallied(tally, removed)


async def upsert_users(session: Session, connection_id: UUID, users: Sequence[CrmUser]) -> Counts:
    tally = await session.fetchrow(
        """with rows as (select distinct on (id) * from jsonb_to_recordset($2::jsonb)
                       as r(id bigint, name text, is_active boolean, is_admin boolean, group_id bigint,
                            rights jsonb)),
                 done as (insert into app.crm_user as t
                                 (connection_id, external_id, name, is_active, is_admin, group_id, rights)
                          select $1, id, name, is_active, is_admin, group_id, rights from rows
                          on conflict (org_id, connection_id, external_id) do update
                             set name = excluded.name, is_active = excluded.is_active,
                                 is_admin = excluded.is_admin, group_id = excluded.group_id,
                                 rights = excluded.rights, removed_at = null
                          returning xmax = 0 as added)
            select count(*) as read, count(*) filter (where added) as added from done""",
        connection_id,
        packed(users),
    )
    removed = await count_changed(
        session,
        """update app.crm_user set removed_at = now()
            where connection_id = $1 and removed_at is null and external_id <> all($2::bigint[])""",
        connection_id,
        [one.id for one in users],
    )
    return tallied(tally, removed)


async def upsert_salesbots(session: Session, connection_id: UUID, bots: Sequence[Salesbot]) -> Counts:
    tally = await session.fetchrow(
        """with rows as (select distinct on (id) * from jsonb_to_recordset($2::jsonb)
                                     as r(id bigint, name text, is_active boolean)),
                 done as (insert into app.crm_salesbot as t (connection_id, external_id, name, is_active)
                          select $1, id, name, is_active from rows
                          on conflict (org_id, connection_id, external_id) do update
                             set name = excluded.name, is_active = excluded.is_active, removed_at = null
                          returning xmax = 0 as added)
            select count(*) as read, count(*) filter (where added) as added from done""",
        connection_id,
        packed(bots),
    )
    removed = await count_changed(
        session,
        """update app.crm_salesbot set removed_at = now()
            where connection_id = $1 and removed_at is null and external_id <> all($2::bigint[])""",
        connection_id,
        [one.id for one in bots],
    )
    return tallied(tally, removed)


async def upsert_tags(
    session: Session, connection_id: UUID, entity: EntityKind, tags: Sequence[Tag]
) -> Counts:
    """Store one page of tags. What is gone shows once all pages were read."""
    tally = await session.fetchrow(
        """with rows as (select distinct on (id) * from jsonb_to_recordset($3::jsonb)
                                     as r(id bigint, name text, color text)),
                 done as (insert into app.crm_tag as t (connection_id, entity, external_id, name, color)
                          select $1, $2, id, name, color from rows
                          on conflict (org_id, connection_id, entity, external_id) do update
                             set name = excluded.name, color = excluded.color, seen_at = now(),
                                 removed_at = null
                          returning xmax = 0 as added)
            select count(*) as read, count(*) filter (where added) as added from done""",
        connection_id,
        entity,
        packed(tags),
    )
    return tallied(tally)


async def remove_unseen_tags(session: Session, connection_id: UUID, since: datetime) -> int:
    return await count_changed(
        session,
        """update app.crm_tag set removed_at = now()
            where connection_id = $1 and removed_at is null and seen_at < $2""",
        connection_id,
        since,
    )


async def upsert_channels(session: Session, connection_id: UUID, channels: Sequence[Channel]) -> Counts:
    """Note where chats come from. A channel seen within the hour costs no write, and so no lock."""
    rows = await session.fetch(
        """insert into app.crm_channel as t (connection_id, origin, source_id)
           select $1, r.origin, r.source_id
             from (select distinct origin, coalesce(source_id, 0) as source_id
                     from jsonb_to_recordset($2::jsonb) as g(origin text, source_id bigint)) r
            where not exists (select from app.crm_channel c
                               where c.connection_id = $1 and c.origin = r.origin
                                 and c.source_id = r.source_id and c.last_seen_at > now() - interval '1 hour')
            order by 2, 3
           on conflict (org_id, connection_id, origin, source_id) do update set last_seen_at = now()
           returning xmax = 0 as added""",
        connection_id,
        packed(channels),
    )
    return Counts(read=len(channels), added=sum(row["added"] for row in rows))


async def select_pipelines(
    session: Session, connection_id: UUID | None, *, removed: bool
) -> list[MirroredPipeline]:
    rows = await session.fetch(
        """select p.connection_id, p.external_id as id, p.name, p.is_main, p.removed_at,
                  coalesce(jsonb_agg(jsonb_build_object('id', s.external_id, 'name', s.name, 'kind', s.kind,
                                                        'removed_at', s.removed_at)
                                     order by s.sort, s.external_id) filter (where s.external_id is not null),
                           '[]') as stages
             from app.crm_pipeline p left join app.crm_stage s
               on s.connection_id = p.connection_id and s.pipeline_id = p.external_id
              and ($2 or s.removed_at is null)
            where ($1::uuid is null or p.connection_id = $1) and ($2 or p.removed_at is null)
            group by p.connection_id, p.external_id, p.name, p.is_main, p.sort, p.removed_at
            order by p.connection_id, p.sort, p.external_id""",
        connection_id,
        removed,
    )
    return [MirroredPipeline(**{**dict(row), "stages": _STAGES.decode(row["stages"])}) for row in rows]


async def select_fields(
    session: Session, listed: Listed, *, entity: str | None = None
) -> list[MirroredField]:
    page = listed.page
    rows = await session.fetch(
        f"{_FIELD} where {_WANTED} and ($4::text is null or entity = $4) and {page.clause(5)}",
        *listed.args,
        entity,
        *page.args,
    )
    return [
        MirroredField(
            **{**dict(row), "enums": _ENUMS.decode(row["enums"]), "catalogs": tuple(row["catalogs"])}
        )
        for row in rows
    ]


async def select_users(session: Session, listed: Listed) -> list[MirroredUser]:
    page = listed.page
    rows = await session.fetch(f"{_USER} where {_WANTED} and {page.clause(4)}", *listed.args, *page.args)
    return [MirroredUser(**dict(row)) for row in rows]


async def select_tags(session: Session, listed: Listed, *, entity: str | None = None) -> list[MirroredTag]:
    page = listed.page
    rows = await session.fetch(
        f"{_TAG} where {_WANTED} and ($4::text is null or entity = $4) and {page.clause(5)}",
        *listed.args,
        entity,
        *page.args,
    )
    return [MirroredTag(**dict(row)) for row in rows]


async def select_salesbots(session: Session, listed: Listed) -> list[MirroredSalesbot]:
    page = listed.page
    rows = await session.fetch(f"{_SALESBOT} where {_WANTED} and {page.clause(4)}", *listed.args, *page.args)
    return [MirroredSalesbot(**dict(row)) for row in rows]


async def select_channels(session: Session, connection_id: UUID, page: Page) -> list[MirroredChannel]:
    rows = await session.fetch(
        f"{_CHANNEL} where connection_id = $1 and {page.clause(2)}",
        connection_id,
        *page.args,
    )
    return [MirroredChannel(**dict(row)) for row in rows]


async def count_changed(session: Session, sql: str, *args: object) -> int:
    """Run an update and return how many rows it reached."""
    return int((await session.execute(sql, *args)).split()[-1])


def tallied(tally: Record | None, removed: int = 0, *, read: int | None = None) -> Counts:
    found = tally or {"read": 0, "added": 0}
    return Counts(found["read"] if read is None else read, found["added"], removed)


def packed(rows: Sequence[object]) -> str:
    return msgspec.json.encode(rows).decode()
