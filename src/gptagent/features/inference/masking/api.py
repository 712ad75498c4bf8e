"""What providers of models are not told, over REST."""

from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter
from pydantic import Field

from gptagent.features.inference.masking import service
from gptagent.features.inference.masking.model import KINDS, Kind
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import Body, CurrentScope, Wire, example
from gptagent.kernel.rest import CurrentMatch, api_router


class MaskingBody(Body):
    """`kinds` replaces what was chosen; `version` refuses the change if another one came first."""

    model_config = example({"kinds": ["card", "iban", "passport"]})

    kinds: list[Kind] = Field(max_length=len(KINDS))
    version: int | None = Field(None, ge=0, le=2**31 - 1)


class MaskingOut(Wire):
    kinds: list[Kind]
    version: int
    updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class MaskingApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/masking", tags=["masking"])
        router.get("", summary="Get what providers of models are not told")(self.get)
        router.put("", summary="Choose what providers of models are not told")(self.put)
        return router

    async def get(self, scope: CurrentScope) -> MaskingOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return MaskingOut.model_validate(await service.get_masking(session))

    async def put(self, scope: CurrentScope, match: CurrentMatch, body: MaskingBody) -> MaskingOut:
        """It counts from the next request to a model on."""
        require(scope, policy.MANAGE_WORKSPACE)
        async with self.db.session(scope) as session:
            if match:
                match.check(MaskingOut.model_validate(await service.get_masking(session)))
            saved = await service.set_masking(session, body.kinds, version=body.version, now=utcnow())
        return MaskingOut.model_validate(saved)
