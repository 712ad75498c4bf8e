"""The tab of integrations: which CRMs are there, and where this agent answers."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service
from gptagent.features.agents.integrations.model import integrations_of
from gptagent.features.crm import service as crm
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope, QueryText
from gptagent.kernel.routing import page_router
from gptagent.ui.web import Pages


@dataclass(frozen=True, slots=True)
class AgentIntegrationPages:
    """`llm_model` is the installation's model, None if answers are quoted from the knowledge base."""

    db: Database
    pages: Pages
    llm_model: str | None

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/ai-agents/{agent_id}")
        router.get("/integrations")(self.show)
        return router

    async def show(
        self, request: Request, scope: CurrentScope, agent_id: UUID, part: str = "", q: QueryText = ""
    ) -> Response:
        """`q` is looked for in the names; `part` is asked for by the live update."""
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            agent = await service.get_agent(session, agent_id)
            connections = await crm.list_connections(session)
            problems = (await service.find_problems(session, [service.as_edited(agent)]))[agent_id]
            earlier = service.overshadowed_by(await service.list_agents(session), agent)
            shell = None if part else await self.pages.shell(request, session)
        wanted = q.strip().casefold()
        rows = integrations_of(agent.settings, connections)
        context: dict[str, Any] = {
            "agent": agent,
            "integrations": [one for one in rows if wanted in one.name.casefold()],
            "q": q.strip(),
            "may_edit": policy.EDIT_AGENTS in scope.permissions,
            "may_connect": policy.MANAGE_CONNECTIONS in scope.permissions,
            "problems": problems,
            "earlier": earlier,
            "llm_model": self.llm_model,
        }
        if part:
            return self.pages.part(request, "agents/_integrations.html", **context)
        return self.pages.show(request, "agents/integrations.html", shell, tab="integrations", **context)
