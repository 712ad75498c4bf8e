"""Facts about the company over REST."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter
from pydantic import Field

from gptagent.features.knowledge.facts import service
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import Body, CurrentScope, Wire, example
from gptagent.kernel.rest import CurrentMatch, api_router


class FactsBody(Body):
    """`version` refuses the change if another one came first."""

    model_config = example({"content": "We make kitchens in Kazan since 2004."})

    content: str
    version: int | None = Field(None, ge=0, le=2**31 - 1)


class FactsOut(Wire):
    content: str
    version: int
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class FactsApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/company-facts", tags=["company facts"])
        router.get("", summary="Get what agents know of the company")(self.get)
        router.put("", summary="Write what agents know of the company")(self.put)
        return router

    async def get(self, scope: CurrentScope) -> FactsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return FactsOut.model_validate(await service.get_facts(session))

    async def put(self, scope: CurrentScope, match: CurrentMatch, body: FactsBody) -> FactsOut:
        """A model reads it with every question; an empty text takes it away."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            if match:
                match.check(FactsOut.model_validate(await service.get_facts(session)))
            saved = await service.write_facts(session, body.content, version=body.version, now=utcnow())
        return FactsOut.model_validate(saved)
