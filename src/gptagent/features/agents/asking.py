"""Agents as the test bench of the knowledge base knows them."""

from gptagent.features.agents.service import list_agents
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.service import Asker
from gptagent.kernel.db import Session


async def list_askers(session: Session) -> list[Asker]:
    """Return all agents, each with what of the base it answers from."""
    return [
        Asker(one.id, one.name, knowledge.within(one.settings.knowledge.part))
        for one in await list_agents(session)
    ]
