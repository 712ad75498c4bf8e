"""All SQL of facts about the company. Tenancy is the database's: no statement names the workspace."""
# ruff: noqa: S608 - what is put into statements are this module's columns

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from gptagent.features.knowledge.facts.model import Fact, NewFact
from gptagent.features.knowledge.staging.model import StageKey, stages_of
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page

_FACT = """f.id, f.content, f.is_global, f.is_everywhere, f.priority, f.used, f.used_at, f.version,
  f.created_at, f.updated_at,
  array(select a.agent_id from app.company_fact_agent a where a.fact_id = f.id order by 1) as agents,
  array(select concat_ws(':', t.connection_id, t.pipeline_id, t.stage_id) from app.company_fact_stage t
         where t.fact_id = f.id order by t.connection_id, t.pipeline_id, t.stage_id) as stages"""
_FITS = "($1 = '' or strpos(lower(f.content), lower($1)) > 0)"


async def lock_facts(session: Session) -> int:
    """Let nobody else add to them until the commit; return how many there are."""
    await session.execute(
        "select pg_advisory_xact_lock(hashtextextended('company_facts:' || app.org()::text, 0))"
    )
    count: int = await session.fetchval("select count(*) from app.company_fact")
    return count


async def insert_fact(session: Session, fact_id: UUID, new: NewFact, now: datetime) -> None:
    await session.execute(
        """insert into app.company_fact
             (id, content, is_global, is_everywhere, priority, created_at, updated_at)
           values ($1, $2, $3, $4, $5, $6, $6)""",
        fact_id,
        new.content,
        not new.agents,
        not new.stages,
        new.priority,
        now,
    )
    await set_agents(session, fact_id, new.agents)
    await set_stages(session, fact_id, new.stages)


async def update_fact(session: Session, fact_id: UUID, new: NewFact, now: datetime) -> None:
    """Write all but whom and what it is for."""
    await session.execute(
        """update app.company_fact
              set content = $2, priority = $3, version = version + 1, updated_at = $4 where id = $1""",
        fact_id,
        new.content,
        new.priority,
        now,
    )


async def set_agents(session: Session, fact_id: UUID, agents: Collection[UUID]) -> None:
    await session.execute("delete from app.company_fact_agent where fact_id = $1", fact_id)
    await session.execute("update app.company_fact set is_global = $2 where id = $1", fact_id, not agents)
    await session.execute(
        "insert into app.company_fact_agent (fact_id, agent_id) select $1, unnest($2::uuid[])",
        fact_id,
        list(agents),
    )


async def set_stages(session: Session, fact_id: UUID, stages: Collection[StageKey]) -> None:
    await session.execute("delete from app.company_fact_stage where fact_id = $1", fact_id)
    await session.execute("update app.company_fact set is_everywhere = $2 where id = $1", fact_id, not stages)
    await session.execute(
        """insert into app.company_fact_stage (fact_id, connection_id, pipeline_id, stage_id)
           select $1, * from unnest($2::uuid[], $3::bigint[], $4::bigint[])""",
        fact_id,
        [one.connection_id for one in stages],
        [one.pipeline_id for one in stages],
        [one.stage_id for one in stages],
    )


async def part_from_old_text(session: Session, fact_id: UUID) -> None:
    """Keep the one text of the release before no longer beside a fact that was made of it, and is changed."""
    is_old: bool | None = await session.fetchval(
        "update app.company_fact set is_old_text = false where id = $1 and is_old_text returning true",
        fact_id,
    )
    if is_old:
        await session.execute("delete from app.company_facts")


async def delete_fact(session: Session, fact_id: UUID) -> bool:
    return bool(await session.fetchval("delete from app.company_fact where id = $1 returning true", fact_id))


async def fetch_fact(session: Session, fact_id: UUID, *, lock: bool = False) -> Fact | None:
    row = await session.fetchrow(
        f"select {_FACT} from app.company_fact f where f.id = $1{' for update of f' if lock else ''}", fact_id
    )
    return _fact(row) if row else None


async def list_facts(session: Session, search: str) -> list[Fact]:
    rows = await session.fetch(
        f"select {_FACT} from app.company_fact f where {_FITS} order by f.priority, f.used desc, f.id", search
    )
    return [_fact(row) for row in rows]


async def page_facts(session: Session, page: Page, search: str) -> list[Fact]:
    rows = await session.fetch(
        f"select {_FACT} from app.company_fact f where {_FITS} and {page.clause(2)}", search, *page.args
    )
    return [_fact(row) for row in rows]


async def fitting(session: Session, agent_id: UUID, stage: StageKey | None) -> list[tuple[UUID, str]]:
    """Return (id, text) of the facts that are for this agent, at this stage, the first to be told first."""
    rows = await session.fetch(
        """select f.id, f.content from app.company_fact f
            where (f.is_global or exists (
                     select from app.company_fact_agent a where a.fact_id = f.id and a.agent_id = $1))
              and (f.is_everywhere or exists (
                     select from app.company_fact_stage t
                      where t.fact_id = f.id and t.connection_id = $2::uuid and t.pipeline_id = $3::bigint
                        and t.stage_id = $4::bigint))
            order by f.priority, f.used desc, f.id""",
        agent_id,
        stage.connection_id if stage else None,
        stage.pipeline_id if stage else None,
        stage.stage_id if stage else None,
    )
    return [(row["id"], row["content"]) for row in rows]


async def read_contents(session: Session) -> list[tuple[UUID, str]]:
    rows = await session.fetch(
        "select id, content from app.company_fact order by priority, created_at, id for key share"
    )
    return [(row["id"], row["content"]) for row in rows]


async def count_use(session: Session, ids: Collection[UUID], now: datetime) -> None:
    await session.execute(
        """update app.company_fact f set used = used + 1, used_at = $2
             from (select id from app.company_fact where id = any($1) order by id for no key update) held
            where f.id = held.id""",
        list(ids),
        now,
    )


def _fact(row: Record) -> Fact:
    values = dict(row)
    return Fact(**{**values, "agents": tuple(values["agents"]), "stages": stages_of(values["stages"])})
