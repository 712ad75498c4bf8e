"""The verbs of a reading: each page is settled in a transaction of its own, by whoever has the claim."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from gptagent.features.knowledge.documents import INGEST_JOB
from gptagent.features.knowledge.quota import service as quota
from gptagent.features.knowledge.sites import store
from gptagent.features.knowledge.sites.model import Claimed, Site, Visit
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict

CRAWL = "knowledge.crawl"
LIVE_TOPIC = "sites"
BEHIND_REPLIES = -1
DELETED_AT_ONCE = 20  # pages of one transaction: each takes its passages along


async def queue(session: Session, site_id: UUID, *, delay: float = 0) -> None:
    """Let a reading begin or go on, `delay` seconds from now."""
    pause = timedelta(seconds=delay)
    await session.enqueue(CRAWL, {"site_id": str(site_id)}, delay=pause, priority=BEHIND_REPLIES)


async def announce(session: Session, site_id: UUID) -> None:
    await session.publish(LIVE_TOPIC, "changed", {"site_id": str(site_id)})


async def hold(session: Session, site: Site) -> None:
    """Keep the reading until the commit. Raises Conflict if it is no longer the caller's."""
    if not await store.hold_claim(session, site):
        raise Conflict("site_reading_outdated", "The site was deleted or is being read anew.")


async def begin_reading(session: Session, site: Site, robots: str, sitemaps: Sequence[str]) -> None:
    """Note where a reading begins. Raises Conflict as `hold` does."""
    await hold(session, site)
    await store.keep_robots(session, site, robots)
    await store.note_found(session, site, "page", [site.url], depth=0)
    if sitemaps:
        await store.note_found(session, site, "sitemap", sitemaps, depth=0)
    await announce(session, site.id)


async def next_page(session: Session, site: Site) -> Claimed | None:
    """Return what is to be fetched now; None at the end of the line or of the site's limit."""
    await hold(session, site)
    page = await store.claim_page(session, site)
    if page is not None and page.kind == "page" and await store.count_kept(session, site) >= site.page_limit:
        await store.end_waiting(session, site.id, "skipped", "page_limit")
        return None
    return page


async def record_visit(
    session: Session, site: Site, page: Claimed, visit: Visit, *, now: datetime, tell: bool
) -> bool:
    """Settle a page and note what it leads to. Returns whether its bytes were taken.

    Raises Conflict as `hold` does.
    """
    await hold(session, site)
    visit = await _settled(session, site, page, visit)
    if visit.sitemaps:
        await store.note_found(session, site, "sitemap", visit.sitemaps, depth=page.depth)
    if visit.links and page.depth < site.depth:
        await store.note_found(session, site, "page", visit.links, depth=page.depth + 1)
    if visit.instead is not None:
        await store.note_found(session, site, "page", [visit.instead], depth=page.depth)
    is_taken = visit.state == "taken" and visit.content is not None
    if visit.content is not None and is_taken:
        document_id = await store.put_document(session, page.id, page.url, visit.content, now)
        await session.enqueue(INGEST_JOB, {"document_id": str(document_id)}, priority=BEHIND_REPLIES)
    elif visit.state in {"refused", "skipped", "gone"}:
        await store.drop_document(session, page.id)
    await store.settle_page(session, page.id, visit)
    if tell:
        await announce(session, site.id)
    return is_taken


async def _settled(session: Session, site: Site, page: Claimed, visit: Visit) -> Visit:
    """Leave out a page for another one, unless that was left out for this one, for what it says, or if it has
    no room.
    """
    content = visit.content
    if content is None:
        return visit
    if visit.instead is not None:
        if not await store.is_instead(session, site, visit.instead, page.id):
            return replace(visit, state="skipped", reason="canonical", content=None)
        visit = replace(visit, instead=None)
    if visit.state == "taken" and await store.has_twin(session, site, page.id, content.digest):
        return replace(visit, state="skipped", reason="duplicate", content=None)
    if visit.state == "taken":
        try:
            await quota.take_storage(session, content.size_bytes, of_page=page.id)
        except Conflict:  # what the page said before stays
            return replace(visit, state="failed", reason="storage_full", content=None)
    return visit


async def drop_outdated(session: Session, site: Site) -> int:
    """Delete some of what this reading has not found or leaves out. Returns how many; 0 is the end.

    Raises Conflict as `hold` does.
    """
    await hold(session, site)
    gone = await store.delete_some_pages(session, site.id, DELETED_AT_ONCE, before_run=site.run)
    return gone or await store.delete_some_documents(session, site.id, site.run, DELETED_AT_ONCE)


async def finish_reading(session: Session, site: Site) -> None:
    """End a reading that has come to the end of its line. It failed if nothing of the site could be taken."""
    counts = (await store.count_pages(session, [site.id])).get(site.id)
    reason = None
    if counts is None or not counts.taken + counts.unchanged:
        reason = await store.first_reason(session, site) or "nothing_taken"
    await end_reading(session, site.id, site.claim, reason)


async def end_reading(session: Session, site_id: UUID, claim: int | None, reason: str | None) -> None:
    """End a reading, with the reason why it failed. What was taken before stays."""
    state = "failed" if reason else "completed"
    if await store.finish_site(session, site_id, claim, state, reason):
        if reason:
            await store.end_waiting(session, site_id, "failed", reason)
        await announce(session, site_id)


async def delete_some(session: Session, site_id: UUID) -> bool:
    """Delete some of a deleted site's pages, and the site with the last ones. Returns whether it is gone."""
    if await store.delete_some_pages(session, site_id, DELETED_AT_ONCE, before_run=None):
        return False
    await store.delete_site(session, site_id)
    await announce(session, site_id)
    return True
