"""Start a parsing child, watch it, read its answer."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from pathlib import Path

import msgspec
import structlog

from gptagent.features.knowledge.chunking import Fragment
from gptagent.features.knowledge.parsing.limits import OUTPUT_MAX_BYTES, WALL_SECONDS
from gptagent.features.knowledge.parsing.result import ParsedDocument, ParseFailed

log = structlog.get_logger(__name__)

_CHILD = "gptagent.features.knowledge.parsing.child"
_OUT_OF_LIMITS = {-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGALRM, -signal.SIGXFSZ}


class _Answer(msgspec.Struct):
    failed: str | None = None
    error: str | None = None
    pages: int | None = None
    fragments: list[tuple[str, int | None, str]] = []


async def parse_file(path: Path, mime: str, *, wall_seconds: float = WALL_SECONDS) -> ParsedDocument:
    """Read a file in a limited child process. Raises ParseFailed with the reason; never hangs."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-m", _CHILD, str(path), mime),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env={},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(wall_seconds):
            output, _ = await asyncio.gather(_read(process), _drop_errors(process))
            code = await process.wait()
    except TimeoutError as error:
        raise ParseFailed("too_complex") from error
    finally:
        await _end(process)
    return _understand(code, output)


async def _read(process: Process) -> bytes:
    assert process.stdout is not None
    output = bytearray()
    while block := await process.stdout.read(1 << 16):
        output += block
        if len(output) > OUTPUT_MAX_BYTES:
            raise ParseFailed("text_too_long")
    return bytes(output)


async def _drop_errors(process: Process) -> None:
    """Read stderr to its end, so that a talkative library cannot block; it may hold the file's text."""
    assert process.stderr is not None
    while await process.stderr.read(1 << 16):
        pass


async def _end(process: Process) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _understand(code: int, output: bytes) -> ParsedDocument:
    if code != 0:
        log.warning("parsing_child_failed", code=code)
        raise ParseFailed("too_complex" if code in _OUT_OF_LIMITS else "damaged")
    try:
        answer = msgspec.json.decode(output, type=_Answer)
    except msgspec.MsgspecError as error:
        raise ParseFailed("damaged") from error
    if answer.error is not None:
        log.warning("parsing_child_failed", error=answer.error)
    if answer.failed is not None:
        raise ParseFailed(answer.failed)
    return ParsedDocument(tuple(Fragment(*fragment) for fragment in answer.fragments), answer.pages)
