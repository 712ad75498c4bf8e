"""All SQL of articles' files. Tenancy is the database's: no statement names the workspace."""
# ruff: noqa: S608 - what is put into statements are this module's columns

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from gptagent.features.knowledge.attachments.model import ArticleFile, NewFile
from gptagent.kernel.db import Session

_FILE = "id, article_id, name, kind, mime, size_bytes, created_at"


async def list_files(session: Session, article_ids: Collection[UUID]) -> list[ArticleFile]:
    rows = await session.fetch(
        f"select {_FILE} from app.article_file where article_id = any($1) order by id", list(article_ids)
    )
    return [ArticleFile(**dict(row)) for row in rows]


async def fetch_file(session: Session, article_id: UUID, file_id: UUID) -> ArticleFile | None:
    row = await session.fetchrow(
        f"select {_FILE} from app.article_file where article_id = $1 and id = $2", article_id, file_id
    )
    return ArticleFile(**dict(row)) if row else None


async def find_same(session: Session, article_id: UUID, sha256: str) -> ArticleFile | None:
    row = await session.fetchrow(
        f"select {_FILE} from app.article_file where article_id = $1 and sha256 = $2", article_id, sha256
    )
    return ArticleFile(**dict(row)) if row else None


async def find_key(session: Session, file_id: UUID) -> str | None:
    key: str | None = await session.fetchval("select blob_key from app.article_file where id = $1", file_id)
    return key


async def insert_file(
    session: Session, file_id: UUID, article_id: UUID, new: NewFile, now: datetime
) -> ArticleFile:
    row = await session.fetchrow(
        f"""insert into app.article_file
              (id, article_id, name, kind, mime, size_bytes, sha256, blob_key, created_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9) returning {_FILE}""",
        file_id,
        article_id,
        new.name,
        new.type.kind,
        new.type.mime,
        new.size_bytes,
        new.sha256,
        new.blob_key,
        now,
    )
    return ArticleFile(**dict(row or {}))


async def delete_file(session: Session, article_id: UUID, file_id: UUID) -> bool:
    """Its bytes are deleted by the worker, as the table's trigger notes."""
    return bool(
        await session.fetchval(
            "delete from app.article_file where article_id = $1 and id = $2 returning true",
            article_id,
            file_id,
        )
    )
