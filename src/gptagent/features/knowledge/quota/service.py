"""Room for articles and files. Whoever asks for it holds the base's lock until the commit.

So two that come at once cannot both take the last place. The lock comes before every other one
but that of a site, which only its reading takes as well.
"""

from uuid import UUID

from gptagent.features.knowledge.quota import store
from gptagent.features.knowledge.quota.model import Usage
from gptagent.features.organizations import service as organizations
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict

GIGABYTE = 1024**3  # as pages count them


async def read_usage(session: Session) -> Usage:
    """Return what is kept and what there is room for."""
    plan = await organizations.get_entitlements(session)
    return Usage(
        articles=await store.count_articles(session),
        articles_max=plan.articles_max,
        storage_bytes=await store.sum_bytes(session),
        storage_bytes_max=plan.storage_bytes_max,
    )


async def hold(session: Session) -> None:
    """Take the lock before anything else is locked, where more than one thing will be added."""
    await store.lock(session)


async def take_article(session: Session) -> None:
    """Make sure that there is room for one more article. Raises Conflict."""
    plan = await organizations.get_entitlements(session)
    if plan.articles_max is None:
        return
    await store.lock(session)
    if await store.count_articles(session) >= plan.articles_max:
        raise Conflict(
            "article_limit",
            "The plan has room for {max} articles. Delete some that are not needed, or ask for a larger "
            "plan.",
            params={"max": plan.articles_max},
        )


async def take_storage(
    session: Session,
    size_bytes: int,
    *,
    instead_of: str | None = None,
    of_agent: UUID | None = None,
    of_page: UUID | None = None,
) -> None:
    """Make sure that so many bytes more fit. Raises Conflict.

    `instead_of` names the document, `of_agent` or the workspace's, whose bytes these take the place of;
    `of_page` is the page of a site whose these are, if there is one. Two uploads of one name
    come here one after the other, so the second finds the first one's document.
    """
    await store.lock(session)
    plan = await organizations.get_entitlements(session)
    freed = await store.size_of_replaced(session, instead_of, of_agent) if instead_of else 0
    freed += await store.size_of_page(session, of_page) if of_page else 0
    if await store.sum_bytes(session) - freed + size_bytes > plan.storage_bytes_max:
        raise Conflict(
            "storage_full",
            "The plan's storage of {limit} GB is full. Delete documents or files of articles that are not "
            "needed, or ask for a larger plan.",
            params={"limit": plan.storage_bytes_max // GIGABYTE},
        )
