"""Connections over REST, and the door the CRM's webhooks come in by."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
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
from gptagent.features.crm.connecting.model import AccessKind
from gptagent.features.crm.connecting.service import Connecting, connect_account
from gptagent.features.crm.deliveries import processing
from gptagent.features.crm.health import check_account
from gptagent.features.crm.model import Brand, ConnectionStatus
from gptagent.features.crm.ports import CrmPort
from gptagent.features.crm.service import ConnectCrm
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel import observe
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, TooLarge
from gptagent.kernel.events import Subscribers
from gptagent.kernel.http import Body, CurrentScope, PatternRoute, Wire, client_address, example
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, api_router
from gptagent.kernel.scope import Actor, Scope

WEBHOOK_MAX_BYTES = 1_000_000
# The CRM waits 2 s and then sends again; it is told so before that.
RETRY_AFTER_SECONDS = "2"
ANSWER_SECONDS = 1.8
# Deliveries that a process acts on at once. More of them would all take longer, and be cut off half-way.
ACTING_AT_ONCE = 4
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
    brand: Brand
    client_id: str | None
    access_kind: AccessKind
    access_expires_at: datetime | None
    scopes: list[str] | None
    is_active: bool
    reads_daily: bool
    currency: str | None


class ConnectionPatch(Body):
    """What is left out stays. Off, nothing is answered in the account and nothing asked of it."""

    model_config = example({"is_active": False})

    is_active: bool | None = None
    reads_daily: bool | None = None


class ConnectionsOut(Wire):
    items: list[ConnectionOut]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ConnectionsApi:
    door: Connecting

    @property
    def db(self) -> Database:
        return self.door.db

    def router(self) -> APIRouter:
        router = api_router("/connections", tags=["connections"])
        router.get("", summary="List connected CRM accounts")(self.list)
        router.post("", status_code=201, summary="Connect a CRM account or renew its token")(self.create)
        router.get("/{connection_id}", summary="Get a connection")(self.get)
        router.patch("/{connection_id}", summary="Switch a connection off or on, and its daily reading")(
            self.change
        )
        router.post("/{connection_id}/check", summary="Ask the CRM whether a connection works")(self.check)
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
        made = await connect_account(self.door, scope, command)
        return ConnectionOut.model_validate(made)

    async def get(self, scope: CurrentScope, connection_id: UUID) -> ConnectionOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return ConnectionOut.model_validate(await service.get_connection(session, connection_id))

    async def change(
        self, scope: CurrentScope, match: CurrentMatch, connection_id: UUID, body: ConnectionPatch
    ) -> ConnectionOut:
        require(scope, policy.MANAGE_CONNECTIONS)
        changes = body.model_dump(exclude_none=True)
        async with self.db.session(scope) as session:
            if match:
                current = await service.get_connection(session, connection_id, lock=True)
                match.check(ConnectionOut.model_validate(current))
            return ConnectionOut.model_validate(
                await service.change_connection(session, connection_id, changes)
            )

    async def check(self, scope: CurrentScope, connection_id: UUID) -> ConnectionOut:
        require(scope, policy.MANAGE_CONNECTIONS)
        return ConnectionOut.model_validate(await check_account(self.door, scope, connection_id))

    async def delete(self, scope: CurrentScope, match: CurrentMatch, connection_id: UUID) -> None:
        require(scope, policy.MANAGE_CONNECTIONS)
        async with self.db.session(scope) as session:  # before anything is done at the CRM
            current = await service.get_connection(session, connection_id)
            if match:
                match.check(ConnectionOut.model_validate(current))
        door = self.door
        await service.unhook_crm(
            door.db, scope, connection_id, crm=door.crm, vault=door.vault, public_url=door.public_url
        )
        async with self.db.session(scope) as session:
            await service.disconnect_crm(session, connection_id)


@dataclass(frozen=True, slots=True)
class WebhookDoor:
    """Verify, store, act, acknowledge - in one transaction and within milliseconds. Nothing is called out.

    Where many come at once, each waits for its turn for half of the time there is to act. One that had none
    by then is stored as it came, and a job acts on it.
    """

    db: Database
    crm: CrmPort
    subscribers: Subscribers
    networks: tuple[IPv4Network | IPv6Network, ...] = ()  # empty: from anywhere
    seats: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(ACTING_AT_ONCE))

    def route(self) -> Route:
        # Kommo's settings page checks the address with GET; some accounts insist on the trailing slash.
        return PatternRoute("/hooks/kommo/{secret}{slash:path}", self.receive, methods=["GET", "POST"])

    async def receive(self, request: Request) -> Response:
        """200 stored · 400 malformed · 404 unknown or not from there · 503 not stored, send it again."""
        since = time.monotonic()
        try:
            body = b"" if request.method == "GET" else await read_body(request)
            async with asyncio.timeout(ANSWER_SECONDS):
                status, outcome = await self._answer(request, body, since)
        except TimeoutError:  # whether it was stored or not: a copy changes nothing
            status, outcome = 503, "failed"
        except (AppError, ClientDisconnect) as error:
            status = error.status if isinstance(error, AppError) else 400
            outcome = "refused" if status < 500 else "failed"
        if outcome is not None:
            observe.WEBHOOKS.labels(outcome).inc()
        again = {"retry-after": RETRY_AFTER_SECONDS} if status == 503 else None
        return Response(status_code=_ANSWERS.get(status, status), headers=again)

    async def _answer(self, request: Request, body: bytes, since: float) -> tuple[int, str | None]:
        if not is_from_there(request, self.networks):
            return 404, "refused"
        async with self.db.single() as session:
            hook = await service.find_hook(session, request.path_params["secret"])
        if hook is None:
            return 404, "unknown"
        if request.method == "GET":
            return 200, None
        webhook = self.crm.read_webhook(request.headers.get("content-type", ""), body)
        scope = Scope(hook.org_id, Actor("crm"), request_id=request.state.request_id)
        async with self._seat(since) as has_seat, self.db.session(scope) as session:
            left = since + processing.ACT_SECONDS - time.monotonic()
            await service.receive_webhook(
                session,
                hook,
                webhook,
                self.subscribers,
                now=utcnow(),
                crm=self.crm,
                seconds=left if has_seat and left >= processing.ACT_SECONDS / 2 else 0.0,
            )
        return 200, "stored"

    @asynccontextmanager
    async def _seat(self, since: float) -> AsyncIterator[bool]:
        """Wait for a seat among those that act. False: none was free within half of the time to act."""
        has_seat = False
        with suppress(TimeoutError):
            async with asyncio.timeout(since + processing.ACT_SECONDS / 2 - time.monotonic()):
                has_seat = await self.seats.acquire()
        try:
            yield has_seat
        finally:
            if has_seat:
                self.seats.release()


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
