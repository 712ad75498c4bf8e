"""The verbs of documents: uploads, their way through ingestion, their end."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.knowledge import store
from gptagent.features.knowledge.extraction import service as graph
from gptagent.features.knowledge.model import (
    FILE_MAX_BYTES,
    ZIP,
    Document,
    Done,
    KnowledgeCounts,
    NewDocument,
    Piece,
    Registration,
    StageKey,
    Unread,
)
from gptagent.features.knowledge.placing import service as placing
from gptagent.features.knowledge.quota import service as quota
from gptagent.features.knowledge.staging.service import check_stages
from gptagent.features.knowledge.vectors.service import note_changed
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, Invalid, NotFound, TooLarge
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page, orders

INGEST_JOB = "knowledge.ingest"
LIVE_TOPIC = "documents"
PAGE_LIMIT = 50
DOCUMENT_ORDERS = orders(name="title")
NO_PACE: Mapping[str, float] = {}
PIECES_PER_STATEMENT = 200  # about 0.2 s of the database's time


async def register_document(session: Session, new: NewDocument, *, now: datetime) -> Registration:
    """Store what is known of an upload and queue its ingestion. The bytes lie in the file store already.

    The same bytes give the existing document; of an archive they are unpacked anew. Other bytes under the
    name of a document take its place; what it said answers until they are read. All that is told of one
    owner's documents, an agent's or the workspace's, and not of another's. Raises TooLarge, Invalid for an
    empty file and a category or stage that is not there, and Conflict if the plan's storage is full.
    """
    if not new.size_bytes:
        raise Invalid("file_empty", "The file is empty.")
    if new.size_bytes > FILE_MAX_BYTES:
        limit = FILE_MAX_BYTES // 1_000_000
        raise TooLarge("file_too_large", "The file is larger than {limit} MB.", params={"limit": limit})
    await placing.check(session, new.categories)
    await check_stages(session, new.stages)
    await quota.hold(session)
    same = await store.fetch_document(session, digest=new.digest)
    if same is None:
        await quota.take_storage(session, new.size_bytes, instead_of=new.file_name, of_agent=new.agent_id)
    replaced = None if same else await store.replace_document(session, new, now)
    if replaced is not None:
        changed, key = replaced
        await _queue(session, changed.id)
        await audit.record(session, _entry("document.replaced", changed))
        return Registration(await _placed(session, changed, new), is_new=True, replaced_key=key)
    document = None if same else await store.insert_document(session, new_id(), new, now)
    if document is None:
        same = same or await store.fetch_document(session, digest=new.digest)
        if same is None:
            raise Conflict("document_changed", "This file was deleted at the same moment. Upload it again.")
        if same.mime == ZIP:
            same = await _unpack_anew(session, same, now)
        return Registration(await _placed(session, same, new), is_new=False)
    await _queue(session, document.id)
    await audit.record(session, _entry("document.uploaded", document))
    return Registration(await _placed(session, document, new), is_new=True)


async def retry_document(
    session: Session, document_id: UUID, *, agent_id: UUID | None = None, now: datetime
) -> Document:
    """Queue a failed document again. Raises NotFound, and Conflict if it did not fail."""
    await get_document(session, document_id, agent_id=agent_id, lock=True)
    document = await store.reset_document(session, document_id, now)
    if document is None:
        raise Conflict("document_not_failed", "Only a failed document can be tried again.")
    await _queue(session, document_id)
    return document


async def queue_again(session: Session, document_id: UUID, *, delay: timedelta = timedelta(0)) -> None:
    """Have a document read that waits, or whose reading was stopped."""
    await session.enqueue(INGEST_JOB, {"document_id": str(document_id)}, delay=delay)


async def delete_document(session: Session, document_id: UUID, *, agent_id: UUID | None = None) -> str:
    """Delete a document with its passages. Returns the key of its bytes, to be deleted after the commit.

    Raises NotFound.
    """
    document = await get_document(session, document_id, agent_id=agent_id)
    key = await store.delete_document(session, document_id)
    if key is None:
        raise _missing()
    await note_changed(session)
    await _announce(session, document_id)
    await audit.record(session, _entry("document.deleted", document))
    return key


async def delete_documents_of(session: Session, agent_id: UUID) -> None:
    """Delete an agent's own documents, for it is being deleted. Their bytes are discarded later."""
    gone = await store.delete_documents_of(session, agent_id)
    if gone:
        await note_changed(session)
    for document_id in gone:
        await _announce(session, document_id)


async def place_document(
    session: Session,
    document_id: UUID,
    categories: Collection[UUID] | None = None,
    *,
    stages: Collection[StageKey] | None = None,
) -> Document:
    """Put a document into these categories and no other, and have it be for these stages, for every one
    without any; None leaves either as it is.

    Raises NotFound, Invalid for one that is not there, and Conflict for a page of a site, which is where its
    site is.
    """
    document = await get_document(session, document_id, lock=True)
    if document.url is not None:
        raise Conflict("document_of_site", "A page of a site is in the categories of its site.")
    changed: dict[str, tuple[object, object] | None] = {}
    if categories is not None and await placing.place_document(session, document_id, categories):
        changed["categories"] = None
    if stages is not None and await placing.bind_document(session, document, stages):
        changed["stages"] = None
    if changed:
        await audit.record(session, Entry("document.updated", "document", str(document_id), changed))
        await _announce(session, document_id)
    return await get_document(session, document_id)


async def get_document(
    session: Session, document_id: UUID, *, agent_id: UUID | None = None, lock: bool = False
) -> Document:
    """Return a document of this agent, with None one of the workspace. Raises NotFound.

    `lock` keeps others from changing it meanwhile.
    """
    document = await store.fetch_document(session, document_id, lock=lock)
    if document is None or document.agent_id != agent_id:
        raise _missing()
    return document


async def list_documents(
    session: Session,
    *,
    search: str = "",
    before: UUID | None = None,
    limit: int = PAGE_LIMIT,
    agent_id: UUID | None = None,
) -> list[Document]:
    """Return the workspace's documents, or an agent's own, newest first, older than `before`.

    `search` is part of a file name.
    """
    return await store.list_documents(session, search.strip(), before, min(limit, PAGE_LIMIT), agent_id)


async def page_documents(
    session: Session,
    page: Page,
    *,
    search: str = "",
    status: str | None = None,
    agent_id: UUID | None = None,
) -> tuple[list[Document], str | None]:
    """Return a page of the workspace's documents, or of an agent's own, and the next one's cursor, if any."""
    found = await store.page_documents(session, page, search.strip(), status, agent_id)
    return page.cut(found, lambda document: (getattr(document, page.order.column), document.id))


async def count_sources(session: Session) -> KnowledgeCounts:
    """Return how much there is to answer from."""
    return await store.count_sources(session)


async def claim_document(
    session: Session, document_id: UUID, *, now: datetime, seconds_per_byte: Mapping[str, float] = NO_PACE
) -> Document | None:
    """Begin an attempt at ingestion. None if the document is gone, completed or failed."""
    claim = await store.claim_document(session, document_id, now, seconds_per_byte)
    if claim is not None:
        await _announce(session, document_id)
    return claim


async def note_progress(
    session: Session, claim: Document, progress: int, *, now: datetime, expected_at: datetime | None = None
) -> None:
    """Tell the screen how far an attempt is, in per cent, and when it will end, if that is known better now.

    Raises Conflict if the attempt is outdated.
    """
    if not await store.advance_document(session, claim, progress, now, expected_at=expected_at):
        raise _outdated()
    await _announce(session, claim.id)


async def record_pieces(
    session: Session,
    claim: Document,
    pieces: Sequence[Piece],
    *,
    unread: Sequence[Unread] = (),
    now: datetime,
) -> AsyncIterator[int]:
    """Replace the document's passages and complete it, yielding after each part how many are written.

    All or nothing, for it is one transaction. Raises Conflict if the attempt is outdated.
    """
    if not await store.hold_document(session, claim):
        raise _outdated()
    if await store.has_pieces(session, "document", claim.id):
        await graph.hold_off(session)
        await store.delete_pieces(session, "document", claim.id)
    for start in range(0, len(pieces), PIECES_PER_STATEMENT):
        part = pieces[start : start + PIECES_PER_STATEMENT]
        await store.insert_pieces(session, "document", claim.id, part, start)
        yield start + len(part)
    # Last, so that the row is not locked while progress is told from other transactions.
    await _complete(session, claim, Done(len(pieces), unread=tuple(unread)), now)
    if pieces and claim.agent_id is None:  # what the graph knows is every agent's
        await graph.queue_source(session, claim.id)


async def record_entries(
    session: Session, claim: Document, entries: int, unread: Sequence[Unread], *, now: datetime
) -> None:
    """Complete an archive of whose files so many became documents. Raises Conflict if that is outdated."""
    await store.delete_pieces(session, "document", claim.id)
    await _complete(session, claim, Done(0, entries, tuple(unread)), now)


async def _complete(session: Session, claim: Document, done: Done, now: datetime) -> None:
    if not await store.advance_document(session, claim, 100, now, done=done):
        raise _outdated()
    await note_changed(session)
    await _announce(session, claim.id)


async def fail_document(
    session: Session, document_id: UUID, error_code: str, *, attempt: int | None = None, now: datetime
) -> None:
    """End an attempt (None: whichever is under way) with its reason; an outdated one changes nothing."""
    if await store.fail_document(session, document_id, attempt, error_code, now):
        # of the file that was here before, if any: it is gone
        await store.delete_pieces(session, "document", document_id)
        await note_changed(session)
        await _announce(session, document_id)


async def _unpack_anew(session: Session, archive: Document, now: datetime) -> Document:
    reset = await store.reset_document(session, archive.id, now, status="completed")
    if reset is None:  # under way already
        return archive
    await _queue(session, reset.id)
    return reset


async def _placed(session: Session, document: Document, new: NewDocument) -> Document:
    """Return the document with the categories and stages that came with its bytes; without any of either it
    stays where it is.
    """
    if not (new.categories or new.stages) or document.url is not None:
        return document
    return await place_document(session, document.id, new.categories or None, stages=new.stages or None)


def _entry(action: str, document: Document) -> Entry:
    """Return what is kept of an action, for an agent's own document whose it is."""
    owner = {"agent_id": (None, str(document.agent_id))} if document.agent_id else {}
    return Entry(action, "document", str(document.id), owner)


async def _queue(session: Session, document_id: UUID) -> None:
    await queue_again(session, document_id)
    await _announce(session, document_id)


async def _announce(session: Session, document_id: UUID) -> None:
    await session.publish(LIVE_TOPIC, "changed", {"document_id": str(document_id)})


def _missing() -> NotFound:
    return NotFound("document_not_found", "There is no such document.")


def _outdated() -> Conflict:
    return Conflict("document_attempt_outdated", "The document was deleted or is being processed anew.")
