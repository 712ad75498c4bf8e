"""The page of reranking: what the model is worth here."""

from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.ports import RerankingModel
from gptagent.features.knowledge.reranking import service
from gptagent.features.knowledge.reranking.model import SAMPLE_MIN
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope
from gptagent.ui.web import Notice, Pages, base_of


@dataclass(frozen=True, slots=True)
class RerankingPages:
    """Only where a `model` is set its tab is shown."""

    db: Database
    pages: Pages
    model: RerankingModel | None

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/manage/{workspace}/knowledge-reranking")
        router.get("")(self.show)
        router.post("/measure")(self.measure)
        return router

    async def show(self, request: Request, scope: CurrentScope, part: str = "") -> Response:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            standing = await service.get_standing(session, self.model)
            counts = await knowledge.count_sources(session)
            shell = None if part else await self.pages.shell(request, session)
        context: dict[str, Any] = {
            "model": self.model,
            "standing": standing,
            "sample_min": SAMPLE_MIN,
            "counts": counts,
            "may_edit": policy.EDIT_KNOWLEDGE in scope.permissions,
        }
        if part:
            return self.pages.part(request, "knowledge/_reranking.html", **context)
        return self.pages.show(request, "knowledge/reranking.html", shell, **context)

    async def measure(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.measure_again(session, self.model)
        notice = Notice("success", "It is being measured")
        return self.pages.redirect(f"{base_of(request)}/knowledge-reranking", notice)
