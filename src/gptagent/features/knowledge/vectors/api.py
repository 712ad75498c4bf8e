"""The search by meaning over REST."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from fastapi import APIRouter

from gptagent.features.knowledge.vectors import service
from gptagent.features.knowledge.vectors.model import Standing, State, VectorIndex
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope, Wire
from gptagent.kernel.rest import api_router


class BenefitOut(Wire):
    """Recall@5 and mean reciprocal rank of the same questions by words alone, and by words and meaning."""

    sample_size: int
    recall_words: float
    recall_both: float
    mrr_words: float
    mrr_both: float
    weight: float
    measured_at: datetime | None


class VectorsOut(Wire):
    """`model` None: no provider is set. `is_used`: questions are put to it, for it was measured to help.

    `serving_model` serves until all is embedded by another `model`. `missed_at`: when a question was last
    answered without it because the provider did not answer in time. `tokens` are the provider's count.
    """

    model: str | None
    serving_model: str | None
    state: State | Literal["off"]
    is_used: bool
    embedded: int
    passages: int
    tokens: int
    error_code: str | None
    benefit: BenefitOut | None
    missed_at: datetime | None


@dataclass(frozen=True, slots=True)
class VectorsApi:
    """`model` is the name of the embedding model that is set, if one is."""

    db: Database
    model: str | None

    def router(self) -> APIRouter:
        router = api_router("/meaning", tags=["search by meaning"])
        router.get("", summary="Get how far the search by meaning is, and what it is worth")(self.get)
        router.post("/measurements", status_code=202, summary="Measure again what it is worth")(self.measure)
        return router

    async def get(self, scope: CurrentScope) -> VectorsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            standing = await service.get_standing(session)
        return _out(standing, self.model)

    async def measure(self, scope: CurrentScope) -> VectorsOut:
        """The saved questions are asked, else the base's own headings and first sentences."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.measure_again(session, is_set=self.model is not None)
            standing = await service.get_standing(session)
        return _out(standing, self.model)


def _out(standing: Standing, model: str | None) -> VectorsOut:
    index, worked_at = standing.shown, standing.worked_at
    return VectorsOut(
        model=model,
        serving_model=standing.serving.model.name if model and standing.serving else None,
        state=standing.state if model else "off",
        is_used=model is not None and standing.is_used,
        embedded=standing.progress.embedded,
        passages=standing.progress.chunks,
        tokens=sum(one.tokens for one in (standing.serving, standing.following) if one),
        error_code=worked_at.error_code if worked_at else None,
        benefit=_benefit(index) if index else None,
        missed_at=index.missed_at if index else None,
    )


def _benefit(index: VectorIndex) -> BenefitOut | None:
    if index.benefit is None:
        return None
    one = index.benefit
    return BenefitOut(
        sample_size=one.sample_size,
        recall_words=one.recall_words,
        recall_both=one.recall_both,
        mrr_words=one.mrr_words,
        mrr_both=one.mrr_both,
        weight=one.weight,
        measured_at=index.measured_at,
    )
