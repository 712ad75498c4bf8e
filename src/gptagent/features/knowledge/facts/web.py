"""The page of facts about the company."""

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.facts import service
from gptagent.features.knowledge.facts.model import FACTS_MAX_CHARS
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words


@dataclass(frozen=True, slots=True)
class FactsPages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/manage/{workspace}/knowledge-facts")
        router.get("")(self.show)
        router.post("")(self.save)
        return router

    async def show(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.VIEW)
        return await self._page(request, scope)

    async def save(self, request: Request, scope: CurrentScope) -> Response:
        """Save, unless somebody else saved meanwhile: then what was typed stays and the page says so."""
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        typed, number = words(form, "content"), words(form, "version")
        version = int(number) if number.isdecimal() and len(number) < 10 else None
        try:
            async with self.db.session(scope) as session:
                await service.write_facts(session, typed, version=version, now=utcnow())
        except (Invalid, Conflict) as error:
            return await self._page(request, scope, typed, error)
        return self.pages.redirect(f"{base_of(request)}/knowledge-facts", Notice("success", "Saved"))

    async def _page(
        self, request: Request, scope: Scope, typed: str | None = None, error: AppError | None = None
    ) -> Response:
        async with self.db.session(scope) as session:
            facts = await service.get_facts(session)
            counts = await knowledge.count_sources(session)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "knowledge/facts.html",
            shell,
            status=error.status if error else 200,
            facts=facts,
            typed=facts.content if typed is None else typed,
            counts=counts,
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            limit=FACTS_MAX_CHARS,
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
        )
