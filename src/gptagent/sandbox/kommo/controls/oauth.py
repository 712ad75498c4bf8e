"""Integrations, grants, and what an account's administrator does with them."""

import hashlib
import hmac
import time
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from gptagent.sandbox.kommo.controls import describe
from gptagent.sandbox.kommo.controls.accounts import SUBDOMAIN
from gptagent.sandbox.kommo.controls.find import account_of, desk_of
from gptagent.sandbox.kommo.oauth.book import Brand, Integration
from gptagent.sandbox.kommo.oauth.page import granted
from gptagent.sandbox.kommo.seed import SCOPES
from gptagent.sandbox.wire import Json, answer, read_as, refusal

HOOK_AGENT = "amoService-oAuth-Code-Sender/1.0"
CALLBACK_SECONDS = 3.0


class NewIntegration(msgspec.Struct, forbid_unknown_fields=True):
    redirect_uri: str
    brand: Brand = "kommo"
    name: str = "GPT Agent"
    scopes: list[str] | None = None
    disconnect_hook: str | None = None
    client_id: str | None = None
    client_secret: str | None = None


class OfIntegration(msgspec.Struct, forbid_unknown_fields=True):
    client_id: str


class NewName(msgspec.Struct, forbid_unknown_fields=True):
    subdomain: str
    old_host_status: int = 404


async def new_integration(request: Request) -> Response:
    wanted = await read_as(request, NewIntegration)
    made = desk_of(request).oauth.register(
        wanted.redirect_uri,
        wanted.brand,
        name=wanted.name,
        scopes=SCOPES if wanted.scopes is None else frozenset(wanted.scopes),
        disconnect_hook=wanted.disconnect_hook,
        client_id=wanted.client_id,
        client_secret=wanted.client_secret,
    )
    return answer(_described(made), 201)


async def list_integrations(request: Request) -> Response:
    found = desk_of(request).oauth.integrations.values()
    return answer({"integrations": [_described(one) for one in found]})


async def new_grant(request: Request) -> Response:
    """Return a token pair as if somebody had consented and the code were exchanged."""
    account = account_of(request)
    pair = desk_of(request).oauth.issue(await _integration(request), account)
    return answer({"access_token": pair.access.value, "refresh_token": pair.refresh}, 201)


async def grants(request: Request) -> Response:
    account = account_of(request)
    counts = desk_of(request).oauth.count(account)
    return answer({"exchanged": counts.exchanged, "refreshed": counts.refreshed, "refused": counts.refused})


async def expire(request: Request) -> Response:
    """Let the access tokens of all grants be over; their refresh tokens stay good."""
    account = account_of(request)
    for pair in desk_of(request).oauth.pairs.values():
        if pair.account_id == account.id:
            pair.access.expires_at = int(time.time()) - 1
    return answer({})


async def revoke(request: Request) -> Response:
    desk_of(request).oauth.revoke(account_of(request))
    return answer({})


async def rename(request: Request) -> Response:
    """Move the account to another subdomain; the old one answers 404 or 401 from now on."""
    account, wanted, world = account_of(request), await read_as(request, NewName), desk_of(request).world
    if not SUBDOMAIN.fullmatch(wanted.subdomain) or wanted.subdomain in world.accounts:
        raise refusal(422, "subdomain: one free host label")
    desk_of(request).rename(account, wanted.subdomain)
    desk_of(request).oauth.moved[request.path_params["sub"]] = wanted.old_host_status
    return answer(describe.account(account))


async def remove_integration(request: Request) -> Response:
    """Remove the integration from the account: its tokens end, and its disconnect hook is called."""
    account, integration = account_of(request), await _integration(request)
    desk_of(request).oauth.revoke(account, integration.client_id)
    if integration.disconnect_hook is None:
        return answer({"status": None})
    message = f"{integration.client_id}|{account.id}".encode()
    signature = hmac.new(integration.client_secret.encode(), message, hashlib.sha256).hexdigest()
    query: Json = {"client_uuid": integration.client_id, "account_id": account.id, "signature": signature}
    status, reason = await desk_of(request).call(
        f"{integration.disconnect_hook}?{urlencode(query)}", HOOK_AGENT, CALLBACK_SECONDS
    )
    return answer({"status": status, "failure": reason})


async def install_widget(request: Request) -> Response:
    """Install the integration as a widget: its address is told from server to server, without a state."""
    account, integration = account_of(request), await _integration(request)
    query = {
        **granted(request, integration, account),
        "client_id": integration.client_id,
        "from_widget": "1",
    }
    status, reason = await desk_of(request).call(
        f"{integration.redirect_uri}?{urlencode(query)}", HOOK_AGENT, CALLBACK_SECONDS
    )
    return answer({"status": status, "failure": reason})


async def _integration(request: Request) -> Integration:
    wanted = await read_as(request, OfIntegration)
    found = desk_of(request).oauth.integrations.get(wanted.client_id)
    if found is None:
        raise refusal(404, "no such integration")
    return found


def _described(row: Integration) -> Json:
    return {
        "client_id": row.client_id,
        "client_secret": row.client_secret,
        "redirect_uri": row.redirect_uri,
        "brand": row.brand,
        "name": row.name,
        "scopes": sorted(row.scopes),
        "disconnect_hook": row.disconnect_hook,
    }
