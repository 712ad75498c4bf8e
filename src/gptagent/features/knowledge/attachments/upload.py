"""Taking in a file of an article: it is what its ending says, and not too large; else nothing is kept."""

from collections.abc import AsyncIterator
from datetime import datetime
from uuid import UUID

from starlette.datastructures import UploadFile

from gptagent.features.knowledge.attachments import service
from gptagent.features.knowledge.attachments.model import (
    FILE_MAX_BYTES,
    FORMATS,
    HEAD_BYTES,
    FileType,
    NewFile,
    Stored,
    type_of,
)
from gptagent.features.knowledge.model import clean_file_name
from gptagent.features.knowledge.upload import read_chunks
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Invalid, UnsupportedType
from gptagent.kernel.files import FileStore
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Scope


async def store_file(
    db: Database,
    files: FileStore,
    scope: Scope,
    article_id: UUID,
    upload: UploadFile,
    *,
    now: datetime,
) -> Stored:
    """Store an upload as an article's file. Raises UnsupportedType, Invalid, TooLarge, NotFound, Conflict."""
    async with db.session(scope) as session:  # nothing is read for an article that is not there
        await service.list_files(session, article_id)
    file_name = clean_file_name(upload.filename or "")
    kind = type_of(file_name)
    if kind is None:
        raise UnsupportedType(
            "file_type_not_sent",
            "Files of this type cannot be sent. Add one of these: {formats}.",
            params={"formats": FORMATS},
        )
    key = scope.key("article-files", new_id().hex)
    stored = await files.put(key, _sniffed(read_chunks(upload), kind), max_bytes=FILE_MAX_BYTES)
    new = NewFile(file_name, kind, stored.size_bytes, stored.sha256, stored.key)
    try:
        async with db.session(scope) as session:
            kept = await service.add_file(session, article_id, new, now=now)
    except BaseException:
        await files.delete(stored.key)
        raise
    if not kept.is_new:
        await files.delete(stored.key)
    return kept


async def _sniffed(chunks: AsyncIterator[bytes], kind: FileType) -> AsyncIterator[bytes]:
    """Pass the bytes on if the first of them are what the ending says. Raises Invalid."""
    head = b""
    async for chunk in chunks:
        if len(head) >= HEAD_BYTES:
            yield chunk
            continue
        head += chunk
        if len(head) >= HEAD_BYTES:
            _check(head, kind)
            yield head
    if len(head) < HEAD_BYTES:
        _check(head, kind)
        yield head


def _check(head: bytes, kind: FileType) -> None:
    if not head:
        raise Invalid("file_empty", "The file is empty.")
    if not kind.fits(head[:HEAD_BYTES]):
        raise Invalid("file_type_mismatch", "The content of the file is not what its name says.")
