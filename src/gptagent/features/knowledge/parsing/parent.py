"""Start a parsing child, watch it, read its answer."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import structlog

from gptagent.features.knowledge.chunking import Fragment
from gptagent.features.knowledge.model import EML, FAILURES, Unread
from gptagent.features.knowledge.parsing import release
from gptagent.features.knowledge.parsing.limits import ALONE, OUTPUT_MAX_BYTES, UNREADY, WALL_SECONDS
from gptagent.features.knowledge.parsing.result import Interrupted, ParsedDocument, ParseFailed, Scan

log = structlog.get_logger(__name__)

_CHILD = "gptagent.features.knowledge.parsing.child"
_ATTACHED = {"too_complex", "damaged", "text_too_long"}  # of a letter: what is attached may be the reason
_STOPPED = {-signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP}  # by whoever ends the worker
_OUT_OF_LIMITS = {-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGALRM, -signal.SIGXFSZ}


class _Answer(msgspec.Struct):
    failed: str | None = None
    error: str | None = None
    pages: int | None = None
    scans: list[tuple[int, str, int | None]] = []
    fragments: list[tuple[str, int | None, str]] = []
    unread: list[tuple[str, str]] = []


async def parse_file(path: Path, mime: str, *, wall_seconds: float = WALL_SECONDS) -> ParsedDocument:
    """Read a file in a limited child process. Raises ParseFailed with the reason, or Interrupted if that is
    none of the file's; never hangs.

    A letter whose attachments take too much is read without them.
    """
    try:
        return _understand(await _ask(path, mime, wall_seconds=wall_seconds))
    except ParseFailed as failed:
        if mime != EML or failed.code not in _ATTACHED:
            raise
    return _understand(await _ask(path, mime, "read", str(ALONE), wall_seconds=wall_seconds))


async def draw(path: Path, mime: str, page: int) -> bytes:
    """Return a page, from 1, as a portable graymap, drawn in a limited child process. Raises ParseFailed."""
    output = await _ask(path, mime, "draw", str(page))
    if not output.startswith(b"P5"):
        _understand(output)
        raise failed_as("damaged")
    return output


@asynccontextmanager
async def child_of(path: Path, mime: str, *task: str) -> AsyncIterator[Process]:
    """Start a limited child; when the block ends, however it does, the child is gone."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-m", _CHILD, str(path), mime, *task),
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env={},
        start_new_session=True,
    )
    errors = asyncio.create_task(_drop_errors(process))
    try:
        yield process
    finally:
        await end(process)
        await errors


async def _ask(path: Path, mime: str, *task: str, wall_seconds: float = WALL_SECONDS) -> bytes:
    async with child_of(path, mime, *task) as process:
        return await hear(process, wall_seconds)


async def hear(process: Process, wall_seconds: float) -> bytes:
    """Return what a child says until it ends well. Raises ParseFailed if it does not, or says too much, and
    Interrupted if that is not the file's fault.
    """
    try:
        async with asyncio.timeout(wall_seconds):
            output = await _read(process)
            code = await process.wait()
    except TimeoutError as error:
        raise ParseFailed("too_complex") from error
    if code != 0:
        raise ended(code)
    return output


def ended(code: int) -> ParseFailed | Interrupted:
    """Return the reason of a child that ended badly."""
    log.warning("parsing_child_failed", code=code)
    if code in _STOPPED or code == UNREADY:
        return Interrupted(is_outdated=release.is_another())
    return failed_as("too_complex" if code in _OUT_OF_LIMITS else "damaged")


def failed_as(code: str) -> ParseFailed | Interrupted:
    """Return the reason that a child gave; what may come of another release's child is none."""
    if code not in FAILURES or (code == "damaged" and release.is_another()):
        return Interrupted(is_outdated=True)
    return ParseFailed(code)


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


async def end(process: Process) -> None:
    """Kill a child with all that it has started.

    What it has said is read first: asyncio calls no child ended whose pipes were not read to their end.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    while process.stdout is not None and await process.stdout.read(1 << 16):
        pass
    await process.wait()


def _understand(output: bytes) -> ParsedDocument:
    try:
        answer = msgspec.json.decode(output, type=_Answer)
    except msgspec.MsgspecError as error:
        raise failed_as("damaged") from error
    if answer.error is not None:
        log.warning("parsing_child_failed", error=answer.error)
    if answer.failed is not None:
        raise failed_as(answer.failed)
    fragments = tuple(Fragment(*fragment) for fragment in answer.fragments)
    scans = tuple(Scan(*scan) for scan in answer.scans)
    return ParsedDocument(fragments, answer.pages, scans, tuple(Unread(*one) for one in answer.unread))
