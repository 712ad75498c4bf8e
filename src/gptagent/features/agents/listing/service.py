"""Verbs of the list of agents."""

from collections.abc import Collection, Mapping
from uuid import UUID

from gptagent.features.agents import service
from gptagent.features.agents.listing import store
from gptagent.features.agents.listing.model import BULK_MAX, AgentCounts, AgentFilter, BulkAction
from gptagent.features.agents.model import Agent
from gptagent.features.agents.ports import PublishCondition, may_always_publish
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Invalid
from gptagent.kernel.paging import Page

ORDERS = store.ORDERS
UNFIT = "Nothing was changed: with “{agent}” it is not possible."


async def find_agents(
    session: Session, wanted: AgentFilter, own_model: str, *, sort: str = "", limit: int, offset: int = 0
) -> tuple[list[Agent], int]:
    """Return a part of the agents that fit, oldest first or sorted by a key of SORTS; and how many do.

    `own_model` is the installation's, empty if it has none.
    """
    found = await store.find_agents(session, wanted, own_model, sort=sort, limit=limit, offset=offset)
    return found, await store.count_fitting(session, wanted, own_model)


async def page_agents(
    session: Session, page: Page, wanted: AgentFilter, own_model: str
) -> tuple[list[Agent], str | None]:
    """Return a page of the agents that fit, and the cursor of the next one if there is more."""
    found = await store.select_page(session, page, wanted, own_model)
    return page.cut(found, lambda agent: (getattr(agent, page.order.column), agent.id))


async def count_agents(session: Session) -> AgentCounts:
    """Return how many agents there are, whatever a list shows."""
    return await store.count_agents(session)


async def change_agents(
    session: Session,
    ids: Collection[UUID],
    action: BulkAction,
    *,
    model: str | None = None,
    condition: PublishCondition = may_always_publish,
) -> int:
    """Do the same to several agents, all or none; return how many. `model` is what `set_model` sets.

    Raises NotFound if one is missing; Invalid for too many, and naming the agent for a model that may not be
    named and for what its plan does not allow to be on; what `condition` raises for one whose model may not
    be changed now.
    """
    if len(set(ids)) > BULK_MAX:
        raise Invalid.field("ids", "Choose at most {max}.", max=BULK_MAX)
    chosen = sorted(set(ids))
    await store.lock_agents(session, chosen)
    for agent_id in chosen:
        if action == "delete":
            await service.delete_agent(session, agent_id)
        elif action == "set_model":
            await _change(session, agent_id, {"model": model}, condition)
        else:
            await _change(session, agent_id, {"is_active": action == "activate"}, may_always_publish)
    return len(chosen)


async def _change(
    session: Session, agent_id: UUID, changes: Mapping[str, object], condition: PublishCondition
) -> None:
    try:
        await service.update_agent(session, agent_id, changes, condition=condition)
    except Invalid as error:
        agent = await service.get_agent(session, agent_id)
        raise Invalid(error.code, UNFIT, params={"agent": agent.name}, fields=error.fields) from error
