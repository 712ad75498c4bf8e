"""All SQL of scripts. Tenancy is the database's: no statement names the workspace."""
# ruff: noqa: S608 - what is put into statements are this module's columns

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from gptagent.features.knowledge.scripts.model import Family, NewScript, Script
from gptagent.features.knowledge.staging.model import StageKey
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page

_SCRIPT = """id, family, kind, title, content, is_everywhere, is_active, priority, used, used_at, version,
             created_at, updated_at"""
_FITS = """family = $1 and ($2 = '' or strpos(lower(title), lower($2)) > 0
                            or strpos(lower(content), lower($2)) > 0)
           and ($3 = '' or kind = $3)"""


async def lock_family(session: Session, family: Family) -> int:
    """Let nobody else add to it until the commit; return how many there are."""
    await session.execute(
        "select pg_advisory_xact_lock(hashtextextended('scripts:' || app.org()::text || $1, 0))", family
    )
    count: int = await session.fetchval("select count(*) from app.script where family = $1", family)
    return count


async def insert_script(
    session: Session, script_id: UUID, family: Family, new: NewScript, now: datetime
) -> None:
    await session.execute(
        """insert into app.script (id, family, kind, title, content, is_everywhere, is_active, priority,
                                   created_at, updated_at)
           values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)""",
        script_id,
        family,
        new.kind,
        new.title,
        new.content,
        not new.stages,
        new.is_active,
        new.priority,
        now,
    )
    await _set_stages(session, script_id, new)


async def update_script(session: Session, script_id: UUID, new: NewScript, now: datetime) -> None:
    await session.execute(
        """update app.script set kind = $2, title = $3, content = $4, is_everywhere = $5, is_active = $6,
                  priority = $7, version = version + 1, updated_at = $8 where id = $1""",
        script_id,
        new.kind,
        new.title,
        new.content,
        not new.stages,
        new.is_active,
        new.priority,
        now,
    )
    await session.execute("delete from app.script_stage where script_id = $1", script_id)
    await _set_stages(session, script_id, new)


async def _set_stages(session: Session, script_id: UUID, new: NewScript) -> None:
    await session.execute(
        """insert into app.script_stage (script_id, connection_id, pipeline_id, stage_id)
           select $1, * from unnest($2::uuid[], $3::bigint[], $4::bigint[])""",
        script_id,
        [one.connection_id for one in new.stages],
        [one.pipeline_id for one in new.stages],
        [one.stage_id for one in new.stages],
    )


async def delete_script(session: Session, family: Family, script_id: UUID) -> bool:
    return bool(
        await session.fetchval(
            "delete from app.script where id = $1 and family = $2 returning true", script_id, family
        )
    )


async def fetch_script(
    session: Session, family: Family, script_id: UUID, *, lock: bool = False
) -> Script | None:
    row = await session.fetchrow(
        f"select {_SCRIPT} from app.script where id = $1 and family = $2{' for update' if lock else ''}",
        script_id,
        family,
    )
    return (await _with_stages(session, [row]))[0] if row else None


async def list_scripts(session: Session, family: Family, search: str, kind: str) -> list[Script]:
    rows = await session.fetch(
        f"select {_SCRIPT} from app.script where {_FITS} order by priority, id", family, search, kind
    )
    return await _with_stages(session, rows)


async def page_scripts(session: Session, page: Page, family: Family, search: str, kind: str) -> list[Script]:
    rows = await session.fetch(
        f"select {_SCRIPT} from app.script where {_FITS} and {page.clause(4)}",
        family,
        search,
        kind,
        *page.args,
    )
    return await _with_stages(session, rows)


async def fitting(session: Session, stage: StageKey | None) -> list[Script]:
    """Return the active ones of both families that are for every stage or for this one, the first to be used
    first.
    """
    rows = await session.fetch(
        f"""select {_SCRIPT} from app.script s
             where is_active
               and (is_everywhere or exists (
                 select from app.script_stage t
                  where t.script_id = s.id and t.connection_id = $1::uuid and t.pipeline_id = $2::bigint
                    and t.stage_id = $3::bigint))
             order by is_everywhere, priority, id""",
        stage.connection_id if stage else None,
        stage.pipeline_id if stage else None,
        stage.stage_id if stage else None,
    )
    return [Script(**dict(row)) for row in rows]


async def count_use(session: Session, ids: Collection[UUID], now: datetime) -> None:
    await session.execute(
        """update app.script s set used = used + 1, used_at = $2
             from (select id from app.script where id = any($1) order by id for no key update) held
            where s.id = held.id""",
        list(ids),
        now,
    )


async def _with_stages(session: Session, rows: Sequence[Record]) -> list[Script]:
    found = [Script(**dict(row)) for row in rows]
    stages = await session.fetch(
        """select script_id, connection_id, pipeline_id, stage_id from app.script_stage
            where script_id = any($1) order by connection_id, pipeline_id, stage_id""",
        [one.id for one in found],
    )
    by_script: dict[UUID, list[StageKey]] = {}
    for row in stages:
        key = StageKey(row["connection_id"], row["pipeline_id"], row["stage_id"])
        by_script.setdefault(row["script_id"], []).append(key)
    return [replace(one, stages=tuple(by_script.get(one.id, ()))) for one in found]
