"""What is done to one agent: create, switch, copy, delete. List and editor have their own files."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service
from gptagent.features.agents.presets.model import PRESETS
from gptagent.features.agents.presets.service import list_presets
from gptagent.features.agents.table import NAME_MAX_CHARS
from gptagent.features.agents.versions.web import refusal
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.http import CurrentScope, locale_of
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words


@dataclass(frozen=True, slots=True)
class AgentPages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/ai-agents")
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
        form = await request.form()
        name, chosen = words(form, "name"), words(form, "template")
        preset = next((key for key in PRESETS if key == chosen), None)
        try:
            async with self.db.session(scope) as session:
                agent = await service.create_agent(session, name, locale=locale_of(request), preset=preset)
        except (Invalid, Conflict) as error:
            return await self._create_page(request, scope, name, preset or "", error)
        made = Notice("success", "The agent is created", "It is off and stays silent until you switch it on.")
        return self.pages.redirect(f"{base_of(request)}/ai-agents/{agent.id}/edit", made)

    async def _create_page(
        self,
        request: Request,
        scope: Scope,
        name: str = "",
        template: str = "",
        error: AppError | None = None,
    ) -> Response:
        async with self.db.session(scope) as session:
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "agents/create.html",
            shell,
            status=error.status if error else 200,
            name=name,
            template=template,
            presets=list_presets(locale_of(request)),
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            name_max=NAME_MAX_CHARS,
        )

    async def switch(self, request: Request, scope: CurrentScope, agent_id: UUID) -> Response:
        """Switch at once: what an inactive agent was about to say is not sent."""
        require(scope, policy.EDIT_AGENTS)
        form = await request.form()
        is_active = words(form, "is_active") == "on"
        try:
            async with self.db.session(scope) as session:
                agent = await service.update_agent(session, agent_id, {"is_active": is_active})
        except Invalid as error:
            return self._not_switched(request, agent_id, refusal(error))
        if "hx-request" in request.headers:
            return self.pages.part(request, "agents/_switched.html", agent=agent)
        notice = Notice("success", "The agent is on" if is_active else "The agent is off")
        return self.pages.redirect(f"{base_of(request)}/ai-agents/{agent_id}/edit", notice)

    def _not_switched(self, request: Request, agent_id: UUID, notice: Notice) -> Response:
        """Say why: the plan does not allow the agent to be on as it is."""
        if "hx-request" not in request.headers:
            return self.pages.redirect(f"{base_of(request)}/ai-agents/{agent_id}/edit", notice)
        response = self.pages.part(request, "agents/_not_switched.html", why=notice.flash(locale_of(request)))
        response.status_code = 422
        return response

    async def copy(self, request: Request, scope: CurrentScope, agent_id: UUID) -> Response:
        require(scope, policy.EDIT_AGENTS)
        try:
            async with self.db.session(scope) as session:
                made = await service.copy_agent(session, agent_id, locale=locale_of(request))
        except (Conflict, Invalid) as error:
            return self.pages.redirect(f"{base_of(request)}/ai-agents", refusal(error))
        copied = Notice(
            "success", "The agent is copied", "It is off and stays silent until you switch it on."
        )
        return self.pages.redirect(f"{base_of(request)}/ai-agents/{made.id}/edit", copied)

    async def delete(self, request: Request, scope: CurrentScope, agent_id: UUID) -> Response:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await service.delete_agent(session, agent_id)
        return self.pages.redirect(f"{base_of(request)}/ai-agents", Notice("success", "The agent is deleted"))
