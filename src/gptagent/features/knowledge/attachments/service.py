"""The verbs of articles' files."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.crm import service as crm
from gptagent.features.crm.replying import service as replying
from gptagent.features.knowledge.articles import service as articles
from gptagent.features.knowledge.attachments import store
from gptagent.features.knowledge.attachments.model import FILES_MAX, ArticleFile, NewFile, Stored
from gptagent.features.knowledge.quota import service as quota
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, NotFound
from gptagent.kernel.files import FileStore
from gptagent.kernel.ids import new_id


async def list_files(session: Session, article_id: UUID) -> list[ArticleFile]:
    """Return an article's files in the order they are sent in. Raises NotFound."""
    await articles.get_article(session, article_id)
    return await store.list_files(session, (article_id,))


async def files_to_send(session: Session, article_id: UUID) -> list[ArticleFile]:
    """Return what goes to a customer who was answered from the article; nothing if it is gone."""
    return await store.list_files(session, (article_id,))


async def add_file(session: Session, article_id: UUID, new: NewFile, *, now: datetime) -> Stored:
    """Give an article a file whose bytes are stored already; the same bytes are the file that is there.

    Raises NotFound; Conflict over FILES_MAX, or if the plan's storage is full.
    """
    await quota.hold(session)
    await articles.get_article(session, article_id, lock=True)
    same = await store.find_same(session, article_id, new.sha256)
    if same is not None:
        return Stored(same, is_new=False)
    if len(await store.list_files(session, (article_id,))) >= FILES_MAX:
        raise Conflict(
            "too_many_files",
            "An article has at most {max} files. Remove one of them first.",
            params={"max": FILES_MAX},
        )
    await quota.take_storage(session, new.size_bytes)
    file = await store.insert_file(session, new_id(), article_id, new, now)
    await audit.record(session, Entry("article.file_added", "article", str(article_id)))
    return Stored(file, is_new=True)


async def delete_file(session: Session, article_id: UUID, file_id: UUID) -> None:
    """Take a file from an article; what was sent stays sent. Raises NotFound."""
    if not await store.delete_file(session, article_id, file_id):
        raise _missing()
    await audit.record(session, Entry("article.file_removed", "article", str(article_id)))


async def open_file(
    session: Session, files: FileStore, article_id: UUID, file_id: UUID
) -> tuple[ArticleFile, Path]:
    """Return a file and where it lies. Raises NotFound."""
    file = await store.fetch_file(session, article_id, file_id)
    if file is None:
        raise _missing()
    return file, await path_of(session, files, file_id)


async def path_of(session: Session, files: FileStore, file_id: UUID) -> Path:
    """Return where a file lies, whichever article it belongs to. Raises NotFound if it was removed."""
    key = await store.find_key(session, file_id)
    if key is None:
        raise _missing()
    return await files.open_path(key)


async def without_files(session: Session) -> Sequence[str]:
    """Return the names of the active connections whose replies, as they go now, can carry no file."""
    return [
        one.name or one.host
        for one in await crm.list_connections(session)
        if one.is_active and not await replying.carries_files(session, one.id)
    ]


def _missing() -> NotFound:
    return NotFound("file_not_found", "There is no such file.")
