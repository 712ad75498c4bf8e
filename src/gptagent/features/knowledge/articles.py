"""The verbs of articles."""

from datetime import datetime
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.knowledge import store
from gptagent.features.knowledge.indexing import article_pieces
from gptagent.features.knowledge.model import Article, ArticleChange, ArticleSummary, NewArticle
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page, orders

PAGE_LIMIT = 50
ARTICLE_ORDERS = orders(name="title")


async def create_article(session: Session, new: NewArticle, *, now: datetime) -> Article:
    """Store an article; if it is active, it is found from the commit on."""
    article = await store.insert_article(session, new_id(), new, now)
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
    if (wanted.title, wanted.content, wanted.is_active) == (old.title, old.content, old.is_active):
        return old
    article = await store.update_article(session, old.id, wanted, now)
    if old.is_active or article.is_active:
        await store.delete_pieces(session, "article", article.id)
        await _index(session, article)
    switched = {"is_active": (old.is_active, article.is_active)} if old.is_active != article.is_active else {}
    texts = {name: None for name in ("title", "content") if getattr(old, name) != getattr(article, name)}
    await audit.record(session, Entry("article.updated", "article", str(old.id), {**switched, **texts}))
    return article


async def delete_article(session: Session, article_id: UUID) -> None:
    """Delete an article with its passages. Raises NotFound."""
    if not await store.delete_article(session, article_id):
        raise _missing()
    await audit.record(session, Entry("article.deleted", "article", str(article_id)))


async def get_article(session: Session, article_id: UUID, *, lock: bool = False) -> Article:
    """Return an article with its whole content; `lock` keeps others from changing it. Raises NotFound."""
    article = await store.fetch_article(session, article_id, lock=lock)
    if article is None:
        raise _missing()
    return article


async def list_articles(
    session: Session, *, search: str = "", before: UUID | None = None, limit: int = PAGE_LIMIT
) -> list[ArticleSummary]:
    """Return articles, newest first, older than `before`; `search` is part of a title or text."""
    return await store.list_articles(session, search.strip(), before, min(limit, PAGE_LIMIT))


async def page_articles(
    session: Session, page: Page, *, search: str = "", is_active: bool | None = None
) -> tuple[list[ArticleSummary], str | None]:
    """Return a page of the articles, and the cursor of the next one if there is more."""
    found = await store.page_articles(session, page, search.strip(), is_active)
    return page.cut(found, lambda article: (getattr(article, page.order.column), article.id))


async def _index(session: Session, article: Article) -> None:
    found = article_pieces(article)
    if found:
        await store.insert_pieces(session, "article", article.id, found, 0)


def _missing() -> NotFound:
    return NotFound("article_not_found", "There is no such article.")
