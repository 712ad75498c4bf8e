"""The door of the account's waiting bots: verify, store, acknowledge; the answer is posted back later."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv4Network, IPv6Network
from urllib.parse import urlsplit
from uuid import UUID

from asyncpg import Record
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from gptagent.features.crm import service as crm
from gptagent.features.crm import store as crm_store
from gptagent.features.crm.api import is_from_there, read_body
from gptagent.features.crm.connecting.keys import Keys
from gptagent.features.crm.model import WidgetRequest
from gptagent.features.crm.ports import CrmPort
from gptagent.features.crm.replying import store
from gptagent.features.crm.replying.model import SLOT_LASTS, is_return_address
from gptagent.features.crm.replying.service import SECRET_PURPOSE
from gptagent.features.crm.replying.token import Expected, read_token
from gptagent.features.crm.replying.transports import SLOT_PURPOSE
from gptagent.kernel import observe
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Forbidden, Invalid
from gptagent.kernel.http import PatternRoute
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Actor, Scope

SAID = "crm.widget_said"
# The webhook mostly brings the same message, with its own id: it is given this time to come.
SAID_AFTER = timedelta(seconds=10)
SAID_MAX_CHARS = 20_000
_ANSWERS = {403: 404, 422: 400}  # another account's token finds no address here


@dataclass(frozen=True, slots=True)
class WidgetDoor:
    """Bots wait two seconds for the acknowledgement: nothing is called out. `keys` are the integrations'."""

    db: Database
    crm: CrmPort
    keys: Keys
    public_url: str
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    def route(self) -> Route:
        return PatternRoute("/hooks/kommo/{connection}/widget", self.receive, methods=["GET", "POST"])

    async def receive(self, request: Request) -> Response:
        """200 stored · 400 malformed · 404 unknown, not from there or not its token · 503 ask again."""
        if not is_from_there(request, self.networks):
            return _refused(404)
        async with self.db.installation() as session:
            hook = await _find_hook(session, request.path_params["connection"])
        if hook is None:
            return _refused(404)
        if request.method == "GET":
            return Response(status_code=200)
        try:
            asked = self.crm.read_widget_request(
                request.headers.get("content-type", ""), await read_body(request)
            )
            scope = Scope(hook.org_id, Actor("crm"), request_id=request.state.request_id)
            async with self.db.session(scope) as session:
                await receive_request(session, hook, asked, self.keys, self.public_url)
        except (AppError, ClientDisconnect) as error:
            status = error.status if isinstance(error, AppError) else 400
            return _refused(_ANSWERS.get(status, status))
        observe.WEBHOOKS.labels("stored").inc()
        return Response(status_code=200)


async def _find_hook(session: Session, asked: str) -> crm.Hook | None:
    try:
        row = await store.connection_by_id(session, UUID(asked))
    except ValueError:
        return None
    return crm.Hook(row["org_id"], row["connection_id"], row["account_id"]) if row else None


def _refused(status: int) -> Response:
    observe.WEBHOOKS.labels("refused" if status < 500 else "failed").inc()
    return Response(status_code=status)


async def receive_request(
    session: Session, hook: crm.Hook, asked: WidgetRequest, keys: Keys, public_url: str
) -> None:
    """Keep a bot that waits for a reply. Raises Forbidden (token) and Invalid (address, no deal)."""
    await crm.hold_connection(session, hook.connection_id)
    connection = await crm_store.select_connection(session, hook.connection_id)
    signer = await _signer(session, connection, keys) if connection else None
    if connection is None or signer is None:
        raise Forbidden("crm_token_refused", "The CRM's token does not fit this connection.")
    parts = urlsplit(public_url)
    expected = Expected(
        secret=signer.secret,
        audience=f"{parts.scheme}://{parts.netloc}",
        host=connection["host"],
        account_id=hook.account_id,
        now=utcnow(),
        client_uuid=signer.client_uuid,
    )
    token = read_token(asked.token, expected)
    lead_id = token.lead_id or asked.lead_id
    if lead_id is None or not is_return_address(asked.return_url, connection["host"]):
        raise Invalid("crm_webhook_malformed", "The CRM's message could not be read.")
    await _keep(session, hook, asked, lead_id, keys.vault, at=token.at)


@dataclass(frozen=True, slots=True)
class _Signer:
    """Whose signature is believed. `client_uuid` None: it is not known which integration's that is."""

    secret: str = field(repr=False)
    client_uuid: str | None = None


async def _signer(session: Session, connection: Record, keys: Keys) -> _Signer | None:
    """The integration that was consented to signs with its own secret; else the one that was entered does."""
    if connection["access_kind"] == "oauth":
        own = await keys.find(session, connection["brand"], connection["client_id"])
        return _Signer(own.secret, own.client_id) if own else None
    sealed = await store.select_widget_secret(session, connection["id"])
    if sealed is None:
        return None
    return _Signer(keys.vault.open(sealed, org_id=session.scope.org_id, purpose=SECRET_PURPOSE))


async def _keep(
    session: Session,
    hook: crm.Hook,
    asked: WidgetRequest,
    lead_id: int,
    vault: Vault,
    *,
    at: datetime | None,
) -> None:
    slot_id, said = new_id(), asked.text.strip()[:SAID_MAX_CHARS]

    def sealed(text: str) -> bytes:
        return vault.seal(text, org_id=hook.org_id, purpose=SLOT_PURPOSE)

    values = {
        "lead_id": lead_id,
        "talk_id": asked.talk_id,
        "url_hash": hashlib.sha256(asked.return_url.encode()).digest(),
        "url_sealed": sealed(asked.return_url),
        "said_sealed": sealed(said) if said else None,
        "asked_at": at,
    }
    if not await store.insert_slot(session, slot_id, hook.connection_id, values):
        return  # delivered twice
    await store.outdate_slots(session, hook.connection_id, lead_id, slot_id)
    await store.forget_slots(session, hook.connection_id, SLOT_LASTS)
    if said:
        await session.enqueue(SAID, {"slot_id": str(slot_id)}, delay=SAID_AFTER)
