"""Facts about the company over REST."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from gptagent.features.knowledge.facts import service
from gptagent.features.knowledge.facts.model import PRIORITY, NewFact
from gptagent.features.knowledge.questions.asking import Askers
from gptagent.features.knowledge.staging.api import StageBody, StageKeyOut, keys_of
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import Body, CurrentScope, QueryText, Wire, example
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, api_router

_Priority = Annotated[int, Field(ge=-(2**31), lt=2**31)]


class FactBody(Body):
    """Without `agents` every agent is told it, without `stages` at every stage and in chats without a deal.

    The lower its `priority`, from 1 to 100, the earlier it is told; of equal ones the more used.
    """

    model_config = example({"content": "We make kitchens in Kazan since 2004.", "priority": 10})

    content: str
    agents: tuple[UUID, ...] = ()
    stages: tuple[StageBody, ...] = ()
    priority: _Priority = PRIORITY


class FactPatch(Body):
    """Fields left out stay as they are; `version` refuses the change if another one came first."""

    model_config = example({"content": "We make kitchens in Kazan since 2004.", "version": 1})

    content: str | None = None
    agents: tuple[UUID, ...] | None = None
    stages: tuple[StageBody, ...] | None = None
    priority: _Priority | None = None
    version: Annotated[int, Field(ge=1, lt=2**31)] | None = None


class FactOut(Wire):
    """`used` counts replies of a model that was told it.

    Neither `is_global` nor with `agents`, or neither `is_everywhere` nor with `stages`, nobody is told it:
    they are gone.
    """

    moving: ClassVar[frozenset[str]] = frozenset({"used", "used_at"})

    id: UUID
    content: str
    agents: tuple[UUID, ...]
    is_global: bool
    stages: tuple[StageKeyOut, ...]
    is_everywhere: bool
    priority: int
    used: int
    used_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime


class FactsOut(Wire):
    items: list[FactOut]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class FactsApi:
    db: Database
    askers: Askers

    def router(self) -> APIRouter:
        router = api_router("/company-facts", tags=["company facts"])
        router.get("", summary="List facts about the company")(self.list)
        router.post("", status_code=201, summary="Write a fact about the company")(self.create)
        router.get("/{company_fact_id}", summary="Get a fact about the company")(self.get)
        router.patch("/{company_fact_id}", summary="Change a fact about the company")(self.update)
        router.delete("/{company_fact_id}", status_code=204, summary="Delete a fact about the company")(
            self.delete
        )
        return router

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.FACT_ORDERS, "priority")],
        search: QueryText = "",
    ) -> FactsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_facts(session, page, search=search)
        return FactsOut(items=[FactOut.model_validate(one) for one in found], next_cursor=after)

    async def create(self, scope: CurrentScope, body: FactBody) -> FactOut:
        """A model is told it with each question from the next one on."""
        require(scope, policy.EDIT_KNOWLEDGE)
        new = NewFact(body.content, body.agents, keys_of(body.stages), body.priority)
        async with self.db.session(scope) as session:
            made = await service.create_fact(session, new, askers=self.askers, now=utcnow())
        return FactOut.model_validate(made)

    async def get(self, scope: CurrentScope, company_fact_id: UUID) -> FactOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return FactOut.model_validate(await service.get_fact(session, company_fact_id))

    async def update(
        self, scope: CurrentScope, match: CurrentMatch, company_fact_id: UUID, body: FactPatch
    ) -> FactOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        changes = body.model_dump(exclude_unset=True)
        if body.stages is not None:
            changes["stages"] = keys_of(body.stages)
        async with self.db.session(scope) as session:
            if match:
                match.check(
                    FactOut.model_validate(await service.get_fact(session, company_fact_id, lock=True))
                )
            changed = await service.update_fact(
                session, company_fact_id, changes, askers=self.askers, now=utcnow()
            )
        return FactOut.model_validate(changed)

    async def delete(self, scope: CurrentScope, match: CurrentMatch, company_fact_id: UUID) -> None:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            if match:
                match.check(
                    FactOut.model_validate(await service.get_fact(session, company_fact_id, lock=True))
                )
            await service.delete_fact(session, company_fact_id)
