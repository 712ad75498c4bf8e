"""The verbs of articles."""

from collections.abc import Collection, Sequence
from datetime import datetime
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.knowledge import store as pieces
from gptagent.features.knowledge.articles import store
from gptagent.features.knowledge.articles.model import (
    BULK_MAX,
    Article,
    ArticleChange,
    ArticleFilter,
    ArticleSummary,
    ArticleVersion,
    BulkAction,
    NewArticle,
)
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories import store as category_store
from gptagent.features.knowledge.extraction import service as graph
from gptagent.features.knowledge.gaps import service as gaps
from gptagent.features.knowledge.indexing import article_pieces
from gptagent.features.knowledge.quota import service as quota
from gptagent.features.knowledge.staging import store as staging
from gptagent.features.knowledge.staging.model import StageKey
from gptagent.features.knowledge.staging.service import are_known
from gptagent.features.knowledge.vectors.service import note_changed
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, FieldError, Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Order, Page, orders

PAGE_LIMIT = 50
ARTICLE_ORDERS = orders(name="title") | {
    "updated_at": Order("updated_at", "updated_at"),
    "-updated_at": Order("-updated_at", "updated_at", descending=True),
}
VERSION_ORDERS = {"-version": Order("-version", "version", "number", descending=True)}
_TEXTS = ("title", "description", "content", "tags", "categories", "related", "stages")
# What decides whether, and where, an article is found.
_FOUND = frozenset({"title", "content", "is_active", "categories", "stages"})


async def create_article(session: Session, new: NewArticle, *, now: datetime) -> Article:
    """Store an article; if it is active, it is found from the commit on.

    Raises Invalid on `categories`, `related` and `stages` for what is not there, Conflict if the plan has no
    room.
    """
    await quota.take_article(session)
    article_id = new_id()
    await _check_links(session, new, article_id, new.stages)
    await store.insert_article(session, article_id, new, now)
    await _place(session, article_id, new, now)
    await staging.bind_article(session, article_id, new.stages)
    article = await get_article(session, article_id)
    await _index(session, article)
    await audit.record(session, Entry("article.created", "article", str(article.id)))
    return article


async def update_article(session: Session, change: ArticleChange, *, now: datetime) -> Article:
    """Change an article and, if what is found of it changes, its passages.

    Raises NotFound, Invalid, and Conflict if `change.version` is no longer the article's.
    """
    old = await store.fetch_article(session, change.article_id, lock=True)
    if old is None:
        raise _missing()
    if change.version not in {None, old.version}:
        raise Conflict("article_changed", "Somebody else changed this article. Reload it and try again.")
    wanted = old.changed(change)
    changed = {name for name in (*_TEXTS, "is_active") if getattr(old, name) != getattr(wanted, name)}
    if change.stages is not None and old.is_everywhere != (not wanted.stages):
        changed.add("stages")  # also of one whose stages are gone
    if not changed:
        return old
    await _check_links(session, wanted, old.id, wanted.stages if "stages" in changed else ())
    await store.update_article(session, old.id, wanted, now)
    await _place(session, old.id, wanted, now)
    if "stages" in changed:
        await staging.bind_article(session, old.id, wanted.stages)
    article = await get_article(session, old.id)
    if changed & {"title", "content", "is_active"} and (old.is_active or article.is_active):
        await pieces.delete_pieces(session, "article", article.id)
        await _index(session, article)
    if changed & _FOUND and (old.is_active or article.is_active):
        await gaps.queue_check(session, article.id)
    switched = {"is_active": (old.is_active, article.is_active)} if "is_active" in changed else {}
    texts = {name: None for name in _TEXTS if name in changed}
    await audit.record(session, Entry("article.updated", "article", str(old.id), {**switched, **texts}))
    return article


async def delete_article(session: Session, article_id: UUID) -> None:
    """Delete an article with its passages and versions. Raises NotFound."""
    await get_article(session, article_id, lock=True)  # before its gaps, as a change does
    await gaps.let_go(session, article_id, now=utcnow())
    if not await store.delete_article(session, article_id):
        raise _missing()
    await note_changed(session)
    await audit.record(session, Entry("article.deleted", "article", str(article_id)))


async def change_articles(
    session: Session,
    ids: Collection[UUID],
    action: BulkAction,
    *,
    categories: Sequence[UUID] = (),
    now: datetime,
) -> int:
    """Do the same to several articles, all or none; return how many. `categories` is where to move them.

    Raises NotFound if one is missing, Invalid for too many or no category to move to.
    """
    if len(set(ids)) > BULK_MAX:
        raise Invalid.field("ids", "Choose at most {max}.", max=BULK_MAX)
    if action == "move" and not categories:
        raise Invalid.field("categories", "Choose a category.")
    # All, and their gaps, before any is changed: who has a later one waits for what the first change locks.
    await store.lock_articles(session, set(ids))
    chosen = sorted(set(ids))
    for article_id in chosen if action == "delete" else ():
        await gaps.let_go(session, article_id, now=now)
    for article_id in chosen:
        if action == "delete":
            await delete_article(session, article_id)
        elif action == "move":
            change = ArticleChange(article_id, categories=tuple(categories))
            await update_article(session, change, now=now)
        else:
            change = ArticleChange(article_id, is_active=action == "activate")
            await update_article(session, change, now=now)
    return len(chosen)


async def get_article(session: Session, article_id: UUID, *, lock: bool = False) -> Article:
    """Return an article with its whole content; `lock` keeps others from changing it. Raises NotFound."""
    article = await store.fetch_article(session, article_id, lock=lock)
    if article is None:
        raise _missing()
    return article


async def find_articles(
    session: Session,
    wanted: ArticleFilter,
    *,
    sort: str = "",
    limit: int = PAGE_LIMIT,
    offset: int = 0,
) -> tuple[list[ArticleSummary], int]:
    """Return a part of the articles that fit, newest first or sorted by a key of SORTS; and how many do."""
    below = await _below(session, wanted.category_id)
    found = await store.find_articles(session, wanted, below, sort=sort, limit=limit, offset=offset)
    return found, await store.count_articles(session, wanted, below)


async def page_articles(
    session: Session, page: Page, wanted: ArticleFilter
) -> tuple[list[ArticleSummary], str | None]:
    """Return a page of the articles that fit, and the cursor of the next one if there is more."""
    found = await store.page_articles(session, page, wanted, await _below(session, wanted.category_id))
    return page.cut(found, lambda article: (getattr(article, page.order.column), article.id))


async def article_titles(session: Session, ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the titles of those of the articles that exist."""
    return await store.titles(session, ids)


async def page_versions(
    session: Session, page: Page, article_id: UUID
) -> tuple[list[ArticleVersion], str | None]:
    """Return a page of an article's versions, latest first, and the next one's cursor. Raises NotFound."""
    await get_article(session, article_id)
    found = await store.page_versions(session, page, article_id)
    return page.cut(found, lambda one: (one.version, one.article_id))


async def get_version(session: Session, article_id: UUID, version: int) -> ArticleVersion:
    """Raise NotFound if the article was never at this version."""
    found = await store.fetch_version(session, article_id, version)
    if found is None:
        raise NotFound("version_not_found", "There is no such version.")
    return found


async def restore_version(session: Session, article_id: UUID, version: int, *, now: datetime) -> Article:
    """Make an article say again what it said; whether it is active and where it is stays. Raises NotFound."""
    old = await get_version(session, article_id, version)
    change = ArticleChange(
        article_id,
        title=old.title,
        description=old.description,
        content=old.content,
        tags=old.tags,
    )
    return await update_article(session, change, now=now)


async def _check_links(
    session: Session, new: NewArticle, article_id: UUID, stages: Sequence[StageKey]
) -> None:
    faults = []
    if new.categories and await category_store.hold_categories(session, new.categories) != set(
        new.categories
    ):
        faults.append(FieldError("categories", "There is no such category."))
    if article_id in new.related:
        faults.append(FieldError("related", "An article is not related to itself."))
    elif new.related and await store.hold_articles(session, new.related) != set(new.related):
        faults.append(FieldError("related", "There is no such article."))
    if stages and not await are_known(session, stages):
        faults.append(FieldError("stages", "There is no such stage."))
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))


async def _place(session: Session, article_id: UUID, new: NewArticle, now: datetime) -> None:
    """Put what was stored where it belongs, and keep it as a version."""
    places = new.categories or (await categories.ensure_default(session, now=now),)
    await store.set_categories(session, article_id, places)
    await store.set_related(session, article_id, new.related)
    actor = session.scope.actor
    await store.insert_version(session, article_id, actor.kind, actor.id, now)


async def _below(session: Session, category_id: UUID | None) -> list[UUID] | None:
    if category_id is None:
        return None
    tree = await categories.read_tree(session)
    return tree.below(category_id) if category_id in tree.by_id else []


async def _index(session: Session, article: Article) -> None:
    found = article_pieces(article)
    if found:
        await pieces.insert_pieces(session, "article", article.id, found, 0)
        await graph.queue_source(session, article.id)
    await note_changed(session)


def _missing() -> NotFound:
    return NotFound("article_not_found", "There is no such article.")
