"""The graph over REST."""

from dataclasses import asdict, dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request

from gptagent.features.knowledge.extraction import service as reading
from gptagent.features.knowledge.graph import service
from gptagent.features.knowledge.graph.model import Card, EntityType, Progress
from gptagent.features.knowledge.graph.wire import (
    AliasBody,
    CardOut,
    EntitiesOut,
    EntityOut,
    EntityPatch,
    FactBody,
    FactOut,
    FactsOut,
    FailedSourceOut,
    GraphOut,
    GraphPatch,
    GraphUseOut,
    MergeBody,
    ReadingBody,
    ReadingOut,
    RelationBody,
    RelationOut,
    RelationsOut,
)
from gptagent.features.knowledge.naming import service as naming
from gptagent.features.knowledge.naming.benefit import Benefit, GraphUse
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.http import CurrentScope, QueryText, locale_of
from gptagent.kernel.i18n import translate
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, Match, api_router


@dataclass(frozen=True, slots=True)
class GraphApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/graph", tags=["graph"])
        router.get("", summary="Get how far the graph is")(self.status)
        router.patch("", summary="Set what a day's reading may use")(self.configure)
        router.post("/readings", status_code=202, summary="Read passages again")(self.read)
        router.post("/measurements", status_code=202, summary="Measure again what the graph adds")(
            self.measure
        )
        router.get("/entities", summary="List entities")(self.list)
        one = "/entities/{entity_id}"
        router.get(one, summary="Get an entity")(self.get)
        router.patch(one, summary="Rename an entity or change its type")(self.update)
        router.delete(one, status_code=204, summary="Delete an entity")(self.delete)
        router.post(f"{one}/merge", summary="Make one entity of two")(self.merge)
        router.post(f"{one}/aliases/removal", summary="Take a name off an entity")(self.delete_alias)
        router.post(f"{one}/facts", status_code=201, summary="Add a fact")(self.add_fact)
        router.get(f"{one}/facts", summary="List facts of an entity")(self.facts)
        router.get(f"{one}/relations", summary="List relations of an entity")(self.relations)
        router.post(f"{one}/relations", status_code=201, summary="Add a relation")(self.add_relation)
        router.delete(f"{one}/relations/{{relation_id}}", status_code=204, summary="Delete a relation")(
            self.delete_relation
        )
        router.put(f"{one}/facts/{{fact_id}}", summary="Correct a fact")(self.change_fact)
        router.delete(f"{one}/facts/{{fact_id}}", status_code=204, summary="Delete a fact")(self.delete_fact)
        return router

    async def status(self, request: Request, scope: CurrentScope) -> GraphOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return await _status(session, request)

    async def configure(
        self, request: Request, scope: CurrentScope, match: CurrentMatch, body: GraphPatch
    ) -> GraphOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            if match:
                match.check(await _status(session, request))
            await reading.set_budget(session, body.daily_tokens)
            return await _status(session, request)

    async def read(self, scope: CurrentScope, body: ReadingBody) -> ReadingOut:
        """Queue every article and document again; what people have corrected stays."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            found = await reading.read_anew(session, now=utcnow(), failed_only=body.failed_only)
        return ReadingOut(sources=found)

    async def measure(self, request: Request, scope: CurrentScope) -> GraphOut:
        """The saved questions are asked, else the base's own headings and first sentences."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await naming.measure_again(session, now=utcnow())
            return await _status(session, request)

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.ENTITY_ORDERS, "name")],
        search: QueryText = "",
        type: EntityType | None = None,  # noqa: A002 - what the address calls it
    ) -> EntitiesOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_entities(session, page, search=search, kind=type)
        return EntitiesOut(items=[EntityOut.model_validate(one) for one in found], next_cursor=after)

    async def get(self, scope: CurrentScope, entity_id: UUID) -> CardOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return CardOut.model_validate(await service.get_card(session, entity_id))

    async def facts(
        self,
        scope: CurrentScope,
        entity_id: UUID,
        page: Annotated[Page, page_of(service.FACT_ORDERS, "attribute")],
    ) -> FactsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_facts(session, entity_id, page)
        return FactsOut(items=[FactOut.model_validate(one) for one in found], next_cursor=after)

    async def relations(
        self,
        scope: CurrentScope,
        entity_id: UUID,
        page: Annotated[Page, page_of(service.RELATION_ORDERS, "name")],
    ) -> RelationsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_relations(session, entity_id, page)
        return RelationsOut(items=[RelationOut.model_validate(one) for one in found], next_cursor=after)

    async def update(
        self, scope: CurrentScope, match: CurrentMatch, entity_id: UUID, body: EntityPatch
    ) -> CardOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await _check(session, match, entity_id)
            changed = await service.change_entity(
                session, entity_id, name=body.name, kind=body.type, version=body.version, now=utcnow()
            )
        return CardOut.model_validate(changed)

    async def delete(self, scope: CurrentScope, match: CurrentMatch, entity_id: UUID) -> None:
        """It is not read again; the passages that name it stay."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await _check(session, match, entity_id)
            await service.delete_entity(session, entity_id)

    async def merge(self, scope: CurrentScope, entity_id: UUID, body: MergeBody) -> CardOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return _card(await service.merge_entities(session, entity_id, body.other_id, now=utcnow()))

    async def delete_alias(self, scope: CurrentScope, entity_id: UUID, body: AliasBody) -> CardOut:
        """It is not read as a name of this entity again. The name by which it is shown stays."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return _card(await service.delete_alias(session, entity_id, body.name, now=utcnow()))

    async def add_fact(self, scope: CurrentScope, entity_id: UUID, body: FactBody) -> CardOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return _card(await service.add_fact(session, entity_id, body.text(), now=utcnow()))

    async def change_fact(
        self, scope: CurrentScope, entity_id: UUID, fact_id: UUID, body: FactBody
    ) -> CardOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return _card(await service.change_fact(session, entity_id, fact_id, body.text(), now=utcnow()))

    async def delete_fact(self, scope: CurrentScope, entity_id: UUID, fact_id: UUID) -> None:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.delete_fact(session, entity_id, fact_id, now=utcnow())

    async def add_relation(self, scope: CurrentScope, entity_id: UUID, body: RelationBody) -> CardOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            card = await service.add_relation(session, entity_id, body.kind, body.other_id, now=utcnow())
        return _card(card)

    async def delete_relation(self, scope: CurrentScope, entity_id: UUID, relation_id: UUID) -> None:
        """It is not read again; the passages that say it stay."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.delete_relation(session, entity_id, relation_id, now=utcnow())


async def _check(session: Session, match: Match, entity_id: UUID) -> None:
    if match:
        match.check(_card(await service.get_card(session, entity_id)))


async def _status(session: Session, request: Request) -> GraphOut:
    progress: Progress = await reading.get_progress(session, now=utcnow())
    locale = locale_of(request)
    failures = [
        FailedSourceOut(
            kind=one.kind,
            id=one.id,
            title=one.title,
            passages=one.passages,
            error_code=one.error_code,
            failure=translate(locale, one.failure),
        )
        for one in progress.failures
    ]
    return GraphOut(
        types=await service.count_types(session),
        done=progress.done,
        waiting=progress.waiting,
        failed=progress.failed,
        read_by_model=progress.by_model,
        unpaid=progress.unpaid,
        calls=progress.calls,
        tokens_in=progress.tokens_in,
        tokens_out=progress.tokens_out,
        tokens_today=progress.tokens_today,
        cost_micro_usd=progress.cost_micro_usd,
        daily_tokens=progress.daily_tokens,
        failures=failures,
        use=_use(await naming.get_use(session)),
    )


def _use(use: GraphUse) -> GraphUseOut:
    one = use.benefit or Benefit(False, 0, 0, 0.0, 0.0, 0.0, 0.0)
    return GraphUseOut(
        **asdict(one), is_queued=use.is_queued, measured_at=use.measured_at, failed_at=use.failed_at
    )


def _card(card: Card) -> CardOut:
    return CardOut.model_validate(card)
