"""The pages of one article: writing it, its relatives, what it said before."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from fastapi import Path as PathParameter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge import service
from gptagent.features.knowledge.articles.model import (
    CONTENT_MAX_CHARS,
    DESCRIPTION_MAX_CHARS,
    TITLE_MAX_CHARS,
    Article,
    ArticleChange,
    ArticleFilter,
    NewArticle,
    tags_of,
)
from gptagent.features.knowledge.attachments import service as attachments
from gptagent.features.knowledge.attachments.model import ENDINGS, FILE_MAX_BYTES, FILES_MAX
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.gaps import service as gaps
from gptagent.features.knowledge.gaps.model import Gap
from gptagent.features.knowledge.gaps.web import notice_of
from gptagent.features.knowledge.listing import id_of, ids_of
from gptagent.features.knowledge.staging.model import stages_of
from gptagent.features.knowledge.staging.service import stage_names
from gptagent.features.organizations import policy
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, Invalid, NotFound
from gptagent.kernel.http import CurrentScope, QueryText, locale_of
from gptagent.kernel.paging import Page
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.kernel.text import render_markdown
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

LIMITS = {"title": TITLE_MAX_CHARS, "description": DESCRIPTION_MAX_CHARS, "content": CONTENT_MAX_CHARS}
OFFERED = 8  # articles that a search for relatives shows
VERSIONS_SHOWN = 100
Version = Annotated[int, PathParameter(ge=1, lt=2**31)]


@dataclass(frozen=True, slots=True)
class ArticleEditor:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/knowledge-items")
        router.get("/create")(self.create_form)
        router.post("/create")(self.create)
        router.post("/preview")(self.preview)
        router.post("/related")(self.related)
        router.get("/{article_id}/edit")(self.edit_form)
        router.post("/{article_id}/edit")(self.edit)
        router.get("/{article_id}/versions")(self.versions)
        router.get("/{article_id}/versions/{version}")(self.version)
        router.post("/{article_id}/versions/{version}/restore")(self.restore)
        return router

    async def create_form(
        self, request: Request, scope: CurrentScope, category: QueryText = "", gap: QueryText = ""
    ) -> Response:
        """Show an empty form; with `gap` its title and stages are those of what customers asked."""
        require(scope, policy.EDIT_KNOWLEDGE)
        return await self._editor(request, scope, None, {**_blank(category), "gap": id_of(gap)})

    async def create(self, request: Request, scope: CurrentScope) -> Response:
        """Create it, and show it or, with `another`, an empty form."""
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        typed = _typed(form)
        if "preview" in form or "find" in form:
            return await self._editor(request, scope, None, typed)
        try:
            async with self.db.session(scope) as session:
                gap = await _gap_of(session, typed)
                if gap is not None:
                    await gaps.hold_gap(session, gap.id)
                article = await service.create_article(session, NewArticle(**_command(typed)), now=utcnow())
                gap = await _fill(session, typed, article)
                told = await notice_of(session, gap, locale_of(request)) if gap else None
        except (Invalid, Conflict) as error:
            return await self._editor(request, scope, None, typed, error)
        if gap is not None:
            return self.pages.redirect(f"{base_of(request)}/knowledge-gaps/{gap.id}", told)
        place = f"{base_of(request)}/knowledge-items"
        notice = Notice("success", "The article is saved", "Agents can answer from it now.")
        if not article.is_active:
            notice = Notice("success", "The article is saved")
        return self.pages.redirect(
            f"{place}/create" if "another" in form else f"{place}/{article.id}/edit", notice
        )

    async def edit_form(self, request: Request, scope: CurrentScope, article_id: UUID) -> Response:
        require(scope, policy.VIEW)
        return await self._editor(request, scope, article_id, None)

    async def show_failures(
        self, request: Request, scope: Scope, article_id: UUID, failures: Sequence[tuple[str, str]]
    ) -> Response:
        """Show the article with its files, and why some, by their names, were not taken."""
        return await self._editor(request, scope, article_id, None, failures=failures)

    async def edit(self, request: Request, scope: CurrentScope, article_id: UUID) -> Response:
        """Save, unless somebody else saved meanwhile: then what was typed stays and the page says so."""
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        typed = _typed(form)
        if "preview" in form or "find" in form:
            return await self._editor(request, scope, article_id, typed)
        number = words(form, "version")
        version = int(number) if number.isdecimal() and len(number) < 10 else None
        try:
            async with self.db.session(scope) as session:
                change = ArticleChange(article_id, **_command(typed), version=version)
                await service.update_article(session, change, now=utcnow())
        except (Invalid, Conflict) as error:
            return await self._editor(request, scope, article_id, typed, error)
        return self.pages.redirect(request.url.path, Notice("success", "Saved"))

    async def _editor(
        self,
        request: Request,
        scope: Scope,
        article_id: UUID | None,
        typed: Mapping[str, object] | None,
        error: AppError | None = None,
        *,
        failures: Sequence[tuple[str, str]] = (),
    ) -> Response:
        may_edit = policy.EDIT_KNOWLEDGE in scope.permissions
        async with self.db.session(scope) as session:
            article = await service.get_article(session, article_id) if article_id else None
            if may_edit:  # the form offers the default category, also in a workspace that has none yet
                await categories.ensure_default(session, now=utcnow())
            tree = await categories.read_tree(session)
            values = dict(typed if typed is not None else _values(article))
            gap = await _gap_of(session, values)
            if gap is not None and error is None and not values["title"]:
                values["title"] = gap.title[:TITLE_MAX_CHARS]
            if gap is not None:
                values["categories"] = values["categories"] or await gaps.category_for(session, gap.id)
            if values["stages"] is None:  # an empty form
                values["stages"] = await _stages_for(session, gap)
            if default := tree.default():
                values["categories"] = values["categories"] or (default.id,)
            picked, found = await _relatives(session, values, article_id)
            sent = await _files(session, article_id)
            stages = await stage_names(session)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "knowledge/article.html",
            shell,
            status=error.status if error else 422 if failures else 200,
            article=article,
            values=values,
            gap=gap,
            tree=tree,
            picked=picked,
            found=found,
            stages=[(str(key), label, 1) for key, label in stages.items()],
            preview=render_markdown(str(values["content"])),
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            limits=LIMITS,
            may_edit=may_edit,
            failures=failures,
            **sent,
        )

    async def preview(self, request: Request, scope: CurrentScope) -> Response:
        """Return the typed Markdown as it will be shown."""
        require(scope, policy.EDIT_KNOWLEDGE)
        content = words(await request.form(), "content")[:CONTENT_MAX_CHARS]
        return self.pages.part(request, "knowledge/_preview.html", preview=render_markdown(content))

    async def related(self, request: Request, scope: CurrentScope) -> Response:
        """Return the articles that are ticked as related, and those found by what is being typed."""
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        async with self.db.session(scope) as session:
            picked, found = await _relatives(session, _typed(form), id_of(words(form, "article_id")))
        return self.pages.part(request, "knowledge/_related.html", picked=picked, found=found)

    async def versions(self, request: Request, scope: CurrentScope, article_id: UUID) -> Response:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            article = await service.get_article(session, article_id)
            page = Page(service.VERSION_ORDERS["-version"], VERSIONS_SHOWN)
            found, _after = await service.page_versions(session, page, article_id)
            names = await _names(session)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request, "knowledge/versions.html", shell, article=article, versions=found, names=names
        )

    async def version(
        self, request: Request, scope: CurrentScope, article_id: UUID, version: Version
    ) -> Response:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            article = await service.get_article(session, article_id)
            then = await service.get_version(session, article_id, version)
            names = await _names(session)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "knowledge/version.html",
            shell,
            article=article,
            then=then,
            names=names,
            text=render_markdown(then.content),
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
        )

    async def restore(
        self, request: Request, scope: CurrentScope, article_id: UUID, version: Version
    ) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.restore_version(session, article_id, version, now=utcnow())
        done = Notice("success", "The earlier text is back", "What it said until now is among the versions.")
        return self.pages.redirect(f"{base_of(request)}/knowledge-items/{article_id}/edit", done)


async def _relatives(
    session: Session, values: Mapping[str, object], article_id: UUID | None
) -> tuple[list[tuple[str, str]], list[tuple[str, str]] | None]:
    """Return (id, title) of the related articles and of those the search offers; None if none is searched."""
    related = values["related"]
    ids = [one for one in related if isinstance(one, UUID)] if isinstance(related, tuple) else []
    titles = await service.article_titles(session, ids)
    picked = [(str(one), titles[one]) for one in ids if one in titles]
    text = str(values["related_q"]).strip()
    if not text:
        return picked, None
    hits, _total = await service.find_articles(
        session, ArticleFilter(text), sort="title", limit=OFFERED + len(ids) + 1
    )
    offered = [(str(one.id), one.title) for one in hits if one.id not in {*ids, article_id}]
    return picked, offered[:OFFERED]


async def _gap_of(session: Session, values: Mapping[str, object]) -> Gap | None:
    """Return what the article is written for; None if it is gone, or the article has no such cause."""
    gap_id = values.get("gap")
    if not isinstance(gap_id, UUID):
        return None
    with suppress(NotFound):
        return await gaps.get_gap(session, gap_id)
    return None


async def _stages_for(session: Session, gap: Gap | None) -> tuple[str, ...]:
    return tuple(map(str, await gaps.stages_for(session, gap.id))) if gap else ()


async def _fill(session: Session, typed: Mapping[str, object], article: Article) -> Gap | None:
    gap = await _gap_of(session, typed)
    return await gaps.link_article(session, gap.id, article.id, now=utcnow()) if gap else None


async def _files(session: Session, article_id: UUID | None) -> dict[str, Any]:
    """Return what the page shows of the files that are sent with an article; of a new one nothing."""
    if article_id is None:
        return {}
    return {
        "files": await attachments.list_files(session, article_id),
        "files_max": FILES_MAX,
        "file_limit": FILE_MAX_BYTES // 1_000_000,
        "accept": ENDINGS,
        "without_files": await attachments.without_files(session),
    }


async def _names(session: Session) -> dict[UUID, str]:
    """Return what the members are called, by their ids."""
    return {one.person_id: one.full_name for one in await organizations.list_members(session)}


def _blank(category: str) -> dict[str, object]:
    chosen = ids_of([category])
    return {**_values(None), "categories": chosen, "stages": None}


def _values(article: Article | None) -> dict[str, object]:
    if article is None:
        empty: tuple[UUID, ...] = ()
        texts = {"title": "", "description": "", "content": "", "tags": "", "related_q": ""}
        return {**texts, "is_active": True, "categories": empty, "related": empty, "stages": ()}
    return {
        "title": article.title,
        "description": article.description,
        "content": article.content,
        "tags": ", ".join(article.tags),
        "is_active": article.is_active,
        "categories": article.categories,
        "related": article.related,
        "stages": tuple(map(str, article.stages)),
        "related_q": "",
    }


def _typed(form: FormData) -> dict[str, object]:
    texts = {name: words(form, name) for name in ("title", "description", "content", "tags", "related_q")}
    chosen = {name: ids_of(form.getlist(name)) for name in ("categories", "related")}
    switched = {"is_active": words(form, "is_active") == "on", "gap": id_of(words(form, "gap"))}
    stages = tuple(one for one in form.getlist("stages") if isinstance(one, str))
    return {**texts, **chosen, **switched, "stages": stages}


def _command(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Raises Invalid for a stage that is none."""
    fields = {name: value for name, value in typed.items() if name not in {"related_q", "gap"}}
    return {**fields, "tags": tags_of(str(typed["tags"])), "stages": stages_of(typed["stages"])}
