"""Reranking over REST."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter

from gptagent.features.knowledge.ports import RerankingModel
from gptagent.features.knowledge.reranking import service
from gptagent.features.knowledge.reranking.model import Standing
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope, Wire
from gptagent.kernel.rest import api_router


class WorthOut(Wire):
    """Recall@5 and mean reciprocal rank of the same questions without the model and with it."""

    sample_size: int
    recall_before: float
    recall_after: float
    mrr_before: float
    mrr_after: float
    refused: int
    measured_at: datetime | None


class RerankingOut(Wire):
    """`model` None: none is set. `is_used`: passages are put in its order, for it was measured to help.

    `worth` None: it was not measured yet. `missed_at`: when a question was last answered without it because
    the provider did not answer in time.
    """

    model: str | None
    is_used: bool
    worth: WorthOut | None
    error_code: str | None
    missed_at: datetime | None


@dataclass(frozen=True, slots=True)
class RerankingApi:
    db: Database
    model: RerankingModel | None

    def router(self) -> APIRouter:
        router = api_router("/reranking", tags=["reranking"])
        router.get("", summary="Get what the reranking model is worth")(self.get)
        router.post("/measurements", status_code=202, summary="Measure again what reranking is worth")(
            self.measure
        )
        return router

    async def get(self, scope: CurrentScope) -> RerankingOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return _out(self.model, await service.get_standing(session, self.model))

    async def measure(self, scope: CurrentScope) -> RerankingOut:
        """The saved questions are asked, else the base's own headings and first sentences."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.measure_again(session, self.model)
            return _out(self.model, await service.get_standing(session, self.model))


def _out(model: RerankingModel | None, standing: Standing | None) -> RerankingOut:
    worth = standing.worth if standing else None
    shown = None
    if standing and worth:
        shown = WorthOut(
            sample_size=worth.sample_size,
            recall_before=worth.recall_before,
            recall_after=worth.recall_after,
            mrr_before=worth.mrr_before,
            mrr_after=worth.mrr_after,
            refused=worth.refused,
            measured_at=standing.measured_at,
        )
    return RerankingOut(
        model=model.name if model else None,
        is_used=worth is not None and worth.helps,
        worth=shown,
        error_code=standing.error_code if standing else None,
        missed_at=standing.missed_at if standing else None,
    )
