"""Ingestion of a document: claim, read the file without a connection, record."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Protocol
from uuid import UUID

import structlog

from gptagent.features.knowledge import service
from gptagent.features.knowledge.indexing import pieces
from gptagent.features.knowledge.model import (
    FILE_MAX_BYTES,
    ZIP,
    Document,
    NewDocument,
    Piece,
    Unread,
    mime_by_name,
)
from gptagent.features.knowledge.parsing import (
    Interrupted,
    ParsedDocument,
    ParseFailed,
    Unpacked,
    parse_file,
    read_scans,
    unpack_file,
)
from gptagent.features.knowledge.placing.service import place_as
from gptagent.features.knowledge.ports import Recogniser
from gptagent.features.knowledge.upload import drop_spare
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Conflict, NotFound, TooLarge
from gptagent.kernel.files import FileStore
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)

BEGUN_PROGRESS = 5  # of a claim
PARSED_PROGRESS = 40
RESTART_PAUSE = timedelta(seconds=30)  # until a worker of the release that is installed may be there
PAGE_SECONDS = 4.0  # until the first page that is recognised has told better

# A child may take 1 GiB and a core; recording holds a connection while progress takes a second one.
_SLOTS = asyncio.Semaphore(2)


class IngestContext(Protocol):
    """What ingestion needs of a job's context."""

    @property
    def db(self) -> Database: ...
    @property
    def files(self) -> FileStore: ...
    @property
    def scope(self) -> Scope: ...


async def ingest(ctx: IngestContext, document_id: str, *, recogniser: Recogniser | None = None) -> None:
    """Make a document's text retrievable, or fail it with a reason. Done again it changes nothing.

    An archive becomes a document for each file of it that can be taken. What another release is installed
    for meanwhile is left to the worker that will be started.
    """
    async with _SLOTS:
        async with ctx.db.session(ctx.scope) as session:
            claim = await service.claim_document(
                session, UUID(document_id), now=utcnow(), seconds_per_byte=_PACE.seconds_per_byte
            )
        if claim is None:
            return
        began = perf_counter()
        try:
            if claim.mime == ZIP:
                await _unpack(ctx, claim)
            else:
                parsed = await _parse(ctx, claim, recogniser)
                await _note(ctx, claim, PARSED_PROGRESS)
                await _record(ctx, claim, list(pieces(claim.title, parsed.fragments)), parsed.unread)
            _PACE.learn(claim, perf_counter() - began)
        except ParseFailed as failed:
            async with ctx.db.session(ctx.scope) as session:
                await service.fail_document(
                    session, claim.id, failed.code, attempt=claim.attempts, now=utcnow()
                )
        except Interrupted as stopped:
            if not stopped.is_outdated:
                raise  # the queue has it tried again
            log.warning("worker_outdated", document_id=document_id)
            async with ctx.db.session(ctx.scope) as session:
                await service.queue_again(session, claim.id, delay=RESTART_PAUSE)
        except Conflict:
            log.info("ingest_outdated", document_id=document_id, attempt=claim.attempts)


async def give_up(ctx: IngestContext, document_id: str) -> None:
    """Show a document whose job died as failed, so that its owner can try again."""
    async with ctx.db.session(ctx.scope) as session:
        await service.fail_document(session, UUID(document_id), "internal", now=utcnow())


async def _path(ctx: IngestContext, claim: Document) -> Path:
    try:
        return await ctx.files.open_path(claim.blob_key)
    except NotFound as error:
        raise ParseFailed("file_missing") from error


async def _parse(ctx: IngestContext, claim: Document, recogniser: Recogniser | None) -> ParsedDocument:
    path = await _path(ctx, claim)
    parsed = await parse_file(path, claim.mime)
    began = perf_counter()

    async def told(done: int, pages: int) -> None:
        """Pages are recognised one after another, so those behind tell when the last one will be done."""
        share = (PARSED_PROGRESS - BEGUN_PROGRESS) * done // pages
        left = (perf_counter() - began) / done * (pages - done) if done else PAGE_SECONDS * pages
        await _note(ctx, claim, BEGUN_PROGRESS + share, timedelta(seconds=left))

    return await read_scans(path, claim.mime, parsed, recogniser, told)


async def _unpack(ctx: IngestContext, archive: Document) -> None:
    taken, unread = 0, list[Unread]()
    async for file in unpack_file(await _path(ctx, archive)):
        try:
            await _take(ctx, file, archive)
            taken += 1
        except ParseFailed as failed:
            unread.append(Unread(file.name, failed.code))
        share = (100 - BEGUN_PROGRESS) * (file.index + 1) // file.count
        await _note(ctx, archive, min(BEGUN_PROGRESS + share, 99))
    if not taken:
        raise ParseFailed("nothing_read")
    async with ctx.db.session(ctx.scope) as session:
        await service.record_entries(session, archive, taken, unread, now=utcnow())


async def _take(ctx: IngestContext, file: Unpacked, archive: Document) -> None:
    """Make a document of an archive's file, the archive's owner's and in its categories; one that is there
    already stays where people have put it. Raises ParseFailed.
    """
    mime = mime_by_name(file.name)
    if file.failed or mime is None:
        raise ParseFailed(file.failed or "type_unsupported")
    key = ctx.scope.key("documents", new_id().hex)
    try:
        stored = await ctx.files.put(key, file.chunks, max_bytes=FILE_MAX_BYTES)
    except TooLarge as error:
        raise ParseFailed("entry_too_large") from error
    new = NewDocument(
        file.name, mime, stored.size_bytes, stored.sha256, stored.key, agent_id=archive.agent_id
    )
    try:
        async with ctx.db.session(ctx.scope) as session:
            registration = await service.register_document(session, new, now=utcnow())
            if registration.is_new and registration.replaced_key is None:
                await place_as(session, registration.document.id, archive.id)
    except Conflict as error:
        await ctx.files.delete(stored.key)
        raise ParseFailed("storage_full" if error.code == "storage_full" else "internal") from error
    except BaseException:
        await ctx.files.delete(stored.key)
        raise
    await drop_spare(ctx.files, stored.key, registration)


async def _record(ctx: IngestContext, claim: Document, found: list[Piece], unread: Sequence[Unread]) -> None:
    async with ctx.db.session(ctx.scope) as session:
        async for written in service.record_pieces(session, claim, found, unread=unread, now=utcnow()):
            if written < len(found):
                share = (100 - PARSED_PROGRESS) * written // len(found)
                await _note(ctx, claim, PARSED_PROGRESS + share)


async def _note(ctx: IngestContext, claim: Document, progress: int, left: timedelta | None = None) -> None:
    now = utcnow()
    async with ctx.db.session(ctx.scope) as session:
        expected = now + left if left is not None else None
        await service.note_progress(session, claim, progress, now=now, expected_at=expected)


class _Pace:
    """How long this machine takes for a byte of each type: what the next one is expected to take."""

    def __init__(self) -> None:
        self.seconds_per_byte: dict[str, float] = {}

    def learn(self, done: Document, seconds: float) -> None:
        """Move the expectation a third of the way to what was just seen."""
        seen = max(seconds - 1, 0.0) / max(done.size_bytes, 1)
        known = self.seconds_per_byte.get(done.mime, seen)
        self.seconds_per_byte[done.mime] = known + (seen - known) / 3


_PACE = _Pace()
