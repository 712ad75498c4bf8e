"""The list of articles and what can be done to several at once."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge import service
from gptagent.features.knowledge.articles.model import ArticleChange, ArticleFilter, BulkAction
from gptagent.features.knowledge.articles.store import SORTS
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.categories.web import options
from gptagent.features.knowledge.listing import SIZE_OPTIONS, Listing, id_of, ids_of
from gptagent.features.knowledge.quota.service import read_usage
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Invalid, NotFound
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.routing import page_router
from gptagent.ui.web import Notice, Pages, base_of, words

FILTERS = ("q", "category", "status", "tag")
STATES = {"active": True, "inactive": False}
DONE: dict[BulkAction, Notice] = {
    "activate": Notice("success", "The articles are on", "Agents answer from them."),
    "deactivate": Notice("success", "The articles are off", "Agents no longer answer from them."),
    "move": Notice("success", "The articles are moved"),
    "delete": Notice("success", "The articles are deleted", "Agents no longer answer from them."),
}


@dataclass(frozen=True, slots=True)
class ArticlePages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/knowledge-items")
        router.get("")(self.list)
        router.post("/bulk")(self.change)
        router.post("/{article_id}/active")(self.switch)
        router.post("/{article_id}/delete")(self.delete)
        return router

    async def list(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.VIEW)
        listing = Listing.read(request.query_params, FILTERS, SORTS)
        above = id_of(listing.get("category"))
        async with self.db.session(scope) as session:
            tree = await categories.read_tree(session)
            category = tree.by_id.get(above) if above else None
            is_active = STATES.get(listing.get("status"))
            wanted = ArticleFilter(
                listing.get("q"), is_active, category.id if category else None, listing.get("tag")
            )
            articles, total = await service.find_articles(
                session, wanted, sort=listing.sort, limit=listing.size, offset=listing.offset
            )
            counts = await service.count_sources(session)
            usage = await read_usage(session)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "knowledge/articles.html",
            shell,
            articles=articles,
            total=total,
            listing=listing,
            sizes=SIZE_OPTIONS,
            tree=tree,
            category=category,
            options=options(tree),
            counts=counts,
            usage=usage,
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
        )

    async def change(self, request: Request, scope: CurrentScope) -> Response:
        """Do one thing to all that were ticked, and show the same list again."""
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        ids, to = ids_of(form.getlist("ids")), ids_of(form.getlist("to"))
        action = next((one for one in DONE if one == words(form, "action")), None)
        notice = DONE[action] if action else None
        try:
            if not ids or action is None:
                raise Invalid.field("ids", "Choose articles first.")
            async with self.db.session(scope) as session:
                await service.change_articles(session, ids, action, categories=to, now=utcnow())
        except Invalid as error:
            notice = Notice("warning", error.fields[0].message, params=_said(error))
        except NotFound:
            notice = Notice("warning", "One of the articles is gone. Nothing was changed.")
        listing = Listing.read(form, FILTERS, SORTS)
        return self.pages.redirect(f"{base_of(request)}/knowledge-items{listing.query()}", notice)

    async def switch(self, request: Request, scope: CurrentScope, article_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        is_active = words(await request.form(), "is_active") == "on"
        async with self.db.session(scope) as session:
            change = ArticleChange(article_id, is_active=is_active)
            article = await service.update_article(session, change, now=utcnow())
        if "hx-request" in request.headers:
            return self.pages.part(request, "knowledge/_switched.html", article=article)
        return self.pages.redirect(f"{base_of(request)}/knowledge-items", Notice("success", "Saved"))

    async def delete(self, request: Request, scope: CurrentScope, article_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.delete_article(session, article_id)
        gone = Notice("success", "The article is deleted", "Agents no longer answer from it.")
        return self.pages.redirect(f"{base_of(request)}/knowledge-items", gone)


def _said(error: Invalid) -> dict[str, str]:
    return {name: str(value) for name, value in (error.fields[0].params or {}).items()}
