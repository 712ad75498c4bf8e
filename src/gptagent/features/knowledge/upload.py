"""Taking in a file: store the bytes, then the row; the same bytes twice are one document."""

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from starlette.datastructures import UploadFile

from gptagent.features.knowledge import service
from gptagent.features.knowledge.model import (
    FILE_MAX_BYTES,
    FORMATS,
    NewDocument,
    Registration,
    StageKey,
    clean_file_name,
    mime_by_name,
)
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Invalid, UnsupportedType
from gptagent.kernel.files import FileStore
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Scope

UPLOAD_CHUNK_BYTES = 1_000_000


async def store_upload(
    db: Database,
    files: FileStore,
    scope: Scope,
    name: str,
    chunks: AsyncIterator[bytes],
    *,
    categories: Sequence[UUID] = (),
    stages: Sequence[StageKey] = (),
    agent_id: UUID | None = None,
    now: datetime,
) -> Registration:
    """Store an upload, the workspace's or an agent's own, and queue its reading.

    Raises UnsupportedType, TooLarge, Invalid for a category or stage that is not there; keeps nothing then.
    """
    file_name = clean_file_name(name)
    mime = mime_by_name(file_name)
    if mime is None:
        raise UnsupportedType(
            "file_type_unsupported",
            "Files of this type are not read. Upload one of these: {formats}.",
            params={"formats": FORMATS},
        )
    stored = await files.put(scope.key("documents", new_id().hex), chunks, max_bytes=FILE_MAX_BYTES)
    kept = (stored.size_bytes, stored.sha256, stored.key)
    new = NewDocument(file_name, mime, *kept, tuple(categories), tuple(stages), agent_id)
    try:
        async with db.session(scope) as session:
            registration = await service.register_document(session, new, now=now)
    except BaseException:
        await files.delete(stored.key)
        raise
    await drop_spare(files, stored.key, registration)
    return registration


async def store_uploads(
    db: Database,
    files: FileStore,
    scope: Scope,
    given: Iterable[object],
    *,
    categories: Sequence[UUID] = (),
    agent_id: UUID | None = None,
    now: datetime,
) -> list[tuple[str, AppError]]:
    """Store the files of a form, each that can be taken; return the names of the others with their reason."""
    refused: list[tuple[str, AppError]] = []
    chosen = [one for one in given if isinstance(one, UploadFile) and one.filename]
    for file in chosen:
        name = file.filename or ""
        try:
            await store_upload(
                db, files, scope, name, read_chunks(file), categories=categories, agent_id=agent_id, now=now
            )
        except AppError as error:
            refused.append((name, error))
    return refused if chosen else [("", Invalid("invalid", "Choose a file first."))]


async def drop_spare(files: FileStore, key: str, registration: Registration) -> None:
    """Delete what a registration has made needless: this copy, or the bytes it took the place of."""
    if not registration.is_new:
        await files.delete(key)
    elif registration.replaced_key is not None:
        await files.delete(registration.replaced_key)


async def read_chunks(file: UploadFile) -> AsyncIterator[bytes]:
    """Yield an uploaded file's bytes, a part at a time."""
    while chunk := await file.read(UPLOAD_CHUNK_BYTES):
        yield chunk
