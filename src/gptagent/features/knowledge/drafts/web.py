"""The pages of proposed articles: a list, and each beside the talk it was made of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge.articles.model import CONTENT_MAX_CHARS, TITLE_MAX_CHARS
from gptagent.features.knowledge.drafts import service
from gptagent.features.knowledge.drafts.model import STATUSES, Decision, Status
from gptagent.features.knowledge.listing import SIZE_OPTIONS, Listing
from gptagent.features.knowledge.staging.model import stages_of
from gptagent.features.knowledge.staging.service import stage_choices
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.kernel.text import render_markdown
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

LIMITS = {"title": TITLE_MAX_CHARS, "content": CONTENT_MAX_CHARS}


@dataclass(frozen=True, slots=True)
class DraftPages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/knowledge-drafts")
        router.get("")(self.list)
        router.get("/{draft_id}")(self.show)
        router.post("/{draft_id}/accept")(self.accept)
        router.post("/{draft_id}/reject")(self.reject)
        return router

    async def list(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.VIEW)
        listing = Listing.read(request.query_params, ("status",), ())
        status: Status = next((one for one in STATUSES if one == listing.get("status")), "proposed")
        async with self.db.session(scope) as session:
            numbers = await service.count_drafts(session)
            drafts = await service.find_drafts(session, status, limit=listing.size, offset=listing.offset)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "knowledge/drafts.html",
            shell,
            drafts=drafts,
            total=numbers[status],
            numbers=numbers,
            waiting_drafts=numbers["proposed"],
            listing=listing,
            sizes=SIZE_OPTIONS,
            status_shown=status,
        )

    async def show(self, request: Request, scope: CurrentScope, draft_id: UUID) -> Response:
        require(scope, policy.VIEW)
        return await self._page(request, scope, draft_id)

    async def accept(self, request: Request, scope: CurrentScope, draft_id: UUID) -> Response:
        """Make the article and show it, unless its text is none yet."""
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        typed: dict[str, Any] = {
            "title": words(form, "title"),
            "content": words(form, "content").replace("\r\n", "\n"),
            "is_active": words(form, "is_active") == "on",
            "stages": tuple(one for one in form.getlist("stages") if isinstance(one, str)),
        }
        if "preview" in form:
            return await self._page(request, scope, draft_id, typed)
        try:
            decision = Decision(**{**typed, "stages": stages_of(typed["stages"])})
            async with self.db.session(scope) as session:
                draft = await service.accept(session, draft_id, decision, now=utcnow())
        except (Invalid, Conflict) as error:
            return await self._page(request, scope, draft_id, typed, error)
        done = Notice("success", "The article is saved", "Agents can answer from it now.")
        if not decision.is_active:
            done = Notice("success", "The article is saved")
        return self.pages.redirect(f"{base_of(request)}/knowledge-items/{draft.article_id}/edit", done)

    async def reject(self, request: Request, scope: CurrentScope, draft_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        try:
            async with self.db.session(scope) as session:
                await service.reject(session, draft_id, now=utcnow())
        except Conflict as error:
            return await self._page(request, scope, draft_id, error=error)
        done = Notice("success", "The article is rejected", "It is not proposed again.")
        return self.pages.redirect(f"{base_of(request)}/knowledge-drafts", done)

    async def _page(
        self,
        request: Request,
        scope: Scope,
        draft_id: UUID,
        typed: Mapping[str, object] | None = None,
        error: AppError | None = None,
    ) -> Response:
        async with self.db.session(scope) as session:
            draft = await service.get_draft(session, draft_id)
            stages = await stage_choices(session)
            shell = await self.pages.shell(request, session)
        proposed = {"title": draft.title, "content": draft.content, "is_active": True}
        values = typed or {**proposed, "stages": tuple(map(str, draft.stages))}
        return self.pages.show(
            request,
            "knowledge/draft.html",
            shell,
            status=error.status if error else 200,
            draft=draft,
            values=values,
            stages=stages,
            preview=render_markdown(str(values["content"])),
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            limits=LIMITS,
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
        )
