"""All SQL of articles. Tenancy is the database's: no statement names the workspace."""
# ruff: noqa: S608 - what is put into statements are this module's columns and orders

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from gptagent.features.knowledge.articles.model import (
    Article,
    ArticleFilter,
    ArticleSummary,
    ArticleVersion,
    NewArticle,
)
from gptagent.features.knowledge.staging.model import stages_of
from gptagent.features.knowledge.staging.store import STAGES_OF
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page

EXCERPT_CHARS = 200

_CATEGORIES = """array(select m.category_id from app.article_category m where m.article_id = a.id
                       order by m.category_id) as categories"""
_STAGES = STAGES_OF.replace("$source", "a.id")
_ARTICLE = f"""a.id, a.title, a.description, a.content, a.tags, a.is_active, a.version, a.created_at,
  a.updated_at, {_CATEGORIES}, array(select r.related_id from app.article_related r where r.article_id = a.id
                                      order by r.position) as related,
  {_STAGES}"""
_SUMMARY = f"""a.id, a.title, a.description, left(a.content, {EXCERPT_CHARS}) as excerpt, a.tags, a.is_active,
  a.version, a.created_at, a.updated_at, {_CATEGORIES},
  {_STAGES}"""
_VERSION = (
    """article_id, version, title, description, content, tags, is_active, actor_kind, actor_id, created_at"""
)

# Of a filter: its parameters are those that _args returns.
_FITS = """($1 = '' or strpos(lower(a.title), lower($1)) > 0 or strpos(lower(a.description), lower($1)) > 0
            or strpos(lower(a.content), lower($1)) > 0)
       and ($2::boolean is null or a.is_active = $2) and ($4 = '' or $4 = any(a.tags))
       and ($3::uuid[] is null or exists (select from app.article_category m
                                           where m.article_id = a.id and m.category_id = any($3)))"""
SORTS: Mapping[str, str] = {
    "": "a.id desc",
    "title": "lower(a.title), a.id",
    "-title": "lower(a.title) desc, a.id desc",
    "updated": "a.updated_at, a.id",
    "-updated": "a.updated_at desc, a.id desc",
}


async def insert_article(session: Session, article_id: UUID, new: NewArticle, now: datetime) -> None:
    await session.execute(
        """insert into app.article (id, title, description, content, tags, is_active, created_at, updated_at)
           values ($1, $2, $3, $4, $5, $6, $7, $7)""",
        article_id,
        new.title,
        new.description,
        new.content,
        list(new.tags),
        new.is_active,
        now,
    )


async def fetch_article(session: Session, article_id: UUID, *, lock: bool = False) -> Article | None:
    for_update = "for update of a" if lock else ""
    row = await session.fetchrow(
        f"select {_ARTICLE} from app.article a where a.id = $1 {for_update}", article_id
    )
    return Article(**_plain(row)) if row else None


async def update_article(session: Session, article_id: UUID, new: NewArticle, now: datetime) -> None:
    await session.execute(
        """update app.article set title = $2, description = $3, content = $4, tags = $5, is_active = $6,
                  version = version + 1, updated_at = $7
            where id = $1""",
        article_id,
        new.title,
        new.description,
        new.content,
        list(new.tags),
        new.is_active,
        now,
    )


async def delete_article(session: Session, article_id: UUID) -> bool:
    return bool(await session.fetchval("delete from app.article where id = $1 returning true", article_id))


async def set_categories(session: Session, article_id: UUID, categories: Collection[UUID]) -> None:
    await session.execute(
        "delete from app.article_category where article_id = $1 and category_id <> all($2::uuid[])",
        article_id,
        list(categories),
    )
    await session.execute(
        """insert into app.article_category (article_id, category_id)
           select $1, c from unnest($2::uuid[]) c on conflict do nothing""",
        article_id,
        list(categories),
    )


async def hold_articles(session: Session, ids: Collection[UUID]) -> set[UUID]:
    """Return those of the articles that exist, and keep them from being deleted until the commit."""
    rows = await session.fetch(
        "select id from app.article where id = any($1::uuid[]) order by id for key share", list(ids)
    )
    return {row["id"] for row in rows}


async def lock_articles(session: Session, ids: Collection[UUID]) -> None:
    """Keep others from changing the articles until the commit."""
    await session.execute(
        "select from app.article where id = any($1::uuid[]) order by id for update", list(ids)
    )


async def set_related(session: Session, article_id: UUID, related: Sequence[UUID]) -> None:
    await session.execute("delete from app.article_related where article_id = $1", article_id)
    await session.execute(
        """insert into app.article_related (article_id, related_id, position)
           select $1, r, n from unnest($2::uuid[]) with ordinality as x (r, n)""",
        article_id,
        list(related),
    )


async def insert_version(
    session: Session, article_id: UUID, actor_kind: str, actor_id: UUID | None, now: datetime
) -> None:
    """Keep what the article says now."""
    await session.execute(
        """insert into app.article_version (article_id, version, title, description, content, tags, is_active,
                                            actor_kind, actor_id, created_at)
           select id, version, title, description, content, tags, is_active, $2, $3, $4
             from app.article where id = $1""",
        article_id,
        actor_kind,
        actor_id,
        now,
    )


async def page_versions(session: Session, page: Page, article_id: UUID) -> list[ArticleVersion]:
    rows = await session.fetch(
        f"""select {_VERSION} from (select v.*, v.article_id as id from app.article_version v) v
             where article_id = $1 and {page.clause(2)}""",
        article_id,
        *page.args,
    )
    return [ArticleVersion(**_plain(row)) for row in rows]


async def fetch_version(session: Session, article_id: UUID, version: int) -> ArticleVersion | None:
    row = await session.fetchrow(
        f"select {_VERSION} from app.article_version where article_id = $1 and version = $2",
        article_id,
        version,
    )
    return ArticleVersion(**_plain(row)) if row else None


async def page_articles(
    session: Session, page: Page, wanted: ArticleFilter, categories: list[UUID] | None
) -> list[ArticleSummary]:
    rows = await session.fetch(
        f"select {_SUMMARY} from app.article a where {_FITS} and {page.clause(5)}",
        *_args(wanted, categories),
        *page.args,
    )
    return [ArticleSummary(**_plain(row)) for row in rows]


async def find_articles(
    session: Session,
    wanted: ArticleFilter,
    categories: list[UUID] | None,
    *,
    sort: str,
    limit: int,
    offset: int,
) -> list[ArticleSummary]:
    rows = await session.fetch(
        f"""select {_SUMMARY} from app.article a where {_FITS}
             order by {SORTS[sort]} limit $5 offset $6""",
        *_args(wanted, categories),
        limit,
        offset,
    )
    return [ArticleSummary(**_plain(row)) for row in rows]


async def count_articles(session: Session, wanted: ArticleFilter, categories: list[UUID] | None) -> int:
    found: int = await session.fetchval(
        f"select count(*) from app.article a where {_FITS}", *_args(wanted, categories)
    )
    return found


async def read_articles(session: Session, after: UUID | None, limit: int) -> list[Article]:
    """Return whole articles by their ids, those after the given one."""
    rows = await session.fetch(
        f"""select {_ARTICLE} from app.article a where $1::uuid is null or a.id > $1
             order by a.id limit $2""",
        after,
        limit,
    )
    return [Article(**_plain(row)) for row in rows]


async def titles(session: Session, ids: Collection[UUID]) -> dict[UUID, str]:
    rows = await session.fetch("select id, title from app.article where id = any($1::uuid[])", list(ids))
    return {row["id"]: row["title"] for row in rows}


def _args(wanted: ArticleFilter, categories: list[UUID] | None) -> tuple[object, ...]:
    return wanted.search.strip(), wanted.is_active, categories, wanted.tag


def _plain(row: asyncpg.Record) -> dict[str, Any]:
    """Return a row's values, arrays as tuples."""
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    return {**values, "stages": stages_of(values["stages"])} if "stages" in values else values
