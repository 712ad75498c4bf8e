"""The page of contradictions and stale facts."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.checks import service
from gptagent.features.knowledge.checks.model import SHOWN, Shown
from gptagent.features.knowledge.listing import SIZE_OPTIONS, Listing
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.routing import page_router
from gptagent.ui.web import Notice, Pages, base_of, words


@dataclass(frozen=True, slots=True)
class CheckPages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/knowledge-checks")
        router.get("")(self.list)
        router.post("")(self.start)
        router.post("/findings/{finding_id}/dismiss")(self.dismiss)
        router.post("/findings/{finding_id}/restore")(self.restore)
        return router

    async def list(self, request: Request, scope: CurrentScope, part: str = "") -> Response:
        """Show what was found; `part` is what changes while a check goes on."""
        require(scope, policy.VIEW)
        listing = Listing.read(request.query_params, ("shown",), ())
        shown: Shown = next((one for one in SHOWN if one == listing.get("shown")), "contradictions")
        async with self.db.session(scope) as session:
            found, total = await service.find_findings(
                session, shown, limit=listing.size, offset=listing.offset
            )
            context: dict[str, Any] = {
                "findings": found,
                "total": total,
                "listing": listing,
                "sizes": SIZE_OPTIONS,
                "shown": shown,
                "numbers": await service.count_findings(session),
                "check": await service.get_check(session),
                "counts": await knowledge.count_sources(session),
                "may_edit": policy.EDIT_KNOWLEDGE in scope.permissions,
            }
            shell = None if part else await self.pages.shell(request, session)
        if part:
            return self.pages.part(request, "knowledge/_checks.html", **context)
        return self.pages.show(request, "knowledge/checks.html", shell, **context)

    async def start(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.request_check(session, now=utcnow())
        begun = Notice("success", "The check has begun", "The page shows how far it is.")
        return self.pages.redirect(f"{base_of(request)}/knowledge-checks", begun)

    async def dismiss(self, request: Request, scope: CurrentScope, finding_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.dismiss(session, finding_id)
        gone = Notice("success", "It is put away", "It comes back when one of the sentences changes.")
        return await self._back(request, gone)

    async def restore(self, request: Request, scope: CurrentScope, finding_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.restore(session, finding_id)
        return await self._back(request, Notice("success", "It is shown again"))

    async def _back(self, request: Request, notice: Notice) -> Response:
        shown = words(await request.form(), "shown")
        kept = f"?shown={shown}" if shown in SHOWN else ""
        return self.pages.redirect(f"{base_of(request)}/knowledge-checks{kept}", notice)
