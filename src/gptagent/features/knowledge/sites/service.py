"""The verbs of sites: add, change, read again, delete; what a reading records."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.knowledge.placing import service as placing
from gptagent.features.knowledge.sites import store
from gptagent.features.knowledge.sites.crawling import CRAWL, announce, queue
from gptagent.features.knowledge.sites.model import (
    DEPTH_MAX,
    EVERY,
    INTERVALS,
    PAGES_MAX,
    SITES_MAX,
    Counts,
    Every,
    NewSite,
    Site,
    SitePage,
)
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict, FieldError, Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Order, Page, orders
from gptagent.kernel.scope import SYSTEM, Scope

__all__ = [
    "CRAWL",
    "PAGE_ORDERS",
    "SITE_ORDERS",
    "add_site",
    "delete_site",
    "get_site",
    "list_pages",
    "list_sites",
    "page_pages",
    "page_sites",
    "queue_due_sites",
    "request_sync",
    "update_site",
]

SITE_ORDERS = orders(name="url")
PAGE_ORDERS = {"created_at": Order("created_at", "created_at"), "url": Order("url", "url", "text")}
STALE = timedelta(minutes=30)  # a reading that has not moved for so long was lost
MOST_AT_ONCE = 20  # of scheduled readings over all workspaces
SETTINGS = ("depth", "page_limit", "every")


async def add_site(session: Session, new: NewSite, *, now: datetime) -> Site:
    """Add a source and queue its first reading. Raises Invalid, and Conflict over SITES_MAX."""
    _check(new.depth, new.page_limit, new.every)
    if await store.count_sites(session) >= SITES_MAX:
        limit = {"max": SITES_MAX}
        raise Conflict("too_many_sites", "There are {max} sites already.", params=limit)
    if new.kind == "page":
        new = replace(new, depth=0, page_limit=1)
    site_id = new_id()
    if not await store.insert_site(session, site_id, new, _next(new.every, now)):
        raise Invalid.field("url", "This address is here already.")
    await placing.place_site(session, site_id, new.categories)
    await queue(session, site_id)
    await announce(session, site_id)
    await audit.record(session, Entry("site.added", "site", str(site_id)))
    return await get_site(session, site_id)


async def update_site(
    session: Session, site_id: UUID, changes: Mapping[str, object], *, now: datetime
) -> Site:
    """Change `depth`, `page_limit`, `every`, `categories`, if they are named; with `version` only if it is
    still that. Categories count for its pages from the next question on.

    A reading under way goes on with what it began with. Raises NotFound, Invalid, Conflict.
    """
    old = await _locked(session, site_id)
    if changes.get("version") not in {None, old.version}:
        raise Conflict("site_changed", "Somebody else changed this site. Reload it and try again.")
    values = {name: changes.get(name, getattr(old, name)) for name in SETTINGS}
    if old.kind == "page":
        values |= {"depth": old.depth, "page_limit": old.page_limit}
    _check(values["depth"], values["page_limit"], values["every"])
    changed: dict[str, tuple[object, object] | None] = {
        name: (getattr(old, name), value) for name, value in values.items() if value != getattr(old, name)
    }
    chosen = changes.get("categories")
    if isinstance(chosen, Collection) and await placing.place_site(session, site_id, chosen):
        changed["categories"] = None
    if not changed:
        return await get_site(session, site_id)
    await store.update_site(session, site_id, values, _rescheduled(old, values["every"], now))
    await announce(session, site_id)
    await audit.record(session, Entry("site.updated", "site", str(site_id), changed))
    return await get_site(session, site_id)


async def request_sync(session: Session, site_id: UUID, *, now: datetime) -> Site:
    """Read the site again; while a reading is under way that is the one. Raises NotFound."""
    site = await _locked(session, site_id)
    if site.is_busy and site.updated_at > now - STALE:
        return await get_site(session, site_id)
    await _begin(session, site, now)
    await audit.record(session, Entry("site.sync_asked", "site", str(site_id)))
    return await get_site(session, site_id)


async def delete_site(session: Session, site_id: UUID) -> None:
    """Take the site away. Its pages go with the next job, in small steps. Raises NotFound."""
    if not await store.mark_deleted(session, site_id):
        raise _missing()
    await queue(session, site_id)
    await announce(session, site_id)
    await audit.record(session, Entry("site.deleted", "site", str(site_id)))


async def get_site(session: Session, site_id: UUID, *, lock: bool = False) -> Site:
    """Return the site with its counts. Raises NotFound."""
    site = await store.fetch_site(session, site_id, lock=lock)
    if site is None:
        raise _missing()
    return (await _counted(session, [site]))[0]


async def list_sites(session: Session) -> list[Site]:
    """Return all sites with their counts, by address."""
    return await _counted(session, await store.list_sites(session))


async def page_sites(session: Session, page: Page) -> tuple[list[Site], str | None]:
    """Return a page of the sites, and the cursor of the next one if there is more."""
    found, after = page.cut(
        await store.page_sites(session, page), lambda s: (getattr(s, page.order.column), s.id)
    )
    return await _counted(session, found), after


async def list_pages(
    session: Session, site_id: UUID, *, state: str | None = None, offset: int, limit: int
) -> tuple[list[SitePage], int]:
    """Return pages of the latest reading, the nearest to the start first, and how many there are."""
    found = await store.list_pages(session, site_id, state, offset, limit)
    return found, await store.count_listed(session, site_id, state)


async def page_pages(
    session: Session, site_id: UUID, page: Page, *, state: str | None = None
) -> tuple[list[SitePage], str | None]:
    """Return a page of the latest reading's pages. Raises NotFound if there is no such site."""
    await get_site(session, site_id)
    rows = await store.page_pages(session, site_id, page, state)
    by_url = page.order.column == "url"
    kept, after = page.cut(rows, lambda row: (row[0].url if by_url else row[1], row[0].id))
    return [one for one, _ in kept], after


async def queue_due_sites(db: Database, *, now: datetime, most: int = MOST_AT_ONCE) -> int:
    """Begin the readings that are due, and go on with what was interrupted. Returns how many.

    Several workers may do so at once: each looks again under the site's lock.
    """
    async with db.installation() as session:
        due = await store.sites_to_crawl(session, STALE, most)
    begun = 0
    for row in due:
        async with db.session(Scope(row["org_id"], SYSTEM)) as session:
            begun += await _begin_if_due(session, row["site_id"], now)
    return begun


async def _begin_if_due(session: Session, site_id: UUID, now: datetime) -> bool:
    site = await store.fetch_site(session, site_id, lock=True)
    if site is None:
        if await store.is_deleted(session, site_id):
            await queue(session, site_id)
            return True
        return False
    if not await store.is_due(session, site_id, STALE):
        return False
    await _begin(session, site, now)
    return True


async def _begin(session: Session, site: Site, now: datetime) -> None:
    await store.begin_run(session, site, _next(site.every, now))
    await queue(session, site.id)
    await announce(session, site.id)


async def _counted(session: Session, sites: Sequence[Site]) -> list[Site]:
    counts = await store.count_pages(session, [site.id for site in sites]) if sites else {}
    return [replace(site, counts=counts.get(site.id, Counts())) for site in sites]


async def _locked(session: Session, site_id: UUID) -> Site:
    site = await store.fetch_site(session, site_id, lock=True)
    if site is None:
        raise _missing()
    return site


def _next(every: Every, now: datetime) -> datetime | None:
    interval = INTERVALS.get(every)
    return now + interval if interval else None


def _rescheduled(old: Site, every: object, now: datetime) -> datetime | None:
    """A new interval counts from the latest reading."""
    interval = next((length for name, length in INTERVALS.items() if name == every), None)
    return max(now, (old.started_at or now) + interval) if interval else None


def _check(depth: object, page_limit: object, every: object) -> None:
    faults = []
    if not isinstance(depth, int) or not 0 <= depth <= DEPTH_MAX:
        faults.append(
            FieldError("depth", "Choose a number from {min} to {max}.", {"min": 0, "max": DEPTH_MAX})
        )
    if not isinstance(page_limit, int) or not 1 <= page_limit <= PAGES_MAX:
        bounds = {"min": 1, "max": PAGES_MAX}
        faults.append(FieldError("page_limit", "Choose a number from {min} to {max}.", bounds))
    if every not in EVERY:
        faults.append(FieldError("every", "Choose one of the list."))
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))


def _missing() -> NotFound:
    return NotFound("site_not_found", "There is no such site.")
