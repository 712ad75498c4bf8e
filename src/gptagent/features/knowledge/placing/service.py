"""Putting documents and sites into categories. What is in none is found by what may find everything only."""

from collections.abc import Collection
from uuid import UUID

from gptagent.features.knowledge.articles.model import CATEGORIES_MAX
from gptagent.features.knowledge.categories import store as categories
from gptagent.features.knowledge.model import Document
from gptagent.features.knowledge.placing import store
from gptagent.features.knowledge.staging import store as staging
from gptagent.features.knowledge.staging.model import StageKey, stage_errors
from gptagent.features.knowledge.staging.service import check_stages
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Invalid


async def place_document(session: Session, document_id: UUID, chosen: Collection[UUID]) -> bool:
    """Put a document into these categories and no other; tell whether it was not there. Raises Invalid."""
    wanted = await _existing(session, chosen)
    return await store.place_document(session, document_id, wanted)


async def bind_document(session: Session, document: Document, stages: Collection[StageKey]) -> bool:
    """Have a document be for these stages only, for every one without any; tell whether it was not so before.

    Raises Invalid.
    """
    wanted = tuple(sorted(set(stages)))
    if wanted == document.stages and document.is_everywhere == (not wanted):
        return False
    if faults := stage_errors(wanted):
        raise Invalid("invalid", "Please correct the marked fields.", fields=faults)
    await check_stages(session, wanted)
    await staging.bind_document(session, document.id, wanted)
    return True


async def place_as(session: Session, document_id: UUID, archive_id: UUID) -> None:
    """Put what an archive held where the archive is, and have it be for the same stages."""
    categories = await store.categories_of_document(session, archive_id)
    if categories:
        await place_document(session, document_id, categories)
    await staging.copy_to_document(session, document_id, archive_id)


async def place_site(session: Session, site_id: UUID, chosen: Collection[UUID]) -> bool:
    """Put a site with its pages into these categories and no other, as `place_document` does."""
    wanted = await _existing(session, chosen)
    return await store.place_site(session, site_id, wanted)


async def check(session: Session, chosen: Collection[UUID]) -> None:
    """Raise Invalid if one of the categories is not there, or there are too many."""
    await _existing(session, chosen)


async def _existing(session: Session, chosen: Collection[UUID]) -> set[UUID]:
    """Return the categories, kept from being deleted until the commit."""
    wanted = set(chosen)
    if len(wanted) > CATEGORIES_MAX:
        raise Invalid.field("categories", "Choose at most {max}.", max=CATEGORIES_MAX)
    if wanted and await categories.hold_categories(session, wanted) != wanted:
        raise Invalid.field("categories", "There is no such category.")
    return wanted
