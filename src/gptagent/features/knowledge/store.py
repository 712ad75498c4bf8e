"""All SQL of knowledge. Tenancy is the database's: no statement names the workspace."""
# ruff: noqa: S608 - what is put into statements are this module's columns, the two kinds and constants

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from gptagent.features.knowledge.model import (
    Document,
    DocumentStatus,
    Done,
    KnowledgeCounts,
    NewDocument,
    Piece,
    SourceKind,
    Unread,
    title_of,
)
from gptagent.features.knowledge.staging.model import stages_of
from gptagent.features.knowledge.staging.store import STAGES_OF
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page

_DOCUMENT = """id, title, file_name, mime, size_bytes, sha256, blob_key, status, progress, error_code,
               attempts, chunk_count, expected_at, entry_count, unread::text as unread, created_at,
               updated_at, url, agent_id,
               array(select m.category_id from app.document_category m where m.document_id = document.id
                     union select m.category_id
                             from app.site_category m join app.site_page p on p.site_id = m.site_id
                            where p.id = document.page_id order by 1) as categories,
               """ + STAGES_OF.replace("$source", "document.id")


async def page_documents(
    session: Session, page: Page, search: str, status: str | None, agent_id: UUID | None
) -> list[Document]:
    rows = await session.fetch(
        f"""select {_DOCUMENT} from app.document
             where page_id is null and agent_id is not distinct from $3::uuid
               and ($1 = '' or strpos(lower(file_name), lower($1)) > 0)
               and ($2::text is null or status = $2) and {page.clause(4)}""",
        search,
        status,
        agent_id,
        *page.args,
    )
    return [_document(row) for row in rows]


async def insert_document(
    session: Session, document_id: UUID, new: NewDocument, now: datetime
) -> Document | None:
    """Return None if the same bytes are here already, or the agent is gone."""
    row = await session.fetchrow(
        f"""insert into app.document
              (id, title, file_name, mime, size_bytes, sha256, blob_key, created_at, updated_at, agent_id)
            select $1, $2, $3, $4, $5, $6, $7, $8, $8, $9
             where $9::uuid is null or exists (select from app.agent where id = $9 for key share)
            on conflict (org_id, sha256) do nothing returning {_DOCUMENT}""",
        document_id,
        title_of(new.file_name),
        new.file_name,
        new.mime,
        new.size_bytes,
        new.digest,
        new.blob_key,
        now,
        new.agent_id,
    )
    return _document(row) if row else None


async def fetch_document(
    session: Session, document_id: UUID | None = None, *, digest: str | None = None, lock: bool = False
) -> Document | None:
    row = await session.fetchrow(
        f"""select {_DOCUMENT} from app.document where id = $1 or sha256 = $2
            {"for no key update" if lock else ""}""",
        document_id,
        digest,
    )
    return _document(row) if row else None


async def list_documents(
    session: Session, search: str, before: UUID | None, limit: int, agent_id: UUID | None
) -> list[Document]:
    rows = await session.fetch(
        f"""select {_DOCUMENT} from app.document
             where page_id is null and agent_id is not distinct from $4::uuid
               and ($1 = '' or strpos(lower(file_name), lower($1)) > 0)
               and ($2::uuid is null or id < $2)
             order by id desc limit $3""",
        search,
        before,
        limit,
        agent_id,
    )
    return [_document(row) for row in rows]


async def replace_document(session: Session, new: NewDocument, now: datetime) -> tuple[Document, str] | None:
    """Give the owner's newest document of this name other bytes; return it, and the key of those it had.

    None if none of its documents has this name. Its passages stay until others are recorded.
    """
    row = await session.fetchrow(
        f"""with old as (
              select id as old_id, blob_key as old_key from app.document
               where file_name = $1 and page_id is null and agent_id is not distinct from $7::uuid
                order by id desc limit 1 for update
            )
            update app.document
               set mime = $2, size_bytes = $3, sha256 = $4, blob_key = $5, status = 'pending', progress = 0,
                   error_code = null, attempts = attempts + 1, expected_at = null, entry_count = 0,
                   unread = '[]', updated_at = $6
              from old where id = old_id
            returning {_DOCUMENT}, old_key""",
        new.file_name,
        new.mime,
        new.size_bytes,
        new.digest,
        new.blob_key,
        now,
        new.agent_id,
    )
    return (_document({k: v for k, v in row.items() if k != "old_key"}), row["old_key"]) if row else None


async def claim_document(
    session: Session, document_id: UUID, now: datetime, seconds_per_byte: Mapping[str, float]
) -> Document | None:
    """Begin an attempt; its number fences the ones before it. None if there is nothing to do.

    It is expected to take a second, and as long as its type takes a byte.
    """
    row = await session.fetchrow(
        f"""update app.document
               set status = 'processing', progress = 5, attempts = attempts + 1, updated_at = $2,
                   expected_at = $2::timestamptz + make_interval(secs => 1 + size_bytes * coalesce(
                     (select p.seconds from unnest($3::text[], $4::float8[]) as p (kind, seconds)
                       where p.kind = mime), 0))
             where id = $1 and status in ('pending', 'processing') returning {_DOCUMENT}""",
        document_id,
        now,
        list(seconds_per_byte),
        list(seconds_per_byte.values()),
    )
    return _document(row) if row else None


async def hold_document(session: Session, claim: Document) -> bool:
    """Keep the document from being deleted, not from being updated. False if the claim is outdated."""
    return bool(
        await session.fetchval(
            """select true from app.document
                where id = $1 and attempts = $2 and status = 'processing' for key share""",
            claim.id,
            claim.attempts,
        )
    )


async def advance_document(
    session: Session,
    claim: Document,
    progress: int,
    now: datetime,
    *,
    done: Done | None = None,
    expected_at: datetime | None = None,
) -> bool:
    """Note progress, or completion. False if the claim is no longer the document's."""
    return bool(
        await session.fetchval(
            """update app.document
                  set progress = $3, updated_at = $4, chunk_count = coalesce($5, chunk_count),
                      entry_count = coalesce($6, entry_count), unread = coalesce($7::jsonb, unread),
                      expected_at = case when $5::int is null then coalesce($8, expected_at) end,
                      version = case when $5::int is not null and indexed_sha256 <> sha256
                                     then version + 1 else version end,
                      indexed_sha256 = case when $5::int is null then indexed_sha256 else sha256 end,
                      status = case when $5::int is null then status else 'completed' end
                where id = $1 and attempts = $2 and status = 'processing' returning true""",
            claim.id,
            claim.attempts,
            progress,
            now,
            done.chunks if done else None,
            done.entries if done else None,
            _unread_json(done.unread) if done else None,
            expected_at,
        )
    )


async def fail_document(
    session: Session, document_id: UUID, attempt: int | None, error_code: str, now: datetime
) -> bool:
    """`attempt` None fails whichever attempt is under way."""
    return bool(
        await session.fetchval(
            """update app.document set status = 'failed', error_code = $3, updated_at = $4, expected_at = null
                where id = $1 and ($2::int is null or attempts = $2) and status in ('pending', 'processing')
                returning true""",
            document_id,
            attempt,
            error_code,
            now,
        )
    )


async def reset_document(
    session: Session, document_id: UUID, now: datetime, *, status: DocumentStatus = "failed"
) -> Document | None:
    """Return None if the document is not of this status."""
    row = await session.fetchrow(
        f"""update app.document set status = 'pending', progress = 0, error_code = null, updated_at = $2
             where id = $1 and status = $3 returning {_DOCUMENT}""",
        document_id,
        now,
        status,
    )
    return _document(row) if row else None


async def delete_document(session: Session, document_id: UUID) -> str | None:
    """Return the key of its bytes; None if there is no such document."""
    key: str | None = await session.fetchval(
        "delete from app.document where id = $1 returning blob_key", document_id
    )
    return key


async def delete_documents_of(session: Session, agent_id: UUID) -> list[UUID]:
    """Delete an agent's own documents, whose bytes are then discarded; return which there were."""
    rows = await session.fetch("delete from app.document where agent_id = $1 returning id", agent_id)
    return [row["id"] for row in rows]


async def count_sources(session: Session) -> KnowledgeCounts:
    row = await session.fetchrow(
        """select (select count(*) from app.article where is_active) as active_articles,
                  count(*) filter (where page_id is null) as completed_documents,
                  count(page_id) as site_pages
             from app.document where status = 'completed' and entry_count = 0 and agent_id is null"""
    )
    return KnowledgeCounts(**_some(row))


async def has_pieces(session: Session, kind: SourceKind, source_id: UUID) -> bool:
    return bool(
        await session.fetchval(f"select exists (select from app.chunk where {kind}_id = $1)", source_id)
    )


async def delete_pieces(session: Session, kind: SourceKind, source_id: UUID) -> None:
    """Delete passages, if there are any: a new document shall not hold the graph's lock while it is recorded.

    An article is short, and always takes the lock: what is locked after it is locked after it always.
    """
    if kind == "article" or await has_pieces(session, kind, source_id):
        await session.execute("select app.forget_postings($1)", source_id)
        await session.execute(f"delete from app.chunk where {kind}_id = $1", source_id)


async def insert_pieces(
    session: Session, kind: SourceKind, source_id: UUID, pieces: Sequence[Piece], first_ordinal: int
) -> None:
    """Add passages and their postings in one statement."""
    await session.execute(
        f"""with input as (
              select i.*, v.lexemes,
                     (select coalesce(sum(cardinality(positions)), 0) from unnest(v.lexemes))::int as length
                from unnest($2::int[], $3::text[], $4::int[], $5::text[], $6::text[])
                       as i (ordinal, heading, page, content, words),
                     lateral (select to_tsvector('russian', i.words) as lexemes) v
            ), added as (
              insert into app.chunk ({kind}_id, ordinal, heading, page, content, length)
              select $1, ordinal, heading, page, content, length from input returning id, ordinal
            )
            insert into app.posting (lexeme, chunk_id, tf, length)
            select l.lexeme, added.id, cardinality(l.positions), input.length
              from input join added using (ordinal), unnest(input.lexemes) l""",
        source_id,
        list(range(first_ordinal, first_ordinal + len(pieces))),
        [piece.heading for piece in pieces],
        [piece.page for piece in pieces],
        [piece.content for piece in pieces],
        [piece.words for piece in pieces],
    )


async def calibrated_support(session: Session) -> float | None:
    """Return what the last run of the base's questions told; None if there was none."""
    support: float | None = await session.fetchval(
        "select threshold from app.knowledge_run where state = 'done' order by id desc limit 1"
    )
    return support


def _document(row: asyncpg.Record | Mapping[str, Any]) -> Document:
    values = dict(row)
    unread = msgspec.json.decode(values.pop("unread"), type=list[tuple[str, str]])
    categories = tuple(values.pop("categories"))
    stages = stages_of(values.pop("stages"))
    told = tuple(Unread(*one) for one in unread)
    return Document(**values, unread=told, categories=categories, stages=stages)


def _unread_json(unread: Sequence[Unread]) -> str:
    return msgspec.json.encode([(one.name, one.error_code) for one in unread]).decode()


def _some(row: asyncpg.Record | None) -> asyncpg.Record:
    if row is None:
        raise LookupError("the statement returns one row")
    return row
