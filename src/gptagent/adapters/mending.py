r"""What providers answer, made such that a database takes it: no half of a surrogate pair, no zero.

JSON may name half a pair (`\ud800`), as a model does that breaks off in the middle of an emoji. No text of
Unicode has one, and PostgreSQL takes neither it nor a zero. What they say a call has used is made sound too.
"""

import re
from collections.abc import AsyncIterator
from typing import TypeVar, cast

import httpx2

from gptagent.adapters.counting import sound

_HEX = rb"[0-9a-fA-F]"
_HIGH = rb"u[dD][89abAB]" + _HEX + rb"{2}"
_LOW = rb"u[dD][c-fC-F]" + _HEX + rb"{2}"
_RAW = rb"\xed[\xa0-\xbf][\x80-\xbf]"  # as some write it, against the rules of UTF-8
_BEGUN = (
    rb"(?P<begun>\\(?:u(?:" + _HEX + rb"{0,3}|" + _HIGH[1:] + rb"(?:\\(?:u" + _HEX + rb"{0,3})?)?)?)?\Z"
    rb"|\xed[\xa0-\xbf]?\Z)|"
)
_WHOLE = (
    rb"\\"
    + _HIGH
    + rb"\\"
    + _LOW
    + rb"|(?P<lone>\\u[dD][89a-fA-F]"
    + _HEX
    + rb"{2})|\\.|(?P<raw>"
    + _RAW
    + rb")"
)
_BEGUN_OR_WHOLE = _BEGUN + _WHOLE
ESCAPES = re.compile(_WHOLE, re.DOTALL)
ESCAPES_OR_BEGUN = re.compile(_BEGUN_OR_WHOLE, re.DOTALL)
LONE = re.compile("[\ud800-\udfff]")
INSTEAD = "\ufffd"

T = TypeVar("T")


def mended(json: bytes) -> bytes:
    """Return JSON with the sign of the unreadable in the place of each half of a pair; as long as it was."""
    return ESCAPES.sub(_instead, json) if b"\\" in json or b"\xed" in json else json


def storable(value: T) -> T:
    """Return texts, also in lists and objects, without what no database takes."""
    cleaned: object = value
    if isinstance(value, str):
        cleaned = LONE.sub(INSTEAD, value.replace("\0", ""))
    elif isinstance(value, list):
        cleaned = [storable(one) for one in value]
    elif isinstance(value, dict):
        cleaned = {storable(key): storable(one) for key, one in value.items()}
    return cast("T", cleaned)


class MendingTransport(httpx2.AsyncBaseTransport):
    """Another transport, whose answers are JSON, or events with JSON in them, and are mended as they come."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["accept-encoding"] = "identity"
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") == "identity":
            mending = _Mended(cast("httpx2.AsyncByteStream", response.stream))
            is_stream = response.headers.get("content-type", "").startswith("text/event-stream")
            response.stream = _Sound(mending, b"\n" if is_stream else None)
            response.headers.pop("content-length", None)  # counts may be written otherwise
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Mended(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        waiting = b""
        async for piece in self._inner:
            whole, waiting = _parted(waiting + piece)
            if whole:
                yield whole
        if waiting:
            yield mended(waiting)

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Sound(httpx2.AsyncByteStream):
    """Another stream with sound counts of what was used: event by event, or else as a whole."""

    def __init__(self, inner: httpx2.AsyncByteStream, end: bytes | None) -> None:
        self._inner, self._end = inner, end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        waiting = b""
        async for piece in self._inner:
            waiting += piece
            if self._end is not None and self._end in piece:
                *lines, waiting = waiting.split(self._end)
                yield b"".join(sound(line) + self._end for line in lines)
        if waiting:
            yield sound(waiting)

    async def aclose(self) -> None:
        await self._inner.aclose()


def _parted(piece: bytes) -> tuple[bytes, bytes]:
    """Return what is whole of it, mended, and what has only begun at its end."""
    if b"\\" not in piece and b"\xed" not in piece:
        return piece, b""
    begun = b""

    def instead(match: re.Match[bytes]) -> bytes:
        nonlocal begun
        if match["begun"] is not None:
            begun = match["begun"]
            return b""
        return _instead(match)

    return ESCAPES_OR_BEGUN.sub(instead, piece), begun


def _instead(match: re.Match[bytes]) -> bytes:
    if match["lone"] is not None:
        return rb"\ufffd"
    return INSTEAD.encode() if match["raw"] is not None else match[0]
