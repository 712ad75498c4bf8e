"""All SQL of the categories of documents and sites. Tenancy is the database's."""

from collections.abc import Collection
from uuid import UUID

from gptagent.kernel.db import Session

_PLACE_DOCUMENT = """
with gone as (
  delete from app.document_category where document_id = $1 and category_id <> all($2::uuid[]) returning 1
), come as (
  insert into app.document_category (document_id, category_id)
  select $1, c from unnest($2::uuid[]) c on conflict do nothing returning 1
)
select exists (select from gone) or exists (select from come)"""
_PLACE_SITE = """
with gone as (
  delete from app.site_category where site_id = $1 and category_id <> all($2::uuid[]) returning 1
), come as (
  insert into app.site_category (site_id, category_id)
  select $1, c from unnest($2::uuid[]) c on conflict do nothing returning 1
)
select exists (select from gone) or exists (select from come)"""


async def place_document(session: Session, document_id: UUID, categories: Collection[UUID]) -> bool:
    """Return whether anything changed."""
    return bool(await session.fetchval(_PLACE_DOCUMENT, document_id, list(categories)))


async def place_site(session: Session, site_id: UUID, categories: Collection[UUID]) -> bool:
    """Return whether anything changed."""
    return bool(await session.fetchval(_PLACE_SITE, site_id, list(categories)))


async def categories_of_document(session: Session, document_id: UUID) -> list[UUID]:
    rows = await session.fetch(
        "select category_id from app.document_category where document_id = $1 order by 1", document_id
    )
    return [row["category_id"] for row in rows]
