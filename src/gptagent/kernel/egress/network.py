"""Connecting: the host is resolved, its addresses are judged, and exactly those are connected to."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import cache

import httpcore2
import httpx2
import structlog

from gptagent.kernel.egress.addresses import as_literal, is_plain_host, is_public
from gptagent.kernel.egress.tunnels import SocketOption, open_tunnel
from gptagent.kernel.errors import Forbidden
from gptagent.kernel.proxies import Proxy

# A host with many dead addresses must not eat the caller's deadline.
MAX_ADDRESSES_TRIED = 4
# Sockets that stay open between calls. Callers bound how many calls run at once; a cap here would let one
# slow host hold up all the others.
KEEP_ALIVE_CONNECTIONS = 200
KEEP_ALIVE_SECONDS = 20.0
HTTP_PORT = 80

Allowed = frozenset[tuple[str, int]]
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

_log = structlog.get_logger()


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the IP addresses of a name, in the order the system would try them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def refused(host: str, port: int | None) -> Forbidden:
    _log.warning("egress_refused", host=host, port=port)
    return Forbidden(
        "egress_refused",
        "This address may not be called: it is not https, or private, or reserved. "
        "An operator can allow it with EGRESS_ALLOW.",
    )


@cache
def _trust() -> ssl.SSLContext:
    """All transports share it: reading every authority's certificate takes tens of milliseconds."""
    return httpx2.create_ssl_context(trust_env=False)


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """For `httpx2.AsyncClient(transport=...)` of libraries that insist on a client of their own.

    Reaches https on public addresses, and whatever the exact `(host, port)` pairs of `allow` say; with
    `plain` also http there, on its own port: for what everybody may read and nothing of ours is sent with.
    Raises Forbidden("egress_refused") otherwise. The environment is not looked at; `proxy` tunnels to the
    same addresses, after the same check.
    """

    def __init__(
        self,
        allow: Allowed,
        *,
        resolver: Resolver = resolve,
        ssl_context: ssl.SSLContext | None = None,
        proxy: Proxy | None = None,
        plain: bool = False,
    ) -> None:
        context = ssl_context or _trust()
        super().__init__(verify=context, trust_env=False)
        self._allow = allow
        self._plain = plain
        self._backend = _GuardedBackend(allow, resolver, proxy)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context,
            max_connections=None,
            max_keepalive_connections=KEEP_ALIVE_CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
            network_backend=self._backend,
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._judge_spelling(request.url)
        return await super().handle_async_request(request)

    async def judge(self, url: httpx2.URL, timeout: float) -> None:
        """Judge an address as if it were connected to now. Raises as a request does."""
        await self._backend.addresses(*self._judge_spelling(url), timeout)

    def _judge_spelling(self, url: httpx2.URL) -> tuple[str, int]:
        host, port = url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)
        is_open = _is_ordinary(url.scheme, host) or (self._plain and _is_plain(url.scheme, host, port))
        if url.userinfo or not (_is_allowed(self._allow, host, port) or is_open):
            raise refused(host, port)
        return host, port


class _GuardedBackend(httpcore2.AsyncNetworkBackend):
    def __init__(self, allow: Allowed, resolver: Resolver, proxy: Proxy | None) -> None:
        self._allow = allow
        self._resolver = resolver
        self._proxy = proxy
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        addresses = await self.addresses(host, port, timeout)
        share = None if timeout is None else timeout / len(addresses)
        for address in addresses[:-1]:
            try:
                return await self._connect(address, port, share, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._connect(addresses[-1], port, share, local_address, socket_options)

    async def _connect(
        self,
        address: str,
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Iterable[SocketOption] | None,
    ) -> httpcore2.AsyncNetworkStream:
        if self._proxy is not None:
            return await open_tunnel(self._network, self._proxy, (address, port), timeout, socket_options)
        return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)

    async def addresses(self, host: str, port: int, timeout: float | None) -> Sequence[str]:
        """Return what may be connected to under this name. Raises Forbidden if that is nothing."""
        found = [host] if as_literal(host) else await self._look_up(host, port, timeout)
        if _is_allowed(self._allow, host, port):
            return found[:MAX_ADDRESSES_TRIED]
        public = [address for address in found if is_public(address)]
        if not public:
            raise refused(host, port)
        return public[:MAX_ADDRESSES_TRIED]

    async def _look_up(self, host: str, port: int, timeout: float | None) -> Sequence[str]:
        try:
            async with asyncio.timeout(timeout):
                found = await self._resolver(host, port)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"the name {host} was not resolved in time") from error
        except OSError as error:
            raise httpcore2.ConnectError(f"{host} has no address") from error
        if not found:
            raise httpcore2.ConnectError(f"{host} has no address")
        return found


def _is_allowed(allow: Allowed, host: str, port: int) -> bool:
    return (host.lower(), port) in allow


def _is_ordinary(scheme: str, host: str) -> bool:
    return scheme == "https" and is_plain_host(host)


def _is_plain(scheme: str, host: str, port: int) -> bool:
    return scheme == "http" and port == HTTP_PORT and is_plain_host(host)
