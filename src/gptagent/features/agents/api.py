"""Agents over REST."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request

from gptagent.features.agents import service
from gptagent.features.agents.model import Creativity
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.http import Body, CurrentScope, Wire, locale_of


class NewAgentBody(Body):
    name: str


class AgentPatch(Body):
    """Fields left out stay as they are."""

    name: str | None = None
    is_active: bool | None = None
    instructions: str | None = None
    model: str | None = None
    creativity: Creativity | None = None
    response_delay_seconds: int | None = None
    not_found_text: str | None = None
    not_found_task: bool | None = None


class AgentOut(Wire):
    id: UUID
    name: str
    is_active: bool
    instructions: str
    model: str | None
    creativity: Creativity
    response_delay_seconds: int
    not_found_text: str
    not_found_task: bool
    version: int
    created_at: datetime
    updated_at: datetime


class AgentsOut(Wire):
    items: list[AgentOut]


@dataclass(frozen=True, slots=True)
class AgentsApi:
    db: Database

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/api/v1/agents", tags=["agents"])
        router.get("")(self.list)
        router.post("", status_code=201)(self.create)
        router.get("/{agent_id}")(self.get)
        router.patch("/{agent_id}")(self.update)
        router.delete("/{agent_id}", status_code=204)(self.delete)
        return router

    async def list(self, scope: CurrentScope) -> AgentsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return AgentsOut(items=[AgentOut.model_validate(a) for a in await service.list_agents(session)])

    async def create(self, request: Request, scope: CurrentScope, body: NewAgentBody) -> AgentOut:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            agent = await service.create_agent(session, body.name, locale=locale_of(request))
        return AgentOut.model_validate(agent)

    async def get(self, scope: CurrentScope, agent_id: UUID) -> AgentOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return AgentOut.model_validate(await service.get_agent(session, agent_id))

    async def update(self, scope: CurrentScope, agent_id: UUID, body: AgentPatch) -> AgentOut:
        require(scope, policy.EDIT_AGENTS)
        changes = body.model_dump(exclude_unset=True)
        async with self.db.session(scope) as session:
            return AgentOut.model_validate(await service.update_agent(session, agent_id, changes))

    async def delete(self, scope: CurrentScope, agent_id: UUID) -> None:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await service.delete_agent(session, agent_id)
