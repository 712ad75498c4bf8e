"""The pages of administration: facts of the installation, workspaces, keys."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gptagent.features.admin import keys, service
from gptagent.features.admin.guard import confirm_href, confirmed, is_confirmed
from gptagent.features.admin.model import (
    KEY_LIVES,
    KEY_NAME_MAX_CHARS,
    PAGE_SIZE,
    REASON_MAX_CHARS,
    Installation,
)
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Invalid
from gptagent.kernel.http import CurrentScope, QueryText
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, field_errors, words

MAX_NUMBER = 2**63 - 1
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER)]
Before = Annotated[int | None, Query(ge=1, le=MAX_NUMBER)]
# What a right over the installation allows, as it is shown where a key is made.
RIGHTS = {
    policy.PLATFORM_VIEW: "See workspaces, people and the audit of the platform",
    policy.PLATFORM_MANAGE: "Suspend, appoint administrators, make keys",
}


@dataclass(frozen=True, slots=True)
class OverviewPages:
    db: Database
    pages: Pages
    installation: Installation

    def router(self) -> APIRouter:
        router = page_router("/admin")
        router.get("")(self.start)
        router.get("/dashboard")(self.show)
        return router

    async def start(self, scope: CurrentScope) -> Response:
        require(scope, policy.PLATFORM_VIEW)
        return RedirectResponse("/admin/dashboard", 303)

    async def show(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.PLATFORM_VIEW)
        async with self.db.session(scope) as session:
            figures = await service.get_figures(session)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request, "admin/dashboard.html", shell, figures=figures, installation=self.installation
        )


@dataclass(frozen=True, slots=True)
class OrganizationPages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/admin/organizations", dependencies=[Depends(confirmed)])
        router.get("")(self.list)
        router.get("/{number}")(self.detail)
        router.post("/{number}/suspend")(self.suspend)
        router.post("/{number}/resume")(self.resume)
        return router

    async def list(
        self, request: Request, scope: CurrentScope, q: QueryText = "", before: Before = None
    ) -> Response:
        require(scope, policy.PLATFORM_VIEW)
        async with self.db.session(scope) as session:
            rows = await service.list_organizations(session, q, before=before, limit=PAGE_SIZE + 1)
            shell = await self.pages.shell(request, session)
        older = rows[PAGE_SIZE - 1].number if len(rows) > PAGE_SIZE else None
        return self.pages.show(
            request, "admin/organizations.html", shell, rows=rows[:PAGE_SIZE], older=older, q=q, before=before
        )

    async def detail(self, request: Request, scope: CurrentScope, number: Number) -> Response:
        require(scope, policy.PLATFORM_VIEW)
        return await self._detail(request, scope, number)

    async def suspend(self, request: Request, scope: CurrentScope, number: Number) -> Response:
        require(scope, policy.PLATFORM_MANAGE)
        reason = words(await request.form(), "reason")
        try:
            async with self.db.session(scope) as session:
                await service.suspend_organization(session, number, reason)
        except Invalid as error:
            return await self._detail(request, scope, number, error, reason)
        return self.pages.redirect(
            f"/admin/organizations/{number}", Notice("success", "The workspace is suspended.")
        )

    async def resume(self, scope: CurrentScope, number: Number) -> Response:
        require(scope, policy.PLATFORM_MANAGE)
        async with self.db.session(scope) as session:
            await service.resume_organization(session, number)
        return self.pages.redirect(
            f"/admin/organizations/{number}", Notice("success", "The workspace works again.")
        )

    async def _detail(
        self, request: Request, scope: Scope, number: int, error: AppError | None = None, reason: str = ""
    ) -> Response:
        async with self.db.session(scope) as session:
            organization = await service.get_organization(session, number)
            members = await service.list_members(session, organization.org_id)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "admin/organization.html",
            shell,
            status=error.status if error else 200,
            organization=organization,
            members=members,
            reason=reason,
            reason_max=REASON_MAX_CHARS,
            errors=field_errors(request, error) if error else {},
            is_confirmed=is_confirmed(request),
            confirm_href=confirm_href(request),
        )


@dataclass(frozen=True, slots=True)
class KeyPages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/admin/keys", dependencies=[Depends(confirmed)])
        router.get("")(self.list)
        router.post("")(self.create)
        router.post("/{key_id}/revoke")(self.revoke)
        return router

    async def list(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.PLATFORM_VIEW)
        return await self._list(request, scope)

    async def create(self, request: Request, scope: CurrentScope) -> Response:
        """Show the key in the answer itself: it is kept nowhere, so there is nothing to be led to."""
        require(scope, policy.PLATFORM_MANAGE)
        form = await request.form()
        given = [one for one in form.getlist("scopes") if isinstance(one, str)]
        name, days = words(form, "name"), words(form, "days")
        try:
            async with self.db.session(scope) as session:
                _key_id, key = await keys.create_key(
                    session, name, given, int(days) if days in map(str, KEY_LIVES) else 0, now=utcnow()
                )
        except Invalid as error:
            return await self._list(request, scope, error=error, name=name, given=given, days=days)
        return await self._list(request, scope, key=key)

    async def revoke(self, scope: CurrentScope, key_id: UUID) -> Response:
        require(scope, policy.PLATFORM_MANAGE)
        async with self.db.session(scope) as session:
            await keys.revoke_key(session, key_id)
        return self.pages.redirect("/admin/keys", Notice("success", "The key is revoked."))

    async def _list(
        self, request: Request, scope: Scope, *, error: AppError | None = None, **context: object
    ) -> Response:
        async with self.db.session(scope) as session:
            found = await keys.list_keys(session)
            shell = await self.pages.shell(request, session)
        known: dict[str, Any] = {"key": "", "name": "", "given": [], "days": KEY_LIVES[1], **context}
        return self.pages.show(
            request,
            "admin/keys.html",
            shell,
            status=error.status if error else 200,
            keys=found,
            now=utcnow(),
            rights=[(right, RIGHTS[right]) for right in keys.SCOPES],
            lives=KEY_LIVES,
            name_max=KEY_NAME_MAX_CHARS,
            errors=field_errors(request, error) if error else {},
            is_confirmed=is_confirmed(request),
            confirm_href=confirm_href(request),
            **known,
        )
