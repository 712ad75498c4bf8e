"""The parent's side of an archive: its files one after another, whatever becomes of one of them."""

import asyncio
from asyncio import IncompleteReadError, StreamReader
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gptagent.features.knowledge.model import ZIP
from gptagent.features.knowledge.parsing.limits import WALL_SECONDS
from gptagent.features.knowledge.parsing.parent import child_of, ended, failed_as
from gptagent.features.knowledge.parsing.result import Interrupted, ParseFailed

_DAMAGED = 0xFFFFFFFF


class _Told(msgspec.Struct):
    index: int = -1
    count: int = 0
    name: str = ""
    failed: str | None = None


@dataclass(slots=True)
class Unpacked:
    """A file of an archive: `failed` is its reason, else `chunks` are its bytes, to be read to their end.

    Reading them raises ParseFailed if they turn out to be damaged, Interrupted if the reader was stopped.
    """

    name: str
    index: int
    count: int
    failed: str | None
    chunks: AsyncIterator[bytes]


async def unpack_file(path: Path) -> AsyncIterator[Unpacked]:
    """Yield the files of an archive. Raises ParseFailed if it cannot be opened.

    A file that ends its child is told as unreadable, and another child goes on behind it.
    """
    start = 0
    while True:
        last = None
        async with aclosing(_from(path, start)) as files:
            async for file in files:
                last = file
                yield file
        if last is None or last.index + 1 >= last.count:
            return
        start = last.index + 1


async def _from(path: Path, start: int) -> AsyncGenerator[Unpacked, None]:
    async with child_of(path, ZIP, "unpack", str(start)) as process:
        assert process.stdout is not None
        is_silent = True
        while (told := await _next(process.stdout)) is not None:
            is_silent = False
            body = _Body(process)
            yield Unpacked(told.name, told.index, told.count, told.failed, body.chunks())
            if not told.failed and not body.is_whole:
                return
        if is_silent and (code := await process.wait()):
            raise ended(code)


async def _next(out: StreamReader) -> _Told | None:
    """Return what the next file is; None if the child says no more. Raises ParseFailed if none is read."""
    line = await _soon(out.readline())
    try:
        told = msgspec.json.decode(line, type=_Told) if line else None
    except msgspec.MsgspecError:  # it ended in the middle of a word
        return None
    if told is not None and told.index < 0:
        raise failed_as(told.failed or "damaged")
    return told


class _Body:
    """A file's bytes on their way. `is_whole` tells that its end was reached, and more may be read."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self._process, self._out = process, process.stdout
        self.is_whole = False

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            while length := int.from_bytes(await _soon(self._out.readexactly(4)), "big"):
                if length == _DAMAGED:
                    self.is_whole = True
                    raise ParseFailed("damaged")
                yield await _soon(self._out.readexactly(length))
        except IncompleteReadError as error:
            reason = ended(await self._process.wait())
            raise (reason if isinstance(reason, Interrupted) else ParseFailed("too_complex")) from error
        self.is_whole = True


async def _soon(reading: Awaitable[bytes]) -> bytes:
    try:
        async with asyncio.timeout(WALL_SECONDS):
            return await reading
    except TimeoutError as error:
        raise ParseFailed("too_complex") from error
