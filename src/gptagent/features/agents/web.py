"""What is done to one agent: create, switch, copy, delete. List and editor have their own files."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service
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
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/manage/{workspace}/ai-agents")
        router.get("/create")(self.create_form)
        router.post("/create")(self.create)
        router.post("/{agent_id}/active")(self.switch)
        router.post("/{agent_id}/copy")(self.copy)
        router.post("/{agent_id}/delete")(self.delete)
        return router

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

    async def copy(self, request: Request, scope: CurrentScope, agent_id: UUID) -> Response:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            made = await service.copy_agent(session, agent_id, locale=locale_of(request))
        copied = Notice(
            "success", "The agent is copied", "It is off and stays silent until you switch it on."
        )
        return self.pages.redirect(f"{base_of(request)}/ai-agents/{made.id}/edit", copied)

    async def delete(self, request: Request, scope: CurrentScope, agent_id: UUID) -> Response:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await service.delete_agent(session, agent_id)
        return self.pages.redirect(f"{base_of(request)}/ai-agents", Notice("success", "The agent is deleted"))
