"""Deliveries of a connection over REST: what came, what became of it, and once more."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from gptagent.features.crm import service as crm
from gptagent.features.crm.deliveries import service
from gptagent.features.crm.deliveries.model import DeliverySource, DeliveryState
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope, QueryText, Wire
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import api_router

Kind = Annotated[QueryText, Query(max_length=80, description="Like `message[add]`.")]
Search = Annotated[
    QueryText,
    Query(max_length=100, description="An id of a delivery, message, chat, deal or contact, of the latest."),
]


@dataclass(frozen=True, slots=True)
class Wanted:
    state: DeliveryState | None
    kind: str | None
    search: str


def _wanted(state: DeliveryState | None = None, kind: Kind = "", search: Search = "") -> Wanted:
    return Wanted(state, kind or None, search)


class DeliveryOut(Wire):
    id: UUID
    connection_id: UUID
    source: DeliverySource
    kind: str
    state: DeliveryState
    attempts: int
    error: str | None
    received_at: datetime
    processed_at: datetime | None
    retry_at: datetime | None


class DeliveriesOut(Wire):
    items: list[DeliveryOut]
    next_cursor: str | None


class PayloadOut(Wire):
    """What came, as the CRM sent it; null where it was not kept."""

    payload: dict[str, Any] | None


class WebhookOut(Wire):
    """Whether the CRM still reports to us; the counts are of the last 24 hours."""

    state: Literal["unknown", "subscribed", "refused"]
    error: str | None
    codes: list[str]
    checked_at: datetime | None
    restored_at: datetime | None
    last_delivery_at: datetime | None
    failed_at: datetime | None
    deliveries: int
    ok: int
    waiting: int
    failed: int


@dataclass(frozen=True, slots=True)
class DeliveriesApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/connections/{connection_id}", tags=["connections"])
        router.get("/webhook", summary="Get the health of a connection's webhook")(self.health)
        router.get("/deliveries", summary="List what the CRM has told")(self.list_deliveries)
        router.get("/deliveries/{delivery_id}", summary="Get a delivery")(self.get_delivery)
        router.get("/deliveries/{delivery_id}/payload", summary="Get a delivery's content")(self.payload)
        router.post("/deliveries/{delivery_id}/retry", summary="Try a failed delivery again")(self.retry)
        return router

    async def health(self, scope: CurrentScope, connection_id: UUID) -> WebhookOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            health = await service.get_health(session, connection_id)
            counts = await service.count_deliveries(session, connection_id, now=utcnow())
        return WebhookOut(
            state=health.state,
            error=health.error,
            codes=list(health.codes),
            checked_at=health.checked_at,
            restored_at=health.restored_at,
            last_delivery_at=health.last_delivery_at,
            failed_at=health.failed_at,
            deliveries=counts.all,
            ok=counts.ok,
            waiting=counts.waiting,
            failed=counts.failed,
        )

    async def list_deliveries(
        self,
        scope: CurrentScope,
        connection_id: UUID,
        page: Annotated[Page, page_of(service.ORDERS, "-created_at")],
        wanted: Annotated[Wanted, Depends(_wanted)],
    ) -> DeliveriesOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            await crm.get_connection(session, connection_id)
            found, after = await service.page_deliveries(
                session, connection_id, page, state=wanted.state, kind=wanted.kind, search=wanted.search
            )
        return DeliveriesOut(items=[DeliveryOut.model_validate(one) for one in found], next_cursor=after)

    async def get_delivery(self, scope: CurrentScope, connection_id: UUID, delivery_id: UUID) -> DeliveryOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found = await service.get_delivery(session, connection_id, delivery_id, with_payload=False)
        return DeliveryOut.model_validate(found.delivery)

    async def payload(self, scope: CurrentScope, connection_id: UUID, delivery_id: UUID) -> PayloadOut:
        require(scope, policy.MANAGE_CONNECTIONS)  # it names customers
        async with self.db.session(scope) as session:
            found = await service.get_delivery(session, connection_id, delivery_id, with_payload=True)
        return PayloadOut(payload=None if found.payload is None else dict(found.payload))

    async def retry(self, scope: CurrentScope, connection_id: UUID, delivery_id: UUID) -> DeliveryOut:
        require(scope, policy.MANAGE_CONNECTIONS)
        async with self.db.session(scope) as session:
            again = await service.retry_delivery(session, connection_id, delivery_id, now=utcnow())
        return DeliveryOut.model_validate(again)
