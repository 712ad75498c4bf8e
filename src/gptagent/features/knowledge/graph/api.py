"""The graph over REST."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, ClassVar
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from gptagent.features.knowledge.extraction import service as reading
from gptagent.features.knowledge.graph import service
from gptagent.features.knowledge.graph.model import (
    DAILY_TOKENS_MAX,
    Card,
    EntityType,
    FactText,
    Progress,
    RelationKind,
)
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.http import Body, CurrentScope, QueryText, Wire, example, locale_of
from gptagent.kernel.i18n import translate
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, Match, api_router

Version = Annotated[int | None, Field(ge=1, le=2**31 - 1)]


class FailedSourceOut(Wire):
    kind: str
    id: UUID
    title: str
    passages: int
    error_code: str
    failure: str


class GraphOut(Wire):
    """Entities by type; passages by how far their reading is; what the model has used, and may use in a day.

    `read_by_model` counts passages that a model has read; patterns read the others.
    """

    moving: ClassVar[frozenset[str]] = frozenset(
        {
            "types", "done", "waiting", "failed", "read_by_model", "calls", "tokens_in", "tokens_out",
            "tokens_today", "failures",
        }
    )  # fmt: skip

    types: dict[str, int]
    done: int
    waiting: int
    failed: int
    read_by_model: int
    calls: int
    tokens_in: int
    tokens_out: int
    tokens_today: int
    daily_tokens: int
    failures: list[FailedSourceOut]


class GraphPatch(Body):
    model_config = example({"daily_tokens": 500_000})

    daily_tokens: Annotated[int, Field(ge=0, le=DAILY_TOKENS_MAX)]


class ReadingBody(Body):
    """`failed_only` reads again only what failed."""

    model_config = example({"failed_only": True})

    failed_only: bool


class ReadingOut(Wire):
    sources: int


class EntityOut(Wire):
    id: UUID
    type: EntityType
    name: str
    confidence: float
    is_corrected: bool
    version: int
    facts: int
    relations: int
    sources: int
    created_at: datetime
    updated_at: datetime


class EntitiesOut(Wire):
    items: list[EntityOut]
    next_cursor: str | None


class FactOut(Wire):
    id: UUID
    attribute: str
    value: str
    valid_from: date | None
    valid_until: date | None
    is_corrected: bool
    sources: int


class RelationOut(Wire):
    """`is_outgoing`: the kind is said of this entity; else of the other one."""

    id: UUID
    kind: RelationKind
    is_outgoing: bool
    other_id: UUID
    other_name: str
    other_type: EntityType


class OriginOut(Wire):
    """A passage that names the entity. `version` is of the article or document."""

    chunk_id: int
    source_kind: str
    source_id: UUID
    source_title: str
    version: int
    heading: str
    page: int | None
    written_as: str


class CardOut(Wire):
    """An entity with all that is known of it; `origins` are up to 50 passages."""

    entity: EntityOut
    aliases: list[str]
    facts: list[FactOut]
    relations: list[RelationOut]
    origins: list[OriginOut]


class EntityPatch(Body):
    """Fields left out stay; `version` refuses the change if another one came first."""

    model_config = example({"name": "Acme Ltd", "type": "organization"})

    name: str | None = None
    type: EntityType | None = None
    version: Version = None


class MergeBody(Body):
    """The entity that goes: all it has becomes the other's."""

    model_config = example({"other_id": "0190a1b2-0000-7000-8000-000000000001"})

    other_id: UUID


class FactBody(Body):
    model_config = example({"attribute": "price", "value": "490 roubles", "valid_until": "2026-12-31"})

    attribute: str
    value: str
    valid_from: date | None = None
    valid_until: date | None = None

    def text(self) -> FactText:
        return FactText(self.attribute, self.value, self.valid_from, self.valid_until)


@dataclass(frozen=True, slots=True)
class GraphApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/graph", tags=["graph"])
        router.get("", summary="Get how far the graph is")(self.status)
        router.patch("", summary="Set what a day's reading may use")(self.configure)
        router.post("/readings", status_code=202, summary="Read passages again")(self.read)
        router.get("/entities", summary="List entities")(self.list)
        one = "/entities/{entity_id}"
        router.get(one, summary="Get an entity")(self.get)
        router.patch(one, summary="Rename an entity or change its type")(self.update)
        router.delete(one, status_code=204, summary="Delete an entity")(self.delete)
        router.post(f"{one}/merge", summary="Make one entity of two")(self.merge)
        router.post(f"{one}/facts", status_code=201, summary="Add a fact")(self.add_fact)
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
        calls=progress.calls,
        tokens_in=progress.tokens_in,
        tokens_out=progress.tokens_out,
        tokens_today=progress.tokens_today,
        daily_tokens=progress.daily_tokens,
        failures=failures,
    )


def _card(card: Card) -> CardOut:
    return CardOut.model_validate(card)
