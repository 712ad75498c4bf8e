"""The page of a model that is used where it measurably helps: how far it is, and what it is worth here."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.ports import RerankingModel
from gptagent.features.knowledge.reranking import model as worth
from gptagent.features.knowledge.reranking import service as reranking
from gptagent.features.knowledge.vectors import model as benefit
from gptagent.features.knowledge.vectors import service as vectors
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.routing import page_router
from gptagent.ui.web import Notice, Pages, base_of


@dataclass(frozen=True, slots=True)
class Measured:
    """A model and its verbs. `name` is that of its address and of its templates; the tab is shown only where
    a `model` is set. `measure` raises NotFound if none is, and Conflict if it has to be waited for.
    """

    name: Literal["meaning", "reranking"]
    model: str | RerankingModel | None
    sample_min: int
    standing: Callable[[Session], Awaitable[object]]
    measure: Callable[[Session], Awaitable[None]]


def by_meaning(model: str | None) -> Measured:
    """The search by meaning; `model` is the name of the embedding model that is set, if one is."""

    async def measure(session: Session) -> None:
        await vectors.measure_again(session, is_set=model is not None)

    return Measured("meaning", model, benefit.SAMPLE_MIN, vectors.get_standing, measure)


def by_reranking(model: RerankingModel | None) -> Measured:
    """The order of passages."""

    async def standing(session: Session) -> worth.Standing | None:
        return await reranking.get_standing(session, model)

    async def measure(session: Session) -> None:
        await reranking.measure_again(session, model)

    return Measured("reranking", model, worth.SAMPLE_MIN, standing, measure)


@dataclass(frozen=True, slots=True)
class MeasuredPages:
    db: Database
    pages: Pages
    of: Measured

    def router(self) -> APIRouter:
        router = page_router(f"/manage/{{workspace}}/knowledge-{self.of.name}")
        router.get("")(self.show)
        router.post("/measure")(self.measure)
        return router

    async def show(self, request: Request, scope: CurrentScope, part: str = "") -> Response:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            standing = await self.of.standing(session)
            counts = await knowledge.count_sources(session)
            shell = None if part else await self.pages.shell(request, session)
        context: dict[str, Any] = {
            "model": self.of.model,
            "standing": standing,
            "sample_min": self.of.sample_min,
            "counts": counts,
            "may_edit": policy.EDIT_KNOWLEDGE in scope.permissions,
        }
        if part:
            return self.pages.part(request, f"knowledge/_{self.of.name}.html", **context)
        return self.pages.show(request, f"knowledge/{self.of.name}.html", shell, **context)

    async def measure(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        notice = Notice("success", "It is being measured")
        try:
            async with self.db.session(scope) as session:
                await self.of.measure(session)
        except Conflict as error:
            notice = Notice("warning", error.message)
        return self.pages.redirect(f"{base_of(request)}/knowledge-{self.of.name}", notice)
