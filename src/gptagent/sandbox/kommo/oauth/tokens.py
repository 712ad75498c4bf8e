"""The token endpoint of an account, and the address by which a renamed account is found."""

import hmac
import time
from typing import Never, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gptagent.sandbox.kommo.desk import Desk
from gptagent.sandbox.kommo.oauth.book import Book, Integration, Pair, account_by_id
from gptagent.sandbox.kommo.rest.hal import PROBLEM, problem
from gptagent.sandbox.kommo.state import Account
from gptagent.sandbox.wire import Json, Refused, answer

PREFIX = "/oauth2"


async def access_token(request: Request) -> Response:
    """Exchange a code or a refresh token; JSON and forms are taken."""
    account = cast("Account", request.scope["account"])
    book = cast("Desk", request.scope["desk"]).oauth
    given = await _given(request)
    integration = _integration(book, account, given)
    match given.get("grant_type"):
        case "authorization_code":
            pair = _by_code(book, account, integration, str(given.get("code", "")))
        case "refresh_token":
            pair = _by_refresh(book, account, integration, str(given.get("refresh_token", "")))
        case _:
            _refuse(book, account, "The authorization grant type is not supported", 400)
    return answer(
        {
            "token_type": "Bearer",
            "expires_in": account.knobs.access_seconds,
            "server_time": int(time.time()),
            "access_token": pair.access.value,
            "refresh_token": pair.refresh,
        }
    )


async def subdomain(request: Request) -> Response:
    """Say where a token's account is now. Served on the `api_domain` of the token."""
    desk = cast("Desk", request.scope["desk"])
    pair = desk.oauth.pairs.get(request.headers.get("x-refresh-token", ""))
    account = account_by_id(desk.world.accounts, pair.account_id) if pair and not pair.revoked else None
    if pair is None or account is None:
        raise problem(401, "Unauthorized")
    top = "ru" if request.headers.get("host", "").split(":")[0].endswith(".amocrm.test") else "com"
    domain = "amocrm.test" if top == "ru" else "kommo.test"
    return answer(
        {
            "id": account.id,
            "subdomain": account.subdomain,
            "domain": f"{account.subdomain}.{domain}",
            "top_level_domain": top,
        }
    )


async def _given(request: Request) -> Json:
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return dict(await request.form())
    try:
        body: object = msgspec.json.decode(await request.body() or b"{}")
    except msgspec.DecodeError:
        body = None
    if not isinstance(body, dict):
        raise problem(400, "Request data can not be empty")
    return body


def _integration(book: Book, account: Account, given: Json) -> Integration:
    found = book.integrations.get(str(given.get("client_id", "")))
    secret = str(given.get("client_secret", "")).encode()
    if found is None or not hmac.compare_digest(found.client_secret.encode(), secret):
        _refuse(book, account, "Client authentication failed", 401)
    if given.get("redirect_uri") != found.redirect_uri:
        _refuse(book, account, "The redirect URI does not match", 400)
    return found


def _by_code(book: Book, account: Account, integration: Integration, value: str) -> Pair:
    code = book.codes.pop(value, None)
    good = (
        code is not None
        and code.client_id == integration.client_id
        and code.account_id == account.id
        and code.expires_at > time.time()
    )
    if not good:
        _refuse(book, account, "Authorization code has been revoked", 400)
    book.count(account).exchanged += 1
    return book.issue(integration, account)


def _by_refresh(book: Book, account: Account, integration: Integration, value: str) -> Pair:
    pair = book.pairs.get(value)
    if pair is None or pair.client_id != integration.client_id or not book.is_good(pair, account):
        _refuse(book, account, "Token has been revoked", account.knobs.refresh_refusal_status)
    pair.used = True
    book.count(account).refreshed += 1
    return book.issue(integration, account, parent=pair.refresh)


def _refuse(book: Book, account: Account, hint: str, status: int) -> Never:
    """Answer as the endpoint does; detail and title are in the account's language there."""
    book.count(account).refused += 1
    body = {
        "hint": hint,
        "title": "Некорректный запрос",
        "type": "https://developers.amocrm.ru/v3/errors/OAuthProblemJson",
        "status": status,
        "detail": "В запросе отсутствует ряд параметров или параметры невалидны",
    }
    raise Refused(answer(body, status, PROBLEM))


ROUTES = [Route(f"{PREFIX}/access_token", access_token, methods=["POST"])]
API_ROUTES = [Route(f"{PREFIX}/account/current/subdomain", subdomain, methods=["GET"])]
