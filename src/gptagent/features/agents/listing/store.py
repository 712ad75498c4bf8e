"""SQL of the list of agents. Tenancy is the database's: no statement names the workspace."""
# ruff: noqa: S608 - what is put into statements are this module's own columns and orders

from collections.abc import Collection, Mapping
from uuid import UUID

from gptagent.features.agents.listing.model import AgentCounts, AgentFilter
from gptagent.features.agents.model import Agent
from gptagent.features.agents.store import AGENT, agent_of
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Order, Page, orders

# A filter; its parameters are the seven that _args returns.
_FITS = """($1 = '' or strpos(lower(name), lower($1)) > 0) and ($2::boolean is null or is_active = $2)
       and ($3 = '' or coalesce(settings ->> 'model', $4) = $3)
       and ($5::timestamptz is null or updated_at >= $5) and ($6::timestamptz is null or updated_at < $6)
       and ($7::boolean is null or (draft is not null) = $7)"""
SORTS: Mapping[str, str] = {
    "": "created_at, id",
    "name": "lower(name), id",
    "-name": "lower(name) desc, id desc",
    "active": "is_active, created_at, id",
    "-active": "is_active desc, created_at, id",
    "created": "created_at, id",
    "-created": "created_at desc, id desc",
    "changed": "updated_at, id",
    "-changed": "updated_at desc, id desc",
}
ORDERS = orders(name="name") | {
    "-name": Order("-name", "name", "text", descending=True),
    "updated_at": Order("updated_at", "updated_at"),
    "-updated_at": Order("-updated_at", "updated_at", descending=True),
}


async def select_page(session: Session, page: Page, wanted: AgentFilter, own_model: str) -> list[Agent]:
    rows = await session.fetch(
        f"{AGENT} where {_FITS} and {page.clause(8)}", *_args(wanted, own_model), *page.args
    )
    return [agent_of(row) for row in rows]


async def find_agents(
    session: Session, wanted: AgentFilter, own_model: str, *, sort: str, limit: int, offset: int
) -> list[Agent]:
    rows = await session.fetch(
        f"{AGENT} where {_FITS} order by {SORTS[sort]} limit $8 offset $9",
        *_args(wanted, own_model),
        limit,
        offset,
    )
    return [agent_of(row) for row in rows]


async def count_fitting(session: Session, wanted: AgentFilter, own_model: str) -> int:
    return int(
        await session.fetchval(f"select count(*) from app.agent where {_FITS}", *_args(wanted, own_model))
    )


async def count_agents(session: Session) -> AgentCounts:
    (row,) = await session.fetch(
        """select count(*) as total, count(*) filter (where is_active) as active,
                  count(*) filter (where draft is not null) as drafts,
                  array(select distinct settings ->> 'model' from app.agent
                         where settings ->> 'model' is not null order by 1) as models
             from app.agent"""
    )
    return AgentCounts(row["total"], row["active"], row["drafts"], tuple(row["models"]))


async def lock_agents(session: Session, ids: Collection[UUID]) -> None:
    """Keep others from changing the agents until the commit."""
    await session.execute(
        "select from app.agent where id = any($1::uuid[]) order by id for update", list(ids)
    )


def _args(wanted: AgentFilter, own_model: str) -> tuple[object, ...]:
    return (
        wanted.search,
        wanted.is_active,
        wanted.model,
        own_model,
        wanted.changed_from,
        wanted.changed_before,
        wanted.has_draft,
    )
