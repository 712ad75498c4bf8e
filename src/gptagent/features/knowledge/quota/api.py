"""What the knowledge base takes of the plan, over REST."""

from dataclasses import dataclass

from fastapi import APIRouter

from gptagent.features.knowledge.quota import service
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope, Wire
from gptagent.kernel.rest import api_router


class UsageOut(Wire):
    """`articles_max` null: any number. Bytes are those of documents and of files that articles send."""

    articles: int
    articles_max: int | None
    storage_bytes: int
    storage_bytes_max: int


@dataclass(frozen=True, slots=True)
class UsageApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/knowledge-usage", tags=["knowledge usage"])
        router.get("", summary="Get what the knowledge base takes of the plan")(self.get)
        return router

    async def get(self, scope: CurrentScope) -> UsageOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return UsageOut.model_validate(await service.read_usage(session))
