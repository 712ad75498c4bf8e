"""Connections by way of an operator's proxy.

The proxy is told an address that was judged, never a name: what it would look up is not ours to judge.
"""

from collections.abc import Iterable

import httpcore2
import structlog

from gptagent.kernel.proxies import Proxy

MAX_HEAD_BYTES = 16_384
# `Proxy-Authorization` has no line of its own without credentials.
_HEAD = "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{authorization}\r\n"

SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
_log = structlog.get_logger()


async def open_tunnel(
    network: httpcore2.AsyncNetworkBackend,
    proxy: Proxy,
    target: tuple[str, int],
    timeout: float | None,
    socket_options: Iterable[SocketOption] | None,
) -> httpcore2.AsyncNetworkStream:
    """Return a stream to an address and port. Raises ConnectError, ConnectTimeout: nothing was sent there."""
    stream = await network.connect_tcp(proxy.host, proxy.port, timeout, socket_options=socket_options)
    try:
        await stream.write(_request(proxy, *target), timeout)
        status = _status(await _read_head(stream, timeout))
    except (httpcore2.ReadError, httpcore2.WriteError) as error:
        await stream.aclose()
        raise httpcore2.ConnectError("the proxy has hung up") from error
    except (httpcore2.ReadTimeout, httpcore2.WriteTimeout) as error:
        await stream.aclose()
        raise httpcore2.ConnectTimeout("the proxy does not answer") from error
    except BaseException:
        await stream.aclose()
        raise
    if not 200 <= status < 300:
        await stream.aclose()
        _log.warning("egress_proxy_refused", proxy=proxy.host, port=proxy.port, status=status)
        raise httpcore2.ConnectError(f"the proxy answered {status}")
    return stream


def _request(proxy: Proxy, address: str, port: int) -> bytes:
    target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    secret = proxy.authorization
    authorization = f"Proxy-Authorization: {secret}\r\n" if secret else ""
    return _HEAD.format(target=target, authorization=authorization).encode()


async def _read_head(stream: httpcore2.AsyncNetworkStream, timeout: float | None) -> bytes:
    """Read byte for byte at the end: what follows the head is the other side's."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        part = await stream.read(1, timeout)
        if not part or len(head) > MAX_HEAD_BYTES:
            raise httpcore2.ConnectError("the proxy answers no HTTP")
        head += part
    return head


def _status(head: bytes) -> int:
    version, _, rest = head.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
        raise httpcore2.ConnectError("the proxy answers no HTTP")
    return int(rest[:3])
