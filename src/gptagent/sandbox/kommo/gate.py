"""What every REST request passes before a handler sees it: host, rate, faults, token."""

import asyncio
import random
import time
from collections import deque
from contextlib import suppress
from urllib.parse import unquote

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router
from starlette.types import Message, Receive, Scope, Send

from gptagent.sandbox.kommo.desk import Desk
from gptagent.sandbox.kommo.knobs import RestFault
from gptagent.sandbox.kommo.oauth import tokens
from gptagent.sandbox.kommo.rest import ROUTES
from gptagent.sandbox.kommo.rest.hal import PROBLEM, TITLES, block_page, problem
from gptagent.sandbox.kommo.state import Account, Token, Traffic, new_uuid
from gptagent.sandbox.wire import Refused, answer

VIOLATIONS_WINDOW_S = 10.0


class Gate:
    """The REST interface as an ASGI application."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._router = Router([*ROUTES, *tokens.ROUTES], redirect_slashes=False, default=_no_such_path)
        self._directory = Router(tokens.API_ROUTES, redirect_slashes=False, default=_no_such_path)
        self._dice = random.Random(0)  # noqa: S311 - repeatable dice, no secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        labelled = _with_request_id(send)
        try:
            await self._admit(scope, receive, labelled)
        except Refused as refused:
            await refused.response(scope, receive, labelled)
        except HTTPException as error:
            await problem(error.status_code, error.detail).response(scope, receive, labelled)

    async def _admit(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.headers.get("host", "").startswith("api-"):
            scope["desk"] = self.desk
            await self._directory(scope, receive, send)
            return
        account = self._account(request)
        self._count(account)
        _limit(account)
        fault = await self._fault(account, request)
        if await _strikes(fault, scope, receive):
            return
        token = None if request.url.path.startswith(tokens.PREFIX) else _token(request, account)
        scope.update(app=self, desk=self.desk, account=account, token=token)
        await _carried_out(self._router, fault, (scope, receive, send))

    async def pass_on(
        self, account: Account, router: Router, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Let through what is asked of another server about this account: counted, and with its faults."""
        self._count(account)
        fault = await self._fault(account, Request(scope))
        if not await _strikes(fault, scope, receive):
            await _carried_out(router, fault, (scope, receive, send))

    def _count(self, account: Account) -> None:
        count(self.desk.world.traffic)
        count(account.traffic)

    async def _fault(self, account: Account, request: Request) -> RestFault | None:
        fault = account.faults.take(
            ("method", request.method),
            ("path", request.url.path),
            ("query", unquote(request.url.query)),
        )
        await self._slow_down(account, fault)
        return fault

    def _account(self, request: Request) -> Account:
        label = request.headers.get("host", "").split(".")[0].split(":")[0]
        account = self.desk.world.accounts.get(label)
        if account is None:
            raise problem(self.desk.oauth.moved.get(label, 404), "Account not found")
        return account

    async def _slow_down(self, account: Account, fault: RestFault | None) -> None:
        pause = self._dice.uniform(*account.knobs.latency_ms) + (fault.delay_ms if fault else 0)
        if pause:
            await asyncio.sleep(pause / 1000)


async def _strikes(fault: RestFault | None, scope: Scope, receive: Receive) -> bool:
    """Return whether the connection was cut before anything happened. Raises Refused for a failure."""
    if fault is not None and fault.action == "reset":
        scope["state"]["abort"]()
        await _gone(receive)
        return True
    if fault is not None and fault.action == "status":
        raise Refused(_failure(fault))
    return False


async def _carried_out(
    router: Router, fault: RestFault | None, exchange: tuple[Scope, Receive, Send]
) -> None:
    scope, receive, send = exchange
    if fault is None or fault.action not in {"accept_then_timeout", "spoil"}:
        await router(scope, receive, send)
        return
    with suppress(Refused, HTTPException):
        await router(scope, receive, _into_the_void)
    if fault.action == "spoil":
        await _spoilt(scope, send, fault)
    else:
        await _gone(receive)


def count(traffic: Traffic) -> None:
    """Add a request and keep the largest number seen within any one second."""
    moment = time.monotonic()
    traffic.requests += 1
    traffic.recent.append(moment)
    _forget(traffic.recent, moment - 1)
    traffic.peak_per_second = max(traffic.peak_per_second, len(traffic.recent))


def _limit(account: Account) -> None:
    """Take from the account's bucket. Raises Refused: 429, and the HTML block once it happens too often."""
    traffic, knobs, moment = account.traffic, account.knobs, time.monotonic()
    if traffic.blocked_until > moment:
        traffic.limited += 1
        raise Refused(block_page())
    rate = knobs.requests_per_second
    if rate <= 0:
        return
    traffic.tokens = min(rate, traffic.tokens + (moment - traffic.filled_at) * rate)
    traffic.filled_at = moment
    if traffic.tokens >= 1:
        traffic.tokens -= 1
        return
    traffic.limited += 1
    traffic.violations.append(moment)
    _forget(traffic.violations, moment - VIOLATIONS_WINDOW_S)
    if len(traffic.violations) >= knobs.violations_until_block:
        traffic.blocked_until = moment + knobs.block_seconds
        traffic.violations.clear()
        raise Refused(block_page())
    raise _too_many(knobs.retry_after_s)


def _too_many(retry_after: int) -> Refused:
    refused = problem(
        429, "You have sent too many requests in a given amount of time.", retry_after=retry_after
    )
    refused.response.headers["Retry-After"] = str(retry_after)
    return refused


def _forget(moments: deque[float], before: float) -> None:
    while moments and moments[0] < before:
        moments.popleft()


def _token(request: Request, account: Account) -> Token:
    kind, _, value = request.headers.get("authorization", "").partition(" ")
    token = account.tokens.get(value)
    if kind.lower() != "bearer" or token is None or token.revoked or token.expires_at < time.time():
        raise problem(401, "Invalid user name or password")
    token.used = True
    return token


async def _spoilt(scope: Scope, send: Send, fault: RestFault) -> None:
    """Answer a request that was carried out with something nobody can read."""
    if fault.body != "truncated":
        response = _failure(msgspec.structs.replace(fault, status=200))
        await response(scope, _nothing_more, send)
        return
    headers = [(b"content-type", b"application/hal+json"), (b"content-length", b"1000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"_page":1,', "more_body": True})
    scope["state"]["abort"]()


async def _nothing_more() -> Message:
    return {"type": "http.disconnect"}


def _failure(fault: RestFault) -> Response:
    if fault.body == "html":
        response = block_page()
        response.status_code = fault.status
        return response
    if fault.body in {"plain", "malformed", "empty"}:
        text = {"plain": "Too many requests", "malformed": '{"_embedded":{"', "empty": ""}[fault.body]
        kind = "text/plain" if fault.body == "plain" else "application/hal+json"
        response = Response(text, fault.status, media_type=kind)
        if fault.retry_after is not None:
            response.headers["Retry-After"] = str(fault.retry_after)
        return response
    title = TITLES.get(fault.status, "Error")
    body: dict[str, object] = {
        "title": title,
        "type": f"https://httpstatus.es/{fault.status}",
        "status": fault.status,
        "detail": title,
    }
    if fault.status >= 500:
        body |= {"title": "ErrInternalServer", "trace_id": new_uuid()}
    response = answer(body, fault.status, PROBLEM)
    if fault.retry_after is not None:
        body["retry_after"] = fault.retry_after
        response = answer(body, fault.status, PROBLEM)
        response.headers["Retry-After"] = str(fault.retry_after)
    return response


def _with_request_id(send: Send) -> Send:
    async def labelled(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"x-request-id", new_uuid().encode())]
        await send(message)

    return labelled


async def _into_the_void(_message: Message) -> None:
    """The answer nobody will get."""


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _no_such_path(scope: Scope, receive: Receive, send: Send) -> None:
    request = Request(scope)
    response = problem(404, f"Cannot {request.method} {request.url}").response
    await response(scope, receive, send)
