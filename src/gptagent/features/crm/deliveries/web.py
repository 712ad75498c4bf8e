"""The tab "Webhooks" of a connection: what the CRM has told, and what became of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.crm import service as crm
from gptagent.features.crm.deliveries import service
from gptagent.features.crm.deliveries.model import DeliveryState
from gptagent.features.crm.deliveries.words import ERRORS, KINDS, STATES
from gptagent.features.crm.frame import frame_of
from gptagent.features.crm.model import brand_of
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict
from gptagent.kernel.http import CurrentScope, QueryText
from gptagent.kernel.paging import CURSOR_MAX_CHARS
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages

PER_PAGE = 50
Cursor = Annotated[QueryText, Query(max_length=CURSOR_MAX_CHARS)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the list is shown, as its address says; a state that is none shows all."""

    state: DeliveryState | None
    kind: str
    q: str
    cursor: str

    @property
    def filters(self) -> dict[str, str]:
        named = (("state", self.state or ""), ("kind", self.kind), ("q", self.q))
        return {name: value for name, value in named if value}


def _wanted(state: QueryText = "", kind: QueryText = "", q: QueryText = "", cursor: Cursor = "") -> Wanted:
    return Wanted(next((known for known in STATES if known == state), None), kind, q, cursor)


@dataclass(frozen=True, slots=True)
class DeliveryPages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/integrations/{connection_id}/webhooks")
        router.get("")(self.list)
        router.get("/{delivery_id}")(self.show)
        router.post("/{delivery_id}/retry")(self.retry)
        return router

    async def list(
        self,
        request: Request,
        scope: CurrentScope,
        connection_id: UUID,
        wanted: Annotated[Wanted, Depends(_wanted)],
        part: QueryText = "",
    ) -> Response:
        require(scope, policy.VIEW)
        page = service.page_of_newest(PER_PAGE, wanted.cursor or None)
        async with self.db.session(scope) as session:
            context = await self._frame(request, scope, session, connection_id)
            found, after = await service.page_deliveries(
                session, connection_id, page, state=wanted.state, kind=wanted.kind or None, search=wanted.q
            )
            kinds = await service.list_kinds(session, connection_id, now=utcnow())
            counts = await service.count_deliveries(session, connection_id, now=utcnow())
            shell = None if part else await self.pages.shell(request, session)
        context |= {
            "deliveries": found,
            "older": after,
            "cursor": wanted.cursor,
            "kinds_seen": sorted({*kinds, *([wanted.kind] if wanted.kind else [])}),
            "counts": counts,
            "filters": wanted.filters,
        }
        if part:
            return self.pages.part(request, "crm/_deliveries.html", **context)
        return self.pages.show(request, "crm/deliveries.html", shell, **context)

    async def show(
        self,
        request: Request,
        scope: CurrentScope,
        connection_id: UUID,
        delivery_id: UUID,
        part: QueryText = "",
    ) -> Response:
        require(scope, policy.VIEW)
        may_see = policy.MANAGE_CONNECTIONS in scope.permissions
        async with self.db.session(scope) as session:
            context = await self._frame(request, scope, session, connection_id)
            found = await service.get_delivery(session, connection_id, delivery_id, with_payload=may_see)
            shell = None if part else await self.pages.shell(request, session)
        payload = None
        if found.payload is not None:
            payload = json.dumps(found.payload, ensure_ascii=False, indent=2)
        context |= {"delivery": found.delivery, "payload": payload, "is_withheld": found.is_withheld}
        if part:
            return self.pages.part(request, "crm/_delivery.html", **context)
        return self.pages.show(request, "crm/delivery.html", shell, **context)

    async def retry(
        self, request: Request, scope: CurrentScope, connection_id: UUID, delivery_id: UUID
    ) -> Response:
        require(scope, policy.MANAGE_CONNECTIONS)
        notice = Notice("success", "It is tried again", "The page shows what becomes of it.")
        async with self.db.session(scope) as session:
            connection = await crm.get_connection(session, connection_id)
            try:
                await service.retry_delivery(session, connection_id, delivery_id, now=utcnow())
            except Conflict as error:
                notice = Notice("warning", error.message)
        home = frame_of(request, connection)["home"]
        return self.pages.redirect(f"{home}/webhooks/{delivery_id}", notice)

    async def _frame(
        self, request: Request, scope: Scope, session: Session, connection_id: UUID
    ) -> dict[str, Any]:
        connection = await crm.get_connection(session, connection_id)
        words: Mapping[str, object] = {"kinds": KINDS, "states": STATES, "errors": ERRORS}
        return {
            **frame_of(request, connection),
            **words,
            "health": await service.get_health(session, connection_id),
            "may_edit": policy.MANAGE_CONNECTIONS in scope.permissions,
            "is_amocrm": brand_of(connection.host) == "amocrm",
        }
