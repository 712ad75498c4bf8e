"""Connections over REST, and the door the CRM's webhooks come in by."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import SecretStr
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gptagent.features.crm import service
from gptagent.features.crm.model import ConnectionStatus
from gptagent.features.crm.ports import CrmPort
from gptagent.features.crm.service import ConnectCrm
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel import observe
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, TooLarge
from gptagent.kernel.events import Subscribers
from gptagent.kernel.http import Body, CurrentScope, PatternRoute, Wire, client_address, example
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, api_router
from gptagent.kernel.scope import Actor, Scope

WEBHOOK_MAX_BYTES = 1_000_000
# What the vendor is told instead: another account's address is no address, what cannot be read is malformed.
_ANSWERS = {403: 404, 422: 400}


class ConnectBody(Body):
    model_config = example({"address": "company.kommo.com", "token": "eyJ0eXAi..."})

    address: str
    token: SecretStr


class ConnectionOut(Wire):
    id: UUID
    provider: str
    host: str
    account_id: int
    name: str
    status: str
    status_reason: str | None
    can_send_messages: bool
    last_webhook_at: datetime | None
    synced_at: datetime | None
    created_at: datetime


class ConnectionsOut(Wire):
    items: list[ConnectionOut]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ConnectionsApi:
    db: Database
    crm: CrmPort
    vault: Vault
    public_url: str

    def router(self) -> APIRouter:
        router = api_router("/connections", tags=["connections"])
        router.get("", summary="List connected CRM accounts")(self.list)
        router.post("", status_code=201, summary="Connect a CRM account or renew its token")(self.create)
        router.get("/{connection_id}", summary="Get a connection")(self.get)
        router.delete("/{connection_id}", status_code=204, summary="Disconnect a CRM account")(self.delete)
        return router

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.ORDERS, "created_at")],
        status: ConnectionStatus | None = None,
    ) -> ConnectionsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_connections(session, page, status=status)
        return ConnectionsOut(items=[ConnectionOut.model_validate(item) for item in found], next_cursor=after)

    async def create(self, scope: CurrentScope, body: ConnectBody) -> ConnectionOut:
        require(scope, policy.MANAGE_CONNECTIONS)
        command = ConnectCrm(body.address, body.token.get_secret_value())
        made = await service.connect_crm(
            self.db, scope, command, crm=self.crm, vault=self.vault, public_url=self.public_url
        )
        return ConnectionOut.model_validate(made)

    async def get(self, scope: CurrentScope, connection_id: UUID) -> ConnectionOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return ConnectionOut.model_validate(await service.get_connection(session, connection_id))

    async def delete(self, scope: CurrentScope, match: CurrentMatch, connection_id: UUID) -> None:
        require(scope, policy.MANAGE_CONNECTIONS)
        async with self.db.session(scope) as session:  # before anything is done at the CRM
            current = await service.get_connection(session, connection_id)
            if match:
                match.check(ConnectionOut.model_validate(current))
        await service.unhook_crm(
            self.db, scope, connection_id, crm=self.crm, vault=self.vault, public_url=self.public_url
        )
        async with self.db.session(scope) as session:
            await service.disconnect_crm(session, connection_id)


@dataclass(frozen=True, slots=True)
class WebhookDoor:
    """Verify, store, acknowledge - in one transaction and within milliseconds. Nothing is called out."""

    db: Database
    crm: CrmPort
    subscribers: Subscribers
    networks: tuple[IPv4Network | IPv6Network, ...] = ()  # empty: from anywhere

    def route(self) -> Route:
        # Kommo's settings page checks the address with GET; some accounts insist on the trailing slash.
        return PatternRoute("/hooks/kommo/{secret}{slash:path}", self.receive, methods=["GET", "POST"])

    async def receive(self, request: Request) -> Response:
        """200 stored · 400 malformed · 404 unknown or not from there · 503 not stored, send it again."""
        if not is_from_there(request, self.networks):
            observe.WEBHOOKS.labels("refused").inc()
            return Response(status_code=404)
        async with self.db.installation() as session:
            hook = await service.find_hook(session, request.path_params["secret"])
        if hook is None:
            observe.WEBHOOKS.labels("unknown").inc()
            return Response(status_code=404)
        if request.method == "GET":
            return Response(status_code=200)
        try:
            webhook = self.crm.read_webhook(request.headers.get("content-type", ""), await read_body(request))
            scope = Scope(hook.org_id, Actor("crm"), request_id=request.state.request_id)
            async with self.db.session(scope) as session:
                await service.receive_webhook(session, hook, webhook, self.subscribers, now=utcnow())
        except (AppError, ClientDisconnect) as error:
            status = error.status if isinstance(error, AppError) else 400
            observe.WEBHOOKS.labels("refused" if status < 500 else "failed").inc()
            return Response(status_code=_ANSWERS.get(status, status))
        observe.WEBHOOKS.labels("stored").inc()
        return Response(status_code=200)


def is_from_there(request: Request, networks: tuple[IPv4Network | IPv6Network, ...]) -> bool:
    """Whether a delivery comes from where the CRM's do; without networks from anywhere."""
    if not networks:
        return True
    try:
        address = ip_address(client_address(request))
    except ValueError:
        return False
    plain = getattr(address, "ipv4_mapped", None) or address
    return any(plain in network for network in networks)


async def read_body(request: Request) -> bytes:
    """Return the body of a delivery. Raises TooLarge."""
    chunks: list[bytes] = []
    size = 0
    stream: AsyncIterator[bytes] = request.stream()
    async for chunk in stream:
        size += len(chunk)
        if size > WEBHOOK_MAX_BYTES:
            raise TooLarge("too_large", "The request is too large.")
        chunks.append(chunk)
    return b"".join(chunks)
