"""Agents over REST."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import AwareDatetime

from gptagent.features.agents import service
from gptagent.features.agents.listing import service as listing
from gptagent.features.agents.listing.model import AgentFilter
from gptagent.features.agents.model import Agent
from gptagent.features.agents.ports import PublishCondition
from gptagent.features.agents.wire import (
    AgentOut,
    AgentPatch,
    AgentsChange,
    AgentsChanged,
    AgentsOut,
    NewAgentBody,
    told,
)
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database, Session
from gptagent.kernel.http import CurrentScope, QueryText, locale_of
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, Match, api_router


def _filter(
    *,
    search: QueryText = "",
    is_active: bool | None = None,
    has_draft: bool | None = None,
    model: QueryText = "",
    changed_from: AwareDatetime | None = None,
    changed_before: AwareDatetime | None = None,
) -> AgentFilter:
    return AgentFilter(search, is_active, has_draft, model, changed_from, changed_before)


@dataclass(frozen=True, slots=True)
class AgentsApi:
    """`llm_model` is the installation's model, None if it has none."""

    db: Database
    llm_model: str | None
    condition: PublishCondition

    def router(self) -> APIRouter:
        router = api_router("/agents", tags=["agents"])
        router.get("", summary="List agents")(self.list)
        router.post("", status_code=201, summary="Create a silent agent")(self.create)
        router.post("/bulk", summary="Change several agents")(self.change)
        router.get("/{agent_id}", summary="Get an agent")(self.get)
        router.patch("/{agent_id}", summary="Change settings of an agent")(self.update)
        router.delete("/{agent_id}", status_code=204, summary="Delete an agent")(self.delete)
        router.post("/{agent_id}/copy", status_code=201, summary="Copy an agent")(self.copy)
        return router

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(listing.ORDERS, "created_at")],
        wanted: Annotated[AgentFilter, Depends(_filter)],
    ) -> AgentsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await listing.page_agents(session, page, wanted, self.llm_model or "")
            problems = await service.find_problems(session, found)
        return AgentsOut(items=[told(agent, problems[agent.id]) for agent in found], next_cursor=after)

    async def create(self, request: Request, scope: CurrentScope, body: NewAgentBody) -> AgentOut:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            agent = await service.create_agent(
                session, body.name, locale=locale_of(request), preset=body.template
            )
            return await agent_out(session, agent)

    async def change(self, scope: CurrentScope, body: AgentsChange) -> AgentsChanged:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            changed = await listing.change_agents(
                session, body.ids, body.action, model=body.model, condition=self.condition
            )
        return AgentsChanged(changed=changed)

    async def copy(self, request: Request, scope: CurrentScope, agent_id: UUID) -> AgentOut:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            made = await service.copy_agent(session, agent_id, locale=locale_of(request))
            return await agent_out(session, made)

    async def get(self, scope: CurrentScope, agent_id: UUID) -> AgentOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return await agent_out(session, await service.get_agent(session, agent_id))

    async def update(
        self, scope: CurrentScope, match: CurrentMatch, agent_id: UUID, body: AgentPatch
    ) -> AgentOut:
        require(scope, policy.EDIT_AGENTS)
        changes = body.model_dump(exclude_unset=True)
        async with self.db.session(scope) as session:
            await self._check(session, match, agent_id)
            changed = await service.update_agent(session, agent_id, changes, condition=self.condition)
            return await agent_out(session, changed)

    async def delete(self, scope: CurrentScope, match: CurrentMatch, agent_id: UUID) -> None:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await self._check(session, match, agent_id)
            await service.delete_agent(session, agent_id)

    async def _check(self, session: Session, match: Match, agent_id: UUID) -> None:
        if match:
            match.check(await agent_out(session, await service.get_agent(session, agent_id, lock=True)))


async def agent_out(session: Session, agent: Agent) -> AgentOut:
    """Return the agent as answers tell it, with what its settings name and is not there."""
    problems = await service.find_problems(session, [agent])
    return told(agent, problems[agent.id])
