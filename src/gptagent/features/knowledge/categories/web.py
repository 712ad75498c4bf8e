"""The pages of categories."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.articles.model import ArticleFilter, ArticleSummary
from gptagent.features.knowledge.categories import service
from gptagent.features.knowledge.categories.model import (
    DESCRIPTION_MAX_CHARS,
    TITLE_MAX_CHARS,
    Category,
    Direction,
    NewCategory,
    Tree,
)
from gptagent.features.knowledge.listing import SIZE_OPTIONS, Listing, id_of
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.http import CurrentScope, QueryText
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

LIMITS = {"title": TITLE_MAX_CHARS, "description": DESCRIPTION_MAX_CHARS}
ORDERS = ("title", "-title")
ARTICLES_SHOWN = 50


@dataclass(frozen=True, slots=True)
class CategoryPages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/knowledge-categories")
        router.get("")(self.list)
        router.get("/create")(self.create_form)
        router.post("/create")(self.create)
        router.get("/{category_id}/edit")(self.edit_form)
        router.post("/{category_id}/edit")(self.edit)
        router.post("/{category_id}/move")(self.move)
        router.post("/{category_id}/delete")(self.delete)
        return router

    async def list(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.VIEW)
        listing = Listing.read(request.query_params, ("q", "parent"), ORDERS)
        async with self.db.session(scope) as session:
            tree = await service.read_tree(session)
            counts = await knowledge.count_sources(session)
            shell = await self.pages.shell(request, session)
        found = _found(tree, listing)
        above = id_of(listing.get("parent"))
        return self.pages.show(
            request,
            "knowledge/categories.html",
            shell,
            rows=found[listing.offset : listing.offset + listing.size],
            total=len(found),
            any=bool(tree.by_id),
            listing=listing,
            sizes=SIZE_OPTIONS,
            counts=counts,
            options=options(tree),
            parent=tree.by_id.get(above) if above else None,
            tree=tree,
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
        )

    async def create_form(self, request: Request, scope: CurrentScope, parent: QueryText = "") -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        return await self._editor(request, scope, None, {"title": "", "description": "", "parent_id": parent})

    async def create(self, request: Request, scope: CurrentScope) -> Response:
        """Create it, and show it or, with `another`, an empty form below the same parent."""
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        typed = _typed(form)
        try:
            new = NewCategory(typed["title"], typed["description"], _parent(typed))
            async with self.db.session(scope) as session:
                made = await service.create_category(session, new, now=utcnow())
        except (Invalid, Conflict) as error:
            return await self._editor(request, scope, None, typed, error)
        place = f"{base_of(request)}/knowledge-categories"
        notice = Notice("success", "The category is created")
        if "another" in form:
            below = f"?parent={made.parent_id}" if made.parent_id else ""
            return self.pages.redirect(f"{place}/create{below}", notice)
        return self.pages.redirect(f"{place}/{made.id}/edit", notice)

    async def edit_form(self, request: Request, scope: CurrentScope, category_id: UUID) -> Response:
        require(scope, policy.VIEW)
        return await self._editor(request, scope, category_id, None)

    async def edit(self, request: Request, scope: CurrentScope, category_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        typed, version = _typed(form), words(form, "version")
        try:
            changes: dict[str, object] = {**typed, "parent_id": _parent(typed)}
            if version.isdecimal() and len(version) < 10:
                changes["version"] = int(version)
            async with self.db.session(scope) as session:
                await service.update_category(session, category_id, changes, now=utcnow())
        except (Invalid, Conflict) as error:
            return await self._editor(request, scope, category_id, typed, error)
        return self.pages.redirect(request.url.path, Notice("success", "Saved"))

    async def _editor(
        self,
        request: Request,
        scope: Scope,
        category_id: UUID | None,
        typed: dict[str, str] | None,
        error: AppError | None = None,
    ) -> Response:
        async with self.db.session(scope) as session:
            category = await service.get_category(session, category_id) if category_id else None
            tree = await service.read_tree(session)
            articles = await _articles(session, category_id)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "knowledge/category.html",
            shell,
            status=error.status if error else 200,
            category=category,
            values=typed or _values(category),
            options=options(tree, without=category_id),
            articles=articles,
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            limits=LIMITS,
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
        )

    async def move(self, request: Request, scope: CurrentScope, category_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        async with self.db.session(scope) as session:
            direction: Direction = "up" if words(form, "direction") == "up" else "down"
            moved = await service.move_category(session, category_id, direction, now=utcnow())
        listing = Listing.read(form, ("parent",), ())
        here = listing.query(page=listing.page if listing.page > 1 else "")
        done = Notice("success", "“{name}” is moved", params={"name": moved.title})
        return self.pages.redirect(f"{base_of(request)}/knowledge-categories{here}", done)

    async def delete(self, request: Request, scope: CurrentScope, category_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        cascade = words(await request.form(), "cascade") == "on"
        notice = Notice("success", "The category is deleted", "Its articles are still there.")
        try:
            async with self.db.session(scope) as session:
                await service.delete_category(session, category_id, cascade=cascade, now=utcnow())
        except Conflict as error:
            notice = Notice("warning", error.message)
        return self.pages.redirect(f"{base_of(request)}/knowledge-categories", notice)


async def _articles(session: Session, category_id: UUID | None) -> Sequence[ArticleSummary]:
    if category_id is None:
        return ()
    found, _total = await knowledge.find_articles(
        session, ArticleFilter(category_id=category_id), limit=ARTICLES_SHOWN
    )
    return found


def options(tree: Tree, *, without: UUID | None = None) -> list[tuple[str, str]]:
    """Return (id, title) in the tree's order, indented by depth; `without` one and those below it."""
    hidden = set(tree.below(without)) if without in tree.by_id else set()
    return [
        (str(one.id), "\u00a0\u00a0\u00a0" * (depth - 1) + one.title)
        for one, depth in tree.walk()
        if one.id not in hidden
    ]


def _found(tree: Tree, listing: Listing) -> list[tuple[Category, int]]:
    """Return the rows with their depths: the whole tree, or those of one parent, or those with some words."""
    above, text = id_of(listing.get("parent")), listing.get("q").lower()
    rows = list(tree.walk()) if above is None else [(one, 1) for one in tree.children(above)]
    if text:
        rows = [(one, 1) for one, _depth in rows if text in one.title.lower()]
    if listing.sort:
        rows = sorted(rows, key=lambda row: row[0].title.lower(), reverse=listing.sort.startswith("-"))
        rows = [(one, 1) for one, _depth in rows]
    return rows


def _typed(form: FormData) -> dict[str, str]:
    return {name: words(form, name) for name in ("title", "description", "parent_id")}


def _values(category: Category | None) -> dict[str, str]:
    if category is None:
        return {"title": "", "description": "", "parent_id": ""}
    parent = str(category.parent_id or "")
    return {"title": category.title, "description": category.description, "parent_id": parent}


def _parent(typed: dict[str, str]) -> UUID | None:
    """Raise Invalid for what is no id."""
    if not typed["parent_id"]:
        return None
    found = id_of(typed["parent_id"])
    if found is None:
        raise Invalid.field("parent_id", "There is no such category.")
    return found
