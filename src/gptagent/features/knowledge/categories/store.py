"""All SQL of categories. Tenancy is the database's: no statement names the workspace."""
# ruff: noqa: S608 - what is put into statements are this module's columns

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import asyncpg

from gptagent.features.knowledge.categories.model import Category, NewCategory, Within
from gptagent.features.knowledge.staging.store import said, sources_elsewhere
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Page

_CATEGORY = """c.id, c.parent_id, c.title, c.description, c.position, c.is_default, c.version,
  c.created_at, c.updated_at,
  (select count(*) from app.article_category m where m.category_id = c.id) as articles,
  (select count(*) from app.category s where s.parent_id = c.id) as subcategories,
  (select count(*) from app.document_category m where m.category_id = c.id) as documents,
  (select count(*) from app.site_category m join app.site s on s.id = m.site_id
    where m.category_id = c.id and s.deleted_at is null) as sites"""

# What is in some categories, $within, or below them, or the file of the agent that asks, $agent, and not for
# other stages than the one asked at, $at: articles and documents, and their passages. They are put before the
# other parts of a statement that begins with `with recursive`.
_SOURCES_WITHIN = """place as (
  select id from app.category where id = any($within::uuid[])
  union select c.id from app.category c join place p on c.parent_id = p.id
), source_placed as (
  select m.article_id as id from app.article_category m join place on place.id = m.category_id
  union select m.document_id from app.document_category m join place on place.id = m.category_id
  union select d.id from app.site_category m join place on place.id = m.category_id
          join app.site_page p on p.site_id = m.site_id join app.document d on d.page_id = p.id
  union select d.id from app.document d where d.agent_id = $agent::uuid
), source_within as (
  select id from source_placed where id not in (select id from source_elsewhere)
)"""
_CHUNKS_WITHIN = f"""{_SOURCES_WITHIN}, chunk_within as (
  select c.id from source_within s join app.chunk c on c.article_id = s.id
  union all select c.id from source_within s join app.chunk c on c.document_id = s.id
)"""


def sources_within(first: int) -> str:
    """Return `source_within`; its parameters, from this number on: categories, where is asked, the agent."""
    return _numbered(_SOURCES_WITHIN, first)


def chunks_within(first: int) -> str:
    """Return `source_within` and its passages, `chunk_within`, with the same parameters."""
    return _numbered(_CHUNKS_WITHIN, first)


def _numbered(part: str, first: int) -> str:
    own = part.replace("$within", f"${first}").replace("$agent", f"${first + 2}")
    return f"{sources_elsewhere(first + 1)}, {own}"


def asked_of(within: Within | None, whole: str, here: str, placed: str) -> tuple[str, list[object]]:
    """Return which of three statements asks this part, and what it takes besides: the whole base, all that is
    not for other stages or other agents, or what is in some categories.
    """
    if within is None:
        return whole, []
    if within.categories is None:
        return here, [said(within.at), within.agent_id]
    return placed, [list(within.categories), said(within.at), within.agent_id]


async def ensure_default(session: Session, category_id: UUID, now: datetime) -> UUID:
    """Return the default category; if there is none, make it, named in the workspace's language."""
    await session.execute(
        """insert into app.category (id, title, position, is_default, created_at, updated_at)
           select $1, case o.locale when 'ru' then 'Общее' else 'General' end, 1, true, $2, $2
             from app.organization o
            where o.id = app.org() and not exists (select from app.category where is_default)
           on conflict do nothing""",
        category_id,
        now,
    )
    found: UUID = await session.fetchval("select id from app.category where is_default")
    return found


async def lock_tree(session: Session) -> None:
    """Keep others from changing the tree until the commit; articles may be put into it meanwhile."""
    await session.execute("select from app.category where is_default for no key update")


async def insert_category(session: Session, category_id: UUID, new: NewCategory, now: datetime) -> None:
    await session.execute(
        """insert into app.category (id, parent_id, title, description, position, created_at, updated_at)
           values ($1, $2, $3, $4,
                   (select coalesce(max(position), 0) + 1 from app.category
                     where parent_id is not distinct from $2::uuid), $5, $5)""",
        category_id,
        new.parent_id,
        new.title,
        new.description,
        now,
    )


async def update_category(session: Session, category_id: UUID, new: NewCategory, now: datetime) -> None:
    """In another parent it becomes the last."""
    await session.execute(
        """update app.category c
              set title = $2, description = $3, version = version + 1, updated_at = $5, parent_id = $4,
                  position = case when c.parent_id is not distinct from $4::uuid then c.position
                    else (select coalesce(max(s.position), 0) + 1 from app.category s
                           where s.parent_id is not distinct from $4::uuid) end
            where id = $1""",
        category_id,
        new.title,
        new.description,
        new.parent_id,
        now,
    )


async def fetch_category(session: Session, category_id: UUID) -> Category | None:
    row = await session.fetchrow(f"select {_CATEGORY} from app.category c where c.id = $1", category_id)
    return Category(**row) if row else None


async def list_categories(session: Session) -> list[Category]:
    return _all(await session.fetch(f"select {_CATEGORY} from app.category c"))


async def page_categories(
    session: Session, page: Page, search: str, parent_id: UUID | None
) -> list[Category]:
    rows = await session.fetch(
        f"""select * from (select {_CATEGORY} from app.category c) c
             where ($1 = '' or strpos(lower(title), lower($1)) > 0)
               and ($2::uuid is null or parent_id = $2) and {page.clause(3)}""",
        search,
        parent_id,
        *page.args,
    )
    return _all(rows)


async def number_categories(session: Session, ids: Collection[UUID]) -> None:
    """Give siblings their places, in this order."""
    await session.execute(
        """update app.category c set position = x.n
             from unnest($1::uuid[]) with ordinality as x (id, n) where c.id = x.id""",
        list(ids),
    )


async def find_categories(session: Session, ids: Collection[UUID]) -> set[UUID]:
    """Return those of the categories that exist."""
    rows = await session.fetch("select id from app.category where id = any($1::uuid[])", list(ids))
    return {row["id"] for row in rows}


async def hold_categories(session: Session, ids: Collection[UUID]) -> set[UUID]:
    """Return those of the categories that exist, and keep them from being deleted until the commit."""
    rows = await session.fetch(
        "select id from app.category where id = any($1::uuid[]) order by id for key share", list(ids)
    )
    return {row["id"] for row in rows}


async def claim_categories(session: Session, ids: Collection[UUID]) -> int:
    """Wait for those who are putting something in, keep others from it; return how much is in them."""
    await session.execute(
        "select from app.category where id = any($1::uuid[]) order by id for update", list(ids)
    )
    found: int = await session.fetchval(
        """select (select count(*) from app.article_category where category_id = any($1::uuid[]))
                + (select count(*) from app.document_category where category_id = any($1::uuid[]))
                + (select count(*) from app.site_category m join app.site s on s.id = m.site_id
                    where m.category_id = any($1::uuid[]) and s.deleted_at is null)""",
        list(ids),
    )
    return found


async def delete_categories(session: Session, ids: Collection[UUID], default_id: UUID) -> None:
    """Articles that are in no other category go to the default one, documents and sites to none."""
    await session.execute(
        """insert into app.article_category (article_id, category_id)
           select distinct m.article_id, $2::uuid from app.article_category m
            where m.category_id = any($1::uuid[])
              and not exists (select from app.article_category o
                               where o.article_id = m.article_id and o.category_id <> all($1::uuid[]))
           on conflict do nothing""",
        list(ids),
        default_id,
    )
    await session.execute("delete from app.category where id = any($1::uuid[])", list(ids))


def _all(rows: list[asyncpg.Record]) -> list[Category]:
    return [Category(**row) for row in rows]
