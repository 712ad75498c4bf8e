"""Agents over REST."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request

from gptagent.features.agents import service
from gptagent.features.agents.model import Agent
from gptagent.features.agents.wire import AgentOut, AgentPatch, AgentsOut, NewAgentBody, told
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database, Session
from gptagent.kernel.http import CurrentScope, locale_of
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, Match, api_router


@dataclass(frozen=True, slots=True)
class AgentsApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/agents", tags=["agents"])
        router.get("", summary="List agents")(self.list)
        router.post("", status_code=201, summary="Create a silent agent")(self.create)
        router.get("/{agent_id}", summary="Get an agent")(self.get)
        router.patch("/{agent_id}", summary="Change settings of an agent")(self.update)
        router.delete("/{agent_id}", status_code=204, summary="Delete an agent")(self.delete)
        return router

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.ORDERS, "created_at")],
        is_active: bool | None = None,
    ) -> AgentsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_agents(session, page, is_active=is_active)
            problems = await service.find_problems(session, found)
        return AgentsOut(items=[told(agent, problems[agent.id]) for agent in found], next_cursor=after)

    async def create(self, request: Request, scope: CurrentScope, body: NewAgentBody) -> AgentOut:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            agent = await service.create_agent(session, body.name, locale=locale_of(request))
            return await self._out(session, agent)

    async def get(self, scope: CurrentScope, agent_id: UUID) -> AgentOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return await self._out(session, await service.get_agent(session, agent_id))

    async def update(
        self, scope: CurrentScope, match: CurrentMatch, agent_id: UUID, body: AgentPatch
    ) -> AgentOut:
        require(scope, policy.EDIT_AGENTS)
        changes = body.model_dump(exclude_unset=True)
        async with self.db.session(scope) as session:
            await self._check(session, match, agent_id)
            return await self._out(session, await service.update_agent(session, agent_id, changes))

    async def delete(self, scope: CurrentScope, match: CurrentMatch, agent_id: UUID) -> None:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await self._check(session, match, agent_id)
            await service.delete_agent(session, agent_id)

    async def _check(self, session: Session, match: Match, agent_id: UUID) -> None:
        if match:
            match.check(await self._out(session, await service.get_agent(session, agent_id, lock=True)))

    async def _out(self, session: Session, agent: Agent) -> AgentOut:
        problems = await service.find_problems(session, [agent])
        return told(agent, problems[agent.id])
