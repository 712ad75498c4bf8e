"""Ingestion of a document: claim, read the file without a connection, record."""

import asyncio
from typing import Protocol
from uuid import UUID

import structlog

from gptagent.features.knowledge import service
from gptagent.features.knowledge.indexing import pieces
from gptagent.features.knowledge.model import Document, Piece
from gptagent.features.knowledge.parsing import ParsedDocument, ParseFailed, parse_file
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Conflict, NotFound
from gptagent.kernel.files import FileStore
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)

PARSED_PROGRESS = 40

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


async def ingest(ctx: IngestContext, document_id: str) -> None:
    """Make a document's text retrievable, or fail it with a reason. Done again it changes nothing."""
    async with _SLOTS:
        async with ctx.db.session(ctx.scope) as session:
            claim = await service.claim_document(session, UUID(document_id), now=utcnow())
        if claim is None:
            return
        try:
            parsed = await _parse(ctx, claim)
            await _note(ctx, claim, PARSED_PROGRESS)
            await _record(ctx, claim, list(pieces(claim.title, parsed.fragments)))
        except ParseFailed as failed:
            async with ctx.db.session(ctx.scope) as session:
                await service.fail_document(
                    session, claim.id, failed.code, attempt=claim.attempts, now=utcnow()
                )
        except Conflict:
            log.info("ingest_outdated", document_id=document_id, attempt=claim.attempts)


async def give_up(ctx: IngestContext, document_id: str) -> None:
    """Show a document whose job died as failed, so that its owner can try again."""
    async with ctx.db.session(ctx.scope) as session:
        await service.fail_document(session, UUID(document_id), "internal", now=utcnow())


async def _parse(ctx: IngestContext, claim: Document) -> ParsedDocument:
    try:
        path = await ctx.files.open_path(claim.blob_key)
    except NotFound as error:
        raise ParseFailed("file_missing") from error
    return await parse_file(path, claim.mime)


async def _record(ctx: IngestContext, claim: Document, found: list[Piece]) -> None:
    async with ctx.db.session(ctx.scope) as session:
        async for written in service.record_pieces(session, claim, found, now=utcnow()):
            if written < len(found):
                share = (100 - PARSED_PROGRESS) * written // len(found)
                await _note(ctx, claim, PARSED_PROGRESS + share)


async def _note(ctx: IngestContext, claim: Document, progress: int) -> None:
    async with ctx.db.session(ctx.scope) as session:
        await service.note_progress(session, claim, progress, now=utcnow())
