"""Reading an answer under a cap that also holds for what it unpacks to."""

import zlib
from collections.abc import AsyncIterable

import httpx2

from gptagent.kernel.errors import TooLarge

# What we ask for; an answer in another encoding is handed on as it is.
ACCEPTED_ENCODING = "gzip"
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f"


async def read_body(chunks: AsyncIterable[bytes], encoding: str, max_bytes: int) -> bytes:
    """Return the unpacked body. Raises TooLarge("egress_too_large") as soon as the cap is passed."""
    gunzip = _Gunzip() if encoding.strip().lower() in {"gzip", "x-gzip"} else None
    body, received = bytearray(), 0
    async for chunk in chunks:
        received += len(chunk)
        body += chunk if gunzip is None else gunzip.feed(chunk, max_bytes - len(body))
        if max(received, len(body)) > max_bytes:
            raise TooLarge("egress_too_large", "The other side answered with more than can be accepted.")
    if gunzip is not None and received and not gunzip.complete:
        raise httpx2.RemoteProtocolError("the compressed answer ends early")
    return bytes(body)


class _Gunzip:
    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_WINDOW)

    @property
    def complete(self) -> bool:
        return self._member.eof

    def feed(self, data: bytes, room: int) -> bytes:
        """Unpack until one byte more than fits; garbage behind the last member is ignored."""
        out = bytearray()
        while data and len(out) <= room:
            if self._member.eof:
                if not data.startswith(_GZIP_MAGIC):
                    break
                self._member = zlib.decompressobj(_GZIP_WINDOW)
            try:
                out += self._member.decompress(data, room + 1 - len(out))
            except zlib.error as error:
                raise httpx2.RemoteProtocolError("the answer is not the gzip it says it is") from error
            data = self._member.unconsumed_tail or self._member.unused_data
        return bytes(out)
