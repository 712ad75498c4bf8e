"""Budgets over REST: what models may cost, and what they have."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from gptagent.features.inference.budgets import service
from gptagent.features.inference.budgets.model import LIMIT_MAX, Budgets, Degrade, Level, Limits, Period
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import Body, CurrentScope, Wire, example
from gptagent.kernel.rest import CurrentMatch, api_router

Limit = Annotated[int | None, Field(ge=0, le=LIMIT_MAX)]


class LimitsBody(Body):
    """US cents and tokens of a day and a month by UTC; null: any number."""

    day_cents: Limit = None
    month_cents: Limit = None
    day_tokens: Limit = None
    month_tokens: Limit = None


class BudgetsBody(Body):
    """The whole document: what is left out of a group has no limit.

    `version` refuses the change if another one came first.
    """

    model_config = example({"workspace": {"month_cents": 5000}, "contact": {}, "when_exhausted": "hand_off"})

    workspace: LimitsBody
    contact: LimitsBody
    when_exhausted: Degrade
    version: int | None = Field(None, ge=0, le=2**31 - 1)

    @property
    def budgets(self) -> Budgets:
        workspace, contact = (Limits(**one.model_dump()) for one in (self.workspace, self.contact))
        return Budgets(workspace, contact, self.when_exhausted)


class LimitsOut(Wire):
    day_cents: int | None
    month_cents: int | None
    day_tokens: int | None
    month_tokens: int | None


class UsedOut(Wire):
    """What the workspace or an agent (`id`) has used in the day or month that goes on."""

    level: Level
    id: UUID
    period: Period
    micro_usd: int
    tokens: int


class UsageOut(Wire):
    """Of the workspace and of each agent that has used something in this month; by UTC."""

    used: list[UsedOut]


class BudgetsOut(Wire):
    """`workspace` bounds all calls together, `contact` those about any one contact."""

    workspace: LimitsOut
    contact: LimitsOut
    when_exhausted: Degrade
    version: int
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class BudgetApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/budgets", tags=["budgets"])
        router.get("", summary="Get what models may cost")(self.get)
        router.put("", summary="Set what models may cost")(self.put)
        router.get("/usage", summary="Get what models have cost")(self.get_usage)
        return router

    async def get(self, scope: CurrentScope) -> BudgetsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return BudgetsOut.model_validate(asdict(await service.get_budgets(session)))

    async def put(self, scope: CurrentScope, match: CurrentMatch, body: BudgetsBody) -> BudgetsOut:
        """It counts from the next call of a model on; limits of an agent are among its settings."""
        require(scope, policy.MANAGE_WORKSPACE)
        async with self.db.session(scope) as session:
            if match:
                match.check(BudgetsOut.model_validate(asdict(await service.get_budgets(session))))
            saved = await service.set_budgets(session, body.budgets, version=body.version, now=utcnow())
        return BudgetsOut.model_validate(asdict(saved))

    async def get_usage(self, scope: CurrentScope) -> UsageOut:
        """Every call of a provider counts: of language, speech and vision models, vectors, reranking."""
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            used = await service.list_used(session, now=utcnow())
        told = [{"level": one.level, "id": one.id, "period": one.period, **asdict(one.used)} for one in used]
        return UsageOut.model_validate({"used": told})
