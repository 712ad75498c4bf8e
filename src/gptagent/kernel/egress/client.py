"""Requests with a deadline, a cap, and errors that say whether anything may have happened there."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

import httpcore2
import httpx2
import structlog

from gptagent.kernel.egress.bodies import ACCEPTED_ENCODING, read_body
from gptagent.kernel.egress.network import Allowed, GuardedTransport, Resolver, refused, resolve
from gptagent.kernel.errors import AppError, Invalid, OutcomeUnknown, UpstreamUnavailable
from gptagent.kernel.proxies import Proxy

CONNECT_SECONDS = 5.0
USER_AGENT = "gptagent"

_log = structlog.get_logger()

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
# Raised by the library before a byte of the request is written.
_NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


@dataclass(frozen=True, slots=True)
class Response:
    """`headers` have lower-case names; `body` is unpacked."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Egress:
    """A pool of connections to what may be called: https on public addresses, and the pairs of `allow`.

    With `plain` http on public addresses as well.
    """

    def __init__(
        self,
        allow: Allowed = frozenset(),
        *,
        resolver: Resolver = resolve,
        ssl_context: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
        plain: bool = False,
    ) -> None:
        self._transport = GuardedTransport(
            allow, resolver=resolver, ssl_context=ssl_context, proxy=proxy, plain=plain
        )

    async def request(
        self,
        method: str,
        url: str,
        *,
        deadline: float,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
        json: object | None = None,
        content: bytes | None = None,
        data: Mapping[str, str] | None = None,
        host_header: str | None = None,
        redirects: int = 0,
    ) -> Response:
        """Send one request and return the answer, whatever its status.

        `deadline` is in seconds and covers everything from the name look-up to the last byte. At most
        `redirects` are followed, for GET and HEAD only; to another origin without the caller's headers.
        Raises Forbidden("egress_refused"), Invalid("egress_malformed") for headers that cannot be sent,
        TooLarge("egress_too_large"), UpstreamUnavailable if for certain nothing was carried out,
        OutcomeUnknown if the request may have left.
        """
        progress = _Progress()
        request = _build(method, url, headers, json=json, content=content, data=data)
        if host_header is not None:
            request.headers["host"] = host_header
        try:
            async with asyncio.timeout(deadline):
                return await self._follow(request, progress, deadline, max_bytes, redirects)
        except (OSError, httpx2.TransportError) as error:
            if _is_tls_fault(error):
                _log.warning("egress_tls_failed", host=request.url.host)
            raise progress.verdict(error) from error

    async def judge(self, url: str) -> None:
        """Judge an address without calling it, so that a person learns at once that it is a bad one.

        Raises Forbidden("egress_refused"), UpstreamUnavailable if the name is not known. A later call is
        judged anew.
        """
        try:
            await self._transport.judge(_build("GET", url, None).url, CONNECT_SECONDS)
        except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
            raise UpstreamUnavailable("egress_unreachable", "The other side could not be reached.") from error

    async def aclose(self) -> None:
        await self._transport.aclose()

    async def _follow(
        self, request: httpx2.Request, progress: "_Progress", deadline: float, max_bytes: int, redirects: int
    ) -> Response:
        while True:
            limit = {"connect": min(CONNECT_SECONDS, deadline)}
            request.extensions = {"timeout": limit, "trace": progress.trace}
            response = await self._exchange(request, max_bytes)
            if redirects <= 0 or request.method not in {"GET", "HEAD"} or response.status not in _REDIRECTS:
                return response
            request = _redirected(request, response.headers.get("location", ""))
            redirects -= 1

    async def _exchange(self, request: httpx2.Request, max_bytes: int) -> Response:
        answer = await self._transport.handle_async_request(request)
        try:
            body = await read_body(answer.aiter_raw(), answer.headers.get("content-encoding", ""), max_bytes)
        finally:
            await answer.aclose()
        return Response(answer.status_code, dict(answer.headers.items()), body)


class _Progress:
    """Whether a request may have left."""

    def __init__(self) -> None:
        self.left = False

    async def trace(self, event: str, _info: Mapping[str, object]) -> None:
        if event == "http11.send_request_headers.started":
            self.left = True

    def verdict(self, error: Exception) -> AppError:
        if isinstance(error, httpx2.LocalProtocolError):
            return _malformed()
        if isinstance(error, _NEVER_SENT) or (isinstance(error, TimeoutError) and not self.left):
            return UpstreamUnavailable("egress_unreachable", "The other side could not be reached.")
        return OutcomeUnknown("egress_outcome_unknown", "The other side did not answer properly in time.")


def _is_tls_fault(error: BaseException | None) -> bool:
    """Whether the other side could not prove who it is, or speaks no TLS of ours."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error is not None


def _build(
    method: str,
    url: str,
    headers: Mapping[str, str] | None,
    *,
    json: object | None = None,
    content: bytes | None = None,
    data: Mapping[str, str] | None = None,
) -> httpx2.Request:
    try:
        sent = httpx2.Headers({"user-agent": USER_AGENT, "accept": "*/*"})
        sent.update(headers)
        sent["accept-encoding"] = ACCEPTED_ENCODING
        return httpx2.Request(method, url, headers=sent, json=json, content=content, data=data)
    except httpx2.InvalidURL as error:
        raise refused("malformed", None) from error
    except UnicodeError as error:
        raise _malformed() from error


def _redirected(request: httpx2.Request, location: str) -> httpx2.Request:
    """Return the next request; a location that leads nowhere is refused like any other bad address."""
    try:
        target = request.url.join(location)
    except httpx2.InvalidURL as error:
        raise refused("malformed", None) from error
    same_origin = (target.scheme, target.host, target.port) == (
        request.url.scheme,
        request.url.host,
        request.url.port,
    )
    kept = dict(request.headers) if same_origin else {"accept": request.headers.get("accept", "*/*")}
    return _build(request.method, str(target), kept)


def _malformed() -> Invalid:
    return Invalid("egress_malformed", "The request holds characters that cannot be sent.")
