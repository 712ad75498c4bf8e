"""The mirror over REST: how the account is set up, its contacts and deals."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Depends

from gptagent.features.crm import service as crm
from gptagent.features.crm.entities import service as entities
from gptagent.features.crm.mirror import service
from gptagent.features.crm.mirror.store import Listed
from gptagent.features.crm.values import EntityKind
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope, QueryText, Wire
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import api_router

ByName = Annotated[Page, page_of(service.ORDERS, "name")]
ById = Annotated[Page, page_of(entities.ORDERS, "id")]


class StageOut(Wire):
    id: int
    name: str
    kind: str
    removed_at: datetime | None


class PipelineOut(Wire):
    id: int
    name: str
    is_main: bool
    stages: list[StageOut]
    removed_at: datetime | None


class PipelinesOut(Wire):
    items: list[PipelineOut]


class EnumOut(Wire):
    id: int
    value: str
    code: str | None


class FieldOut(Wire):
    """A field that is not `is_known` can be read and not written."""

    id: int
    entity: EntityKind
    name: str
    type: str
    code: str | None
    enums: list[EnumOut]
    is_api_only: bool
    is_known: bool
    removed_at: datetime | None


class FieldsOut(Wire):
    items: list[FieldOut]
    next_cursor: str | None


class CrmUserOut(Wire):
    id: int
    name: str
    is_active: bool
    is_admin: bool
    group_id: int | None
    removed_at: datetime | None


class CrmUsersOut(Wire):
    items: list[CrmUserOut]
    next_cursor: str | None


class TagOut(Wire):
    id: int
    entity: EntityKind
    name: str
    color: str | None
    removed_at: datetime | None


class TagsOut(Wire):
    items: list[TagOut]
    next_cursor: str | None


class SalesbotOut(Wire):
    id: int
    name: str
    is_active: bool
    removed_at: datetime | None


class SalesbotsOut(Wire):
    items: list[SalesbotOut]
    next_cursor: str | None


class ChannelOut(Wire):
    """`source_id` 0: the CRM has not numbered this channel."""

    origin: str
    source_id: int
    first_seen_at: datetime
    last_seen_at: datetime


class ChannelsOut(Wire):
    items: list[ChannelOut]
    next_cursor: str | None


class ValueOut(Wire):
    """A field's values in one line of text."""

    field_id: int
    name: str
    type: str
    text: str


class CrmTagOut(Wire):
    id: int
    name: str


class ContactOut(Wire):
    id: int
    name: str
    phones: list[str]
    emails: list[str]
    responsible_user_id: int | None
    fields: list[ValueOut]
    tags: list[CrmTagOut]
    updated_at: datetime
    removed_at: datetime | None


class ContactsOut(Wire):
    items: list[ContactOut]
    next_cursor: str | None


class LeadOut(Wire):
    id: int
    name: str | None
    price: int | None
    pipeline_id: int | None
    stage_id: int | None
    responsible_user_id: int | None
    fields: list[ValueOut]
    tags: list[CrmTagOut]
    contact_ids: list[int]
    loss_reason: str | None
    updated_at: datetime | None
    removed_at: datetime | None


class LeadsOut(Wire):
    items: list[LeadOut]
    next_cursor: str | None


async def listed_by_name(
    connection_id: UUID, page: ByName, search: QueryText = "", *, removed: bool = False
) -> Listed:
    """Read from a list's address what is wanted of it; `removed` adds what the CRM no longer has."""
    return Listed(connection_id, page, search, removed=removed)


CurrentList = Annotated[Listed, Depends(listed_by_name)]
Answer = TypeVar("Answer", bound=Wire)


@dataclass(frozen=True, slots=True)
class MirrorApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/connections/{connection_id}", tags=["connections"])
        router.get("/pipelines", summary="List pipelines and stages of the CRM account")(self.pipelines)
        router.get("/fields", summary="List custom fields of deals, contacts and companies")(self.fields)
        router.get("/users", summary="List people of the CRM account")(self.users)
        router.get("/tags", summary="List tags of the CRM account")(self.tags)
        router.get("/salesbots", summary="List salesbots of the CRM account")(self.salesbots)
        router.get("/channels", summary="List channels that chats came from")(self.channels)
        router.get("/contacts", summary="List contacts of the CRM account")(self.contacts)
        router.get("/leads", summary="List deals of the CRM account")(self.leads)
        return router

    async def pipelines(
        self, scope: CurrentScope, connection_id: UUID, *, removed: bool = False
    ) -> PipelinesOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            await crm.get_connection(session, connection_id)
            found = await service.list_pipelines(session, connection_id, removed=removed)
        return PipelinesOut(items=[PipelineOut.model_validate(one) for one in found])

    async def fields(
        self,
        scope: CurrentScope,
        listed: CurrentList,
        entity: EntityKind | None = None,
    ) -> FieldsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            await crm.get_connection(session, listed.connection_id)
            return _out(FieldsOut, FieldOut, await service.page_fields(session, listed, entity))

    async def users(self, scope: CurrentScope, listed: CurrentList) -> CrmUsersOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            await crm.get_connection(session, listed.connection_id)
            return _out(CrmUsersOut, CrmUserOut, await service.page_users(session, listed))

    async def tags(
        self,
        scope: CurrentScope,
        listed: CurrentList,
        entity: EntityKind | None = None,
    ) -> TagsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            await crm.get_connection(session, listed.connection_id)
            return _out(TagsOut, TagOut, await service.page_tags(session, listed, entity))

    async def salesbots(self, scope: CurrentScope, listed: CurrentList) -> SalesbotsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            await crm.get_connection(session, listed.connection_id)
            return _out(SalesbotsOut, SalesbotOut, await service.page_salesbots(session, listed))

    async def channels(
        self,
        scope: CurrentScope,
        connection_id: UUID,
        page: Annotated[Page, page_of(service.CHANNEL_ORDERS, "origin")],
    ) -> ChannelsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            await crm.get_connection(session, connection_id)
            return _out(ChannelsOut, ChannelOut, await service.page_channels(session, connection_id, page))

    async def contacts(
        self, scope: CurrentScope, connection_id: UUID, page: ById, search: QueryText = ""
    ) -> ContactsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            await crm.get_connection(session, connection_id)
            found = await entities.page_contacts(session, connection_id, page, search=search)
        return _out(ContactsOut, ContactOut, found)

    async def leads(
        self, scope: CurrentScope, connection_id: UUID, page: ById, search: QueryText = ""
    ) -> LeadsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            await crm.get_connection(session, connection_id)
            found = await entities.page_leads(session, connection_id, page, search=search)
        return _out(LeadsOut, LeadOut, found)


def _out(answer: type[Answer], row: type[Wire], found: tuple[Sequence[Any], str | None]) -> Answer:
    items, after = found
    return answer.model_validate({"items": [row.model_validate(one) for one in items], "next_cursor": after})
