"""The pages of sites: the list, the form that adds one, and one site with its pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.listing import SIZE_OPTIONS, Listing, ids_of
from gptagent.features.knowledge.sites import service
from gptagent.features.knowledge.sites.fetching import judged
from gptagent.features.knowledge.sites.model import (
    DEPTH,
    DEPTH_MAX,
    EVERY,
    PAGES,
    PAGES_MAX,
    NewSite,
    Site,
)
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.egress import Egress
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

LIMITS = {"depth": DEPTH_MAX, "page_limit": PAGES_MAX}
STATES = ("taken", "unchanged", "waiting", "failed", "refused", "skipped", "gone")
EMPTY = {"url": "", "kind": "site", "depth": str(DEPTH), "page_limit": str(PAGES), "every": "none"}
NO_NUMBER = -1


@dataclass(frozen=True, slots=True)
class SitePages:
    db: Database
    pages: Pages
    egress: Egress

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/knowledge-sites")
        router.get("")(self.list)
        router.get("/create")(self.create_form)
        router.post("/create")(self.create)
        router.get("/{site_id}")(self.show)
        router.post("/{site_id}/edit")(self.edit)
        router.post("/{site_id}/sync")(self.sync)
        router.post("/{site_id}/delete")(self.delete)
        return router

    async def list(self, request: Request, scope: CurrentScope, part: str = "") -> Response:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            sites = await service.list_sites(session)
            counts = await knowledge.count_sources(session)
            shell = None if part else await self.pages.shell(request, session)
        context: dict[str, Any] = {"sites": sites, "may_edit": policy.EDIT_KNOWLEDGE in scope.permissions}
        if part:
            return self.pages.part(request, "knowledge/_sites.html", **context)
        return self.pages.show(request, "knowledge/sites.html", shell, counts=counts, **context)

    async def create_form(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        return await self._form(request, scope, EMPTY)

    async def create(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        typed = {name: words(form, name).strip() for name in EMPTY}
        chosen = ids_of(form.getlist("categories"))
        try:
            url = await judged(self.egress, typed["url"])
            new = NewSite("page" if typed["kind"] == "page" else "site", url, **_settings(form))
            async with self.db.session(scope) as session:
                site = await service.add_site(session, new, now=utcnow())
        except (Invalid, Conflict) as error:
            return await self._form(request, scope, typed, error, chosen=chosen)
        added = Notice("success", "The site is added", "Reading has begun. The page shows how far it is.")
        return self.pages.redirect(f"{base_of(request)}/knowledge-sites/{site.id}", added)

    async def _form(
        self,
        request: Request,
        scope: Scope,
        values: Mapping[str, str],
        error: AppError | None = None,
        *,
        chosen: Sequence[UUID] = (),
    ) -> Response:
        async with self.db.session(scope) as session:
            tree = await categories.read_tree(session)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "knowledge/site_create.html",
            shell,
            status=error.status if error else 200,
            values=values,
            tree=tree,
            chosen=chosen,
            limits=LIMITS,
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
        )

    async def show(self, request: Request, scope: CurrentScope, site_id: UUID, part: str = "") -> Response:
        require(scope, policy.VIEW)
        return await self._site(request, scope, site_id, part=part)

    async def edit(self, request: Request, scope: CurrentScope, site_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        number = words(form, "version")
        version = int(number) if number.isdecimal() and len(number) < 10 else None
        try:
            async with self.db.session(scope) as session:
                changes = _settings(form) | {"version": version}
                await service.update_site(session, site_id, changes, now=utcnow())
        except (Invalid, Conflict) as error:
            typed = {name: words(form, name) for name in service.SETTINGS}
            chosen = ids_of(form.getlist("categories"))
            return await self._site(request, scope, site_id, typed=typed, chosen=chosen, error=error)
        return self.pages.redirect(_address(request, site_id), Notice("success", "Saved"))

    async def _site(
        self,
        request: Request,
        scope: Scope,
        site_id: UUID,
        *,
        part: str = "",
        typed: Mapping[str, str] | None = None,
        chosen: Sequence[UUID] | None = None,
        error: AppError | None = None,
    ) -> Response:
        listing = Listing.read(request.query_params, ("state",), ())
        state = listing.get("state") if listing.get("state") in STATES else None
        async with self.db.session(scope) as session:
            site = await service.get_site(session, site_id)
            tree = await categories.read_tree(session)
            found, total = await service.list_pages(
                session, site_id, state=state, offset=listing.offset, limit=listing.size
            )
            shell = None if part else await self.pages.shell(request, session)
        context: dict[str, Any] = {
            "site": site,
            "found": found,
            "total": total,
            "listing": listing,
            "sizes": SIZE_OPTIONS,
            "may_edit": policy.EDIT_KNOWLEDGE in scope.permissions,
        }
        if part:
            return self.pages.part(request, "knowledge/_site.html", **context)
        return self.pages.show(
            request,
            "knowledge/site.html",
            shell,
            status=error.status if error else 200,
            values=typed or _values(site),
            tree=tree,
            chosen=site.categories if chosen is None else chosen,
            limits=LIMITS,
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            **context,
        )

    async def sync(self, request: Request, scope: CurrentScope, site_id: UUID) -> Response:
        """Read it again, and come back to where the button was pressed."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.request_sync(session, site_id, now=utcnow())
        begun = Notice("success", "Reading has begun", "What has not changed is left as it is.")
        return self.pages.redirect(_address(request, site_id), begun)

    async def delete(self, request: Request, scope: CurrentScope, site_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.delete_site(session, site_id)
        gone = Notice("success", "The site is deleted", "Its pages leave the knowledge base within a minute.")
        return self.pages.redirect(f"{base_of(request)}/knowledge-sites", gone)


def _address(request: Request, site_id: UUID) -> str:
    return f"{base_of(request)}/knowledge-sites/{site_id}"


def _settings(form: FormData) -> dict[str, Any]:
    """Return what a form says of a site's settings; what is no number is out of every bound."""
    found: dict[str, Any] = {}
    for name in ("depth", "page_limit"):
        if name in form:
            text = words(form, name).strip()
            found[name] = int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else NO_NUMBER
    if "categories" in form:
        found["categories"] = ids_of(form.getlist("categories"))
    if "every" in form:
        found["every"] = every if (every := words(form, "every")) in EVERY else ""
    return found


def _values(site: Site) -> dict[str, str]:
    return {"depth": str(site.depth), "page_limit": str(site.page_limit), "every": site.every}
