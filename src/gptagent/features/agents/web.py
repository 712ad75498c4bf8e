"""The pages of agents: list, create, switch, delete. The editor is in editing.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service
from gptagent.features.agents.model import Agent
from gptagent.features.agents.table import NAME_MAX_CHARS
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Invalid
from gptagent.kernel.http import CurrentScope, locale_of
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, words


@dataclass(frozen=True, slots=True)
class AgentPages:
    """`llm_model` is the installation's model, None if answers are quoted from the knowledge base."""

    db: Database
    pages: Pages
    llm_model: str | None

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/manage/{workspace}/ai-agents")
        router.get("")(self.list)
        router.get("/create")(self.create_form)
        router.post("/create")(self.create)
        router.post("/{agent_id}/active")(self.switch)
        router.post("/{agent_id}/delete")(self.delete)
        return router

    async def list(
        self, request: Request, scope: CurrentScope, q: str = "", status: str = "all", part: str = ""
    ) -> Response:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            agents = await service.list_agents(session)
            shell = None if part else await self.pages.shell(request, session)
        context: dict[str, Any] = {
            "agents": _filtered(agents, q, status),
            "total": len(agents),
            "active": sum(agent.is_active for agent in agents),
            "waiting": {one.id for one in agents if service.overshadowed_by(agents, one)},
            "q": q,
            "status_filter": status,
            "llm_model": self.llm_model,
            "may_edit": policy.EDIT_AGENTS in scope.permissions,
        }
        if part:
            return self.pages.part(request, "agents/_list.html", **context)
        return self.pages.show(request, "agents/list.html", shell, **context)

    async def create_form(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_AGENTS)
        return await self._create_page(request, scope)

    async def create(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_AGENTS)
        name = words(await request.form(), "name")
        try:
            async with self.db.session(scope) as session:
                agent = await service.create_agent(session, name, locale=locale_of(request))
        except Invalid as error:
            return await self._create_page(request, scope, name, error)
        made = Notice("success", "The agent is created", "It is off and stays silent until you switch it on.")
        return self.pages.redirect(f"{base_of(request)}/ai-agents/{agent.id}/edit", made)

    async def _create_page(
        self, request: Request, scope: Scope, name: str = "", error: Invalid | None = None
    ) -> Response:
        async with self.db.session(scope) as session:
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "agents/create.html",
            shell,
            status=422 if error else 200,
            name=name,
            errors=field_errors(request, error) if error else {},
            name_max=NAME_MAX_CHARS,
        )

    async def switch(self, request: Request, scope: CurrentScope, agent_id: UUID) -> Response:
        """Switch at once: what an inactive agent was about to say is not sent."""
        require(scope, policy.EDIT_AGENTS)
        form = await request.form()
        is_active = words(form, "is_active") == "on"
        async with self.db.session(scope) as session:
            agent = await service.update_agent(session, agent_id, {"is_active": is_active})
        if "hx-request" in request.headers:
            return self.pages.part(request, "agents/_switched.html", agent=agent)
        notice = Notice("success", "The agent is on" if is_active else "The agent is off")
        return self.pages.redirect(f"{base_of(request)}/ai-agents/{agent_id}/edit", notice)

    async def delete(self, request: Request, scope: CurrentScope, agent_id: UUID) -> Response:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await service.delete_agent(session, agent_id)
        return self.pages.redirect(f"{base_of(request)}/ai-agents", Notice("success", "The agent is deleted"))


def _filtered(agents: Sequence[Agent], query: str, status: str) -> list[Agent]:
    wanted = {"active": (True,), "inactive": (False,)}.get(status, (True, False))
    text = query.strip().lower()
    return [agent for agent in agents if agent.is_active in wanted and text in agent.name.lower()]
