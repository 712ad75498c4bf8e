"""Agents as they are."""

from collections.abc import Iterable
from dataclasses import replace
from uuid import UUID

from gptagent.features.agents import store
from gptagent.features.agents.model import Agent
from gptagent.kernel.db import Session
from gptagent.kernel.errors import NotFound


async def get_agent(session: Session, agent_id: UUID, *, lock: bool = False) -> Agent:
    """Raise NotFound if the workspace has no such agent. `lock` keeps others from changing it meanwhile."""
    found = await store.select_agent(session, agent_id, lock=lock)
    if found is None:
        raise NotFound
    return found


async def find_agent(session: Session, agent_id: UUID | None, *, among: Iterable[Agent] = ()) -> Agent | None:
    """Return the agent, or None if it is gone or nobody was named. `among`: some that were read just now."""
    if agent_id is None:
        return None
    known = next((one for one in among if one.id == agent_id), None)
    return known or await store.select_agent(session, agent_id)


async def list_agents(session: Session) -> list[Agent]:
    return await store.select_agents(session)


async def list_active(session: Session) -> list[Agent]:
    """Return who may answer, in the order they are asked in: who was made first comes first.

    In a suspended workspace nobody does.
    """
    return await store.select_active(session)


def as_edited(agent: Agent) -> Agent:
    """Return the agent as its draft would have it; without a draft as it is."""
    return replace(agent, settings=agent.draft or agent.settings)
