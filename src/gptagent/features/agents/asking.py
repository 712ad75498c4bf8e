"""Agents as the test bench of the knowledge base and the page of budgets know them."""

from uuid import UUID

from gptagent.features.agents.service import list_agents
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.service import Asker
from gptagent.kernel.db import Session


async def list_askers(session: Session) -> list[Asker]:
    """Return all agents, each with what of the base it answers from."""
    return [
        Asker(one.id, one.name, knowledge.within(one.settings.knowledge.part, agent_id=one.id))
        for one in await list_agents(session)
    ]


async def name_agents(session: Session) -> dict[UUID, str]:
    """Return the names of all agents, for pages of features below this one."""
    return {one.id: one.name for one in await list_agents(session)}
