"""Sites over REST."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from gptagent.features.knowledge.articles.model import CATEGORIES_MAX
from gptagent.features.knowledge.sites import service
from gptagent.features.knowledge.sites.fetching import judged
from gptagent.features.knowledge.sites.model import (
    DEPTH,
    DEPTH_MAX,
    PAGES,
    PAGES_MAX,
    Every,
    NewSite,
    PageState,
    Site,
    SiteKind,
    SitePage,
)
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.egress import Egress
from gptagent.kernel.http import Body, CurrentScope, Wire, example, locale_of
from gptagent.kernel.i18n import translate
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, api_router

Depth = Annotated[int, Field(ge=0, le=DEPTH_MAX)]
PageLimit = Annotated[int, Field(ge=1, le=PAGES_MAX)]


class SiteBody(Body):
    """`kind` page takes the one address; site follows its links and sitemap, `depth` links far at most.

    `every` none, daily or weekly says how often it is read again.
    `categories` are ids: its pages are in them.
    """

    model_config = example({"url": "https://example.com", "kind": "site", "every": "weekly"})

    url: str = Field(max_length=2_000)
    kind: SiteKind = "site"
    depth: Depth = DEPTH
    page_limit: PageLimit = PAGES
    every: Every = "none"
    categories: list[UUID] = Field(default_factory=list, max_length=CATEGORIES_MAX)


class SitePatch(Body):
    """Fields left out stay as they are. `version` refuses the change if another one came first.

    `categories` count for all pages from the next question on.
    """

    model_config = example({"every": "daily", "page_limit": 500})

    depth: Depth = DEPTH
    page_limit: PageLimit = PAGES
    every: Every = "none"
    categories: list[UUID] = Field(default_factory=list, max_length=CATEGORIES_MAX)
    version: int | None = Field(None, ge=0, le=2**31 - 1)


class CountsOut(Wire):
    """Pages of the latest reading: of those `found`, `waiting` are not fetched yet.

    `reading` are taken but not read yet; `indexed` have passages that answer now.
    """

    found: int
    waiting: int
    taken: int
    unchanged: int
    failed: int
    refused: int
    skipped: int
    gone: int
    reading: int
    indexed: int


class SiteOut(Wire):
    """`state` queued, running, completed or failed; `failure` says why the latest reading failed."""

    moving: ClassVar[frozenset[str]] = frozenset(
        {"state", "error_code", "failure", "counts", "next_at", "started_at", "finished_at"}
    )

    id: UUID
    kind: str
    url: str
    depth: int
    page_limit: int
    every: str
    categories: list[UUID]
    state: str
    error_code: str | None
    failure: str | None
    version: int
    counts: CountsOut
    next_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    created_at: datetime
    updated_at: datetime


class SitesOut(Wire):
    items: list[SiteOut]
    next_cursor: str | None


class SitePageOut(Wire):
    """`state` waiting, taken, unchanged, failed, refused (robots.txt), skipped or gone; `failure` says why.

    `chunks` are its passages that answer now.
    """

    id: UUID
    kind: str
    url: str
    title: str
    depth: int
    state: str
    reason: str | None
    failure: str | None
    http_status: int | None
    document_id: UUID | None
    reading: bool
    chunks: int
    checked_at: datetime | None


class SitePagesOut(Wire):
    items: list[SitePageOut]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class SitesApi:
    db: Database
    egress: Egress

    def router(self) -> APIRouter:
        router = api_router("/sites", tags=["sites"])
        router.get("", summary="List sites")(self.list)
        router.post("", status_code=201, summary="Add a site or a page")(self.create)
        router.get("/{site_id}", summary="Get a site")(self.get)
        router.patch("/{site_id}", summary="Change a site's settings")(self.update)
        router.delete("/{site_id}", status_code=204, summary="Delete a site")(self.delete)
        router.post("/{site_id}/sync", status_code=202, summary="Read a site again")(self.sync)
        router.get("/{site_id}/pages", summary="List a site's pages")(self.pages)
        return router

    async def list(
        self,
        request: Request,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.SITE_ORDERS, "-created_at")],
    ) -> SitesOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_sites(session, page)
        return SitesOut(items=[_site(one, request) for one in found], next_cursor=after)

    async def create(self, request: Request, scope: CurrentScope, body: SiteBody) -> SiteOut:
        """Reading begins at once. Private addresses are refused; robots.txt and noindex are obeyed."""
        require(scope, policy.EDIT_KNOWLEDGE)
        url = await judged(self.egress, body.url)
        chosen = tuple(body.categories)
        new = NewSite(body.kind, url, body.depth, body.page_limit, body.every, chosen)
        async with self.db.session(scope) as session:
            return _site(await service.add_site(session, new, now=utcnow()), request)

    async def get(self, request: Request, scope: CurrentScope, site_id: UUID) -> SiteOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return _site(await service.get_site(session, site_id), request)

    async def update(
        self, request: Request, scope: CurrentScope, match: CurrentMatch, site_id: UUID, body: SitePatch
    ) -> SiteOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        changes = body.model_dump(exclude_unset=True)
        async with self.db.session(scope) as session:
            if match:
                match.check(_site(await service.get_site(session, site_id, lock=True), request))
            return _site(await service.update_site(session, site_id, changes, now=utcnow()), request)

    async def delete(self, request: Request, scope: CurrentScope, match: CurrentMatch, site_id: UUID) -> None:
        """Its pages leave the knowledge base within a minute."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            if match:
                match.check(_site(await service.get_site(session, site_id, lock=True), request))
            await service.delete_site(session, site_id)

    async def sync(self, request: Request, scope: CurrentScope, site_id: UUID) -> SiteOut:
        """A reading that is under way is the one that is meant."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return _site(await service.request_sync(session, site_id, now=utcnow()), request)

    async def pages(
        self,
        request: Request,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.PAGE_ORDERS, "created_at")],
        site_id: UUID,
        state: PageState | None = None,
    ) -> SitePagesOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_pages(session, site_id, page, state=state)
        return SitePagesOut(items=[_page(one, request) for one in found], next_cursor=after)


def _site(site: Site, request: Request) -> SiteOut:
    values = {name: getattr(site, name) for name in SiteOut.model_fields if name not in {"failure", "counts"}}
    failure = translate(locale_of(request), site.failure) if site.failure else None
    return SiteOut(**values, failure=failure, counts=CountsOut.model_validate(site.counts))


def _page(page: SitePage, request: Request) -> SitePageOut:
    values = {name: getattr(page, name) for name in SitePageOut.model_fields if name != "failure"}
    return SitePageOut(
        **values, failure=translate(locale_of(request), page.failure) if page.failure else None
    )
