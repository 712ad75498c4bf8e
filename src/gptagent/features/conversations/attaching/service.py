"""Files that come with messages: noted with the message, fetched by a job, handed out on request."""

import re
import unicodedata
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import UUID

import structlog
from starlette.responses import Response

from gptagent.features.conversations.attaching import store
from gptagent.features.conversations.events import FileKept
from gptagent.features.conversations.model import Attachment, Medium, topic_of
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.model import InboundMessage
from gptagent.features.crm.ports import CrmPort
from gptagent.kernel import http
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, Invalid, NotFound, TooLarge
from gptagent.kernel.events import Subscribers
from gptagent.kernel.files import FileStore
from gptagent.kernel.ids import new_id
from gptagent.kernel.jobs import JobContext
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)

FETCH = "conversations.fetch_attachment"
URL_PURPOSE = "attachment"
MAX_BYTES = 25_000_000  # what the channels themselves let through, WhatsApp's documents apart
NAME_MAX_CHARS = 120
URL_MAX_CHARS = 2_000
GARBAGE_BATCH = 200
OFF_PAUSE = timedelta(hours=1)
_FORBIDDEN = re.compile(r'[\\/:*?"<>|]')


async def note_attachment(session: Session, conversation_id: UUID, seq: int, message: InboundMessage) -> None:
    """Remember the file of a message just stored; its job leaves with this transaction."""
    if message.attachment_url is None or len(message.attachment_url) > URL_MAX_CHARS:
        return
    attachment_id = new_id()
    await store.insert_attachment(
        session,
        attachment_id,
        conversation_id,
        seq,
        kind=message.attachment_type or "file",
        name=_name(message),
        url_sealed=session.vault.seal(
            message.attachment_url, org_id=session.scope.org_id, purpose=URL_PURPOSE
        ),
        hearing="waiting" if message.author == "customer" else "none",
    )
    await session.enqueue(FETCH, {"attachment_id": str(attachment_id)})


def _name(message: InboundMessage) -> str:
    """Return a harmless name: no path, nothing invisible, not too long."""
    try:
        of_url = unquote(urlsplit(message.attachment_url or "").path.rpartition("/")[2])
    except ValueError:
        of_url = ""
    text = message.attachment_name or of_url
    visible = "".join(char for char in text if unicodedata.category(char)[0] != "C")
    plain = _FORBIDDEN.sub("_", visible).strip(" .")
    stem, dot, ending = plain.rpartition(".")
    if dot and len(plain) > NAME_MAX_CHARS:
        plain = f"{stem[: NAME_MAX_CHARS - len(ending) - 1]}.{ending}" if len(ending) < 10 else stem
    return plain[:NAME_MAX_CHARS] or "file"


async def list_attachments(session: Session, conversation_id: UUID, seqs: Sequence[int]) -> list[Attachment]:
    """Return the files of these messages, in their order."""
    rows = await store.select_attachments(session, conversation_id, list(seqs))
    return [Attachment(**dict(row)) for row in rows]


async def open_attachment(
    session: Session, files: FileStore, conversation_id: UUID, attachment_id: UUID
) -> tuple[Attachment, Path]:
    """Return a file that is here, and where it lies. Raises NotFound; Conflict while it is not here."""
    row = await store.select_attachment(session, conversation_id, attachment_id)
    if row is None:
        raise NotFound
    if row["blob_key"] is None:
        raise Conflict("attachment_not_here", "The file has not been fetched from the CRM.")
    path = await files.open_path(row["blob_key"])
    return Attachment(**{name: row[name] for name in Attachment.__dataclass_fields__}), path


def as_download(attachment: Attachment, path: Path) -> Response:
    """Hand a stranger's file out; see `kernel.http.as_download`."""
    return http.as_download(attachment.name, path)


@dataclass(frozen=True, slots=True)
class Unheard:
    """A customer's file that is here and that nobody has listened to."""

    id: UUID
    conversation_id: UUID
    seq: int
    kind: str
    name: str
    key: str
    size_bytes: int


async def find_unheard(session: Session, attachment_id: UUID) -> Unheard | None:
    """Return the file if it waits to be heard, else None."""
    row = await store.select_unheard(session, attachment_id)
    if row is None:
        return None
    return Unheard(**dict(row))


async def record_words(
    session: Session,
    attachment_id: UUID,
    conversation_id: UUID,
    words: str,
    medium: Medium,
    *,
    by: str | None,
) -> None:
    """Keep what a machine made of a file; the first to tell is believed. `by`: the model, if it was one."""
    if await store.end_hearing(session, attachment_id, medium=medium, by=by, words=words):
        await _tell(session, conversation_id)


async def record_unheard(session: Session, attachment_id: UUID, conversation_id: UUID, reason: str) -> None:
    """Keep why nothing is known of a file."""
    if await store.end_hearing(session, attachment_id, reason=reason):
        await _tell(session, conversation_id)


async def is_being_heard(
    session: Session, conversation_id: UUID, seqs: Sequence[int], within: timedelta
) -> bool:
    """Whether a file of these messages that came within this time is still to be heard."""
    return await store.is_waiting(session, conversation_id, list(seqs), within)


async def count_heard(session: Session, conversation_id: UUID, within: timedelta) -> int:
    """Return how many files of the conversation models have listened to lately."""
    return await store.count_heard(session, conversation_id, within)


@dataclass(frozen=True, slots=True)
class AttachmentJobs:
    """Handlers with what they call."""

    crm: CrmPort
    vault: Vault
    subscribers: Subscribers = field(default_factory=Subscribers)

    async def fetch(self, ctx: JobContext, /, attachment_id: str) -> None:
        """Fetch a file into the store; again it changes nothing. An account that is off is waited for."""
        row = await self._claim(ctx, UUID(attachment_id))
        if row is None:
            return
        connection_id, url, conversation_id = row
        async with ctx.db.session(ctx.scope) as session:
            try:
                link = await crm_service.open_link(session, connection_id, self.vault)
            except Conflict:
                await session.enqueue(FETCH, {"attachment_id": attachment_id}, delay=OFF_PAUSE)
                return
        try:
            found = await self.crm.download_attachment(link, url, max_bytes=MAX_BYTES)
        except (Invalid, TooLarge, NotFound) as error:
            log.info("attachment_refused", error=error.code, attachment_id=attachment_id)
            await _end(ctx, attachment_id, conversation_id, "refused")
            return
        key = ctx.scope.key("attachments", conversation_id.hex, UUID(attachment_id).hex)
        stored = await ctx.files.put(key, _once(found.content), max_bytes=MAX_BYTES)
        async with ctx.db.session(ctx.scope) as session:
            is_kept = await store.keep_attachment(
                session, UUID(attachment_id), key, stored.size_bytes, stored.sha256
            )
            await _tell(session, conversation_id)
            if is_kept:
                await self.subscribers.publish(session, FileKept(UUID(attachment_id)))
        if not is_kept:  # erased meanwhile
            await ctx.files.delete(key)

    async def give_up(self, ctx: JobContext, /, attachment_id: str) -> None:
        async with ctx.db.session(ctx.scope) as session:
            row = await store.select_pending(session, UUID(attachment_id))
        if row is not None:
            await _end(ctx, attachment_id, row["conversation_id"], "failed")

    async def _claim(self, ctx: JobContext, attachment_id: UUID) -> tuple[UUID, str, UUID] | None:
        async with ctx.db.session(ctx.scope) as session:
            row = await store.select_pending(session, attachment_id)
            if row is None:
                return None
            url = session.vault.open(row["url_sealed"], org_id=ctx.scope.org_id, purpose=URL_PURPOSE)
        return row["connection_id"], url, row["conversation_id"]


async def _end(ctx: JobContext, attachment_id: str, conversation_id: UUID, state: str) -> None:
    async with ctx.db.session(ctx.scope) as session:
        await store.end_attachment(session, UUID(attachment_id), state)
        await _tell(session, conversation_id)


async def _tell(session: Session, conversation_id: UUID) -> None:
    ids = {"conversation_id": str(conversation_id)}
    await session.publish(topic_of(conversation_id), "changed", ids)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def discard_files(db: Database, files: FileStore) -> int:
    """Delete the files whose rows are gone. Returns how many."""
    async with db.installation() as session:
        workspaces = await store.garbage_workspaces(session)
    count = 0
    for org_id in workspaces:
        async with db.session(Scope(org_id)) as session:
            keys = await store.garbage(session, GARBAGE_BATCH)
        for key in keys:
            try:
                await files.delete(key)
            except (AppError, OSError) as error:
                log.warning("file_not_deleted", error=type(error).__name__)
                continue
            async with db.session(Scope(org_id)) as session:
                await store.forget_garbage(session, key)
            count += 1
    return count
