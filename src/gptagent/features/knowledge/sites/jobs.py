"""Reading a site: page by page, each fetched without a transaction and settled in one of its own.

Killed at any point, it goes on at the page that was not settled. A stretch is short, so that many sites share
a worker and leave it to those who wait for replies.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

import structlog

from gptagent.features.knowledge.sites import crawling, store
from gptagent.features.knowledge.sites.addresses import is_same_site, normal, origin_of
from gptagent.features.knowledge.sites.fetching import PAGE_MAX_BYTES, Fetched, Fetcher
from gptagent.features.knowledge.sites.model import Claimed, Site, Visit
from gptagent.features.knowledge.sites.robots import Robots
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import Conflict
from gptagent.kernel.files import FileStore
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 1.0  # between two pages of a site that does not ask for more
STRETCH_SECONDS = 10.0
PAGE_ATTEMPTS = 2  # a page that took its worker down this often is left alone
TELL_EVERY_SECONDS = 1.0
READERS = 20  # of a worker's places for jobs
FULL_SECONDS = 5.0

_PLACES = asyncio.Semaphore(READERS)


class CrawlContext(Protocol):
    """What a reading needs of a job's context."""

    @property
    def db(self) -> Database: ...
    @property
    def files(self) -> FileStore: ...
    @property
    def scope(self) -> Scope: ...


@dataclass(frozen=True, slots=True)
class SiteJobs:
    egress: Egress
    pause: float = PAUSE_SECONDS

    async def crawl(self, ctx: CrawlContext, /, site_id: str) -> None:
        """Read a stretch of a site; what is left goes on in another job. A deleted one's pages go."""
        if _PLACES.locked():
            async with ctx.db.session(ctx.scope) as session:
                if await store.fetch_site(session, UUID(site_id)) is not None:
                    await crawling.queue(session, UUID(site_id), delay=FULL_SECONDS)
                    return
        async with _PLACES:
            async with ctx.db.session(ctx.scope) as session:
                claimed = await store.claim_site(session, UUID(site_id))
                is_deleted = claimed is None and await store.is_deleted(session, UUID(site_id))
            if is_deleted:
                await _delete(ctx, UUID(site_id))
            if claimed is None:
                return
            try:
                await _Stretch(ctx, Fetcher(self.egress), self.pause, *claimed).go()
            except Conflict:
                log.info("crawl_outdated", site_id=site_id)

    async def give_up(self, ctx: CrawlContext, /, site_id: str) -> None:
        """Show a site whose job died as failed, so that its owner can read it again."""
        async with ctx.db.session(ctx.scope) as session:
            await crawling.end_reading(session, UUID(site_id), None, "interrupted")


async def _delete(ctx: CrawlContext, site_id: UUID) -> None:
    is_gone = False
    while not is_gone:
        async with ctx.db.session(ctx.scope) as session:
            is_gone = await crawling.delete_some(session, site_id)


class _Stretch:
    """Some pages of a reading, by one worker."""

    def __init__(
        self, ctx: CrawlContext, fetcher: Fetcher, pause: float, site: Site, robots: str | None
    ) -> None:
        self._ctx, self._fetcher, self._site, self._said = ctx, fetcher, site, robots
        self._least_pause = pause
        self._clock = asyncio.get_running_loop().time
        self._ends_at = self._clock() + STRETCH_SECONDS
        self._told_at = 0.0

    async def go(self) -> None:
        """Read until the stretch is over. Raises Conflict once the reading is no longer this worker's."""
        if self._said is None and not await self._begin():
            return
        robots = Robots.parse(self._said or "")
        pause = max(self._least_pause, robots.delay)
        while True:
            async with self._ctx.db.session(self._ctx.scope) as session:
                page = await crawling.next_page(session, self._site)
            if page is None:
                await self._finish()
                return
            visit = await self._take(robots, page)
            rest = pause if visit.pause is None else max(visit.pause, pause)
            if self._clock() + rest > self._ends_at or visit.pause is not None:
                await self._go_on_later(rest)
                return
            await asyncio.sleep(rest)

    async def _begin(self) -> bool:
        """Ask what may be read. A site that cannot tell is not read: False."""
        said, reason = await self._fetcher.read_robots(self._site)
        async with self._ctx.db.session(self._ctx.scope) as session:
            if said is None:
                await crawling.end_reading(session, self._site.id, self._site.claim, reason)
                return False
            sitemaps = self._sitemaps(Robots.parse(said)) if self._site.kind == "site" else []
            await crawling.begin_reading(session, self._site, said, sitemaps)
        self._said = said
        return True

    def _sitemaps(self, robots: Robots) -> list[str]:
        """Return the sitemaps a site names, else where they usually lie."""
        if not self._site.depth:
            return []
        named = [normal(one, self._site.url) for one in robots.sitemaps]
        own = [one for one in named if one is not None and is_same_site(one, self._site.url)]
        return list(dict.fromkeys(own)) or [f"{origin_of(self._site.url)}/sitemap.xml"]

    async def _take(self, robots: Robots, page: Claimed) -> Visit:
        if page.attempts > PAGE_ATTEMPTS:
            fetched = Fetched(Visit("failed", "internal"))
        else:
            fetched = await self._fetcher.fetch(self._site, robots, page)
        visit = fetched.visit
        if visit.pause is not None and page.attempts >= PAGE_ATTEMPTS:
            fetched = Fetched(replace(visit, state="failed", pause=None))
        await self._record(page, fetched)
        return fetched.visit

    async def _record(self, page: Claimed, fetched: Fetched) -> None:
        visit, key = fetched.visit, ""
        if fetched.body and visit.content is not None:
            key = self._ctx.scope.key("documents", new_id().hex)
            stored = await self._ctx.files.put(key, _once(fetched.body), max_bytes=2 * PAGE_MAX_BYTES)
            visit = replace(visit, content=replace(visit.content, blob_key=stored.key))
        is_taken = False
        try:
            async with self._ctx.db.session(self._ctx.scope) as session:
                is_taken = await crawling.record_visit(
                    session, self._site, page, visit, now=utcnow(), tell=self._is_time_to_tell()
                )
        finally:
            if key and not is_taken:
                await self._ctx.files.delete(key)

    def _is_time_to_tell(self) -> bool:
        now = self._clock()
        if now - self._told_at < TELL_EVERY_SECONDS:
            return False
        self._told_at = now
        return True

    async def _finish(self) -> None:
        left = 1
        while left:
            async with self._ctx.db.session(self._ctx.scope) as session:
                left = await crawling.drop_outdated(session, self._site)
        async with self._ctx.db.session(self._ctx.scope) as session:
            await crawling.finish_reading(session, self._site)

    async def _go_on_later(self, rest: float) -> None:
        async with self._ctx.db.session(self._ctx.scope) as session:
            await crawling.hold(session, self._site)
            await crawling.queue(session, self._site.id, delay=rest)
            await crawling.announce(session, self._site.id)


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
