"""The pages of the knowledge base: documents with their way through reading, articles with a preview."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge import service
from gptagent.features.knowledge.articles import PAGE_LIMIT
from gptagent.features.knowledge.model import (
    CONTENT_MAX_CHARS,
    EXTENSIONS,
    FILE_MAX_BYTES,
    FORMATS,
    TITLE_MAX_CHARS,
    ArticleChange,
    Document,
    NewArticle,
)
from gptagent.features.knowledge.upload import read_chunks, store_upload
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.files import FileStore
from gptagent.kernel.http import CurrentScope, QueryText
from gptagent.kernel.scope import Scope
from gptagent.kernel.text import render_markdown
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

ACCEPT = ",".join(EXTENSIONS)
FILE_MAX_MB = FILE_MAX_BYTES // 1_000_000
LIMITS = {"title": TITLE_MAX_CHARS, "content": CONTENT_MAX_CHARS}


@dataclass(frozen=True, slots=True)
class DocumentPages:
    db: Database
    pages: Pages
    files: FileStore

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/manage/{workspace}/knowledge-base")
        router.get("")(self.list)
        router.post("/documents")(self.upload)
        router.post("/documents/{document_id}/retry")(self.retry)
        router.post("/documents/{document_id}/delete")(self.delete)
        return router

    async def list(
        self,
        request: Request,
        scope: CurrentScope,
        q: QueryText = "",
        before: UUID | None = None,
        part: str = "",
    ) -> Response:
        require(scope, policy.VIEW)
        return await self._list(request, scope, q=q, before=before, part=part)

    async def _list(
        self,
        request: Request,
        scope: Scope,
        *,
        q: str = "",
        before: UUID | None = None,
        part: str = "",
        failures: Sequence[tuple[str, str]] = (),
    ) -> Response:
        async with self.db.session(scope) as session:
            documents = await service.list_documents(session, search=q, before=before)
            counts = await service.count_sources(session)
            shell = None if part else await self.pages.shell(request, session)
        context: dict[str, Any] = {
            "documents": documents,
            "counts": counts,
            "q": q,
            "before": before,
            "older": documents[-1].id if len(documents) == PAGE_LIMIT else None,
            "may_edit": policy.EDIT_KNOWLEDGE in scope.permissions,
            "minutes_left": partial(_minutes_left, now=utcnow()),
        }
        if part:
            return self.pages.part(request, "knowledge/_documents.html", **context)
        return self.pages.show(
            request,
            "knowledge/documents.html",
            shell,
            status=422 if failures else 200,
            failures=failures,
            accept=ACCEPT,
            formats=FORMATS,
            limit=FILE_MAX_MB,
            **context,
        )

    async def upload(self, request: Request, scope: CurrentScope) -> Response:
        """Take every file that can be taken and name the others with their reason."""
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        files = [file for file in form.getlist("files") if isinstance(file, UploadFile) and file.filename]
        failures: list[tuple[str, str]] = []
        for file in files:
            try:
                await store_upload(
                    self.db, self.files, scope, file.filename or "", read_chunks(file), now=utcnow()
                )
            except AppError as error:
                failures.append((file.filename or "", message_of(request, error)))
        if not files:
            nothing = Invalid("invalid", "Choose a file first.")
            failures.append(("", message_of(request, nothing)))
        if failures:
            return await self._list(request, scope, failures=failures)
        taken = Notice("success", "The upload is done", "Reading has begun. The page shows how far it is.")
        return self.pages.redirect(f"{base_of(request)}/knowledge-base", taken)

    async def retry(self, request: Request, scope: CurrentScope, document_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        notice = None
        try:
            async with self.db.session(scope) as session:
                await service.retry_document(session, document_id, now=utcnow())
        except Conflict as error:  # somebody else pressed the button first
            notice = Notice("warning", error.message)
        return self.pages.redirect(f"{base_of(request)}/knowledge-base", notice)

    async def delete(self, request: Request, scope: CurrentScope, document_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            key = await service.delete_document(session, document_id)
        await self.files.delete(key)
        gone = Notice("success", "The document is deleted", "Agents no longer answer from it.")
        return self.pages.redirect(f"{base_of(request)}/knowledge-base", gone)


@dataclass(frozen=True, slots=True)
class ArticlePages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/manage/{workspace}/knowledge-items")
        router.get("")(self.list)
        router.get("/create")(self.create_form)
        router.post("/create")(self.create)
        router.post("/preview")(self.preview)
        router.get("/{article_id}/edit")(self.edit_form)
        router.post("/{article_id}/edit")(self.edit)
        router.post("/{article_id}/active")(self.switch)
        router.post("/{article_id}/delete")(self.delete)
        return router

    async def list(
        self, request: Request, scope: CurrentScope, q: QueryText = "", before: UUID | None = None
    ) -> Response:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            articles = await service.list_articles(session, search=q, before=before)
            counts = await service.count_sources(session)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "knowledge/articles.html",
            shell,
            articles=articles,
            counts=counts,
            q=q,
            before=before,
            older=articles[-1].id if len(articles) == PAGE_LIMIT else None,
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
        )

    async def create_form(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        return await self._editor(request, scope, None, _typed(None))

    async def create(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        typed = _typed(await request.form())
        if "preview" in await request.form():
            return await self._editor(request, scope, None, typed)
        try:
            command = NewArticle(str(typed["title"]), str(typed["content"]), bool(typed["is_active"]))
            async with self.db.session(scope) as session:
                article = await service.create_article(session, command, now=utcnow())
        except Invalid as error:
            return await self._editor(request, scope, None, typed, error)
        return self.pages.redirect(
            f"{base_of(request)}/knowledge-items/{article.id}/edit",
            Notice("success", "The article is saved", "Agents can answer from it now.")
            if article.is_active
            else Notice("success", "The article is saved"),
        )

    async def edit_form(self, request: Request, scope: CurrentScope, article_id: UUID) -> Response:
        require(scope, policy.VIEW)
        return await self._editor(request, scope, article_id, None)

    async def edit(self, request: Request, scope: CurrentScope, article_id: UUID) -> Response:
        """Save, unless somebody else saved meanwhile: then what was typed stays and the page says so."""
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        typed = _typed(form)
        if "preview" in form:
            return await self._editor(request, scope, article_id, typed)
        version = words(form, "version")
        change = ArticleChange(
            article_id,
            title=str(typed["title"]),
            content=str(typed["content"]),
            is_active=bool(typed["is_active"]),
            version=int(version) if version.isdecimal() and len(version) < 10 else None,
        )
        try:
            async with self.db.session(scope) as session:
                await service.update_article(session, change, now=utcnow())
        except (Invalid, Conflict) as error:
            return await self._editor(request, scope, article_id, typed, error)
        return self.pages.redirect(request.url.path, Notice("success", "Saved"))

    async def _editor(
        self,
        request: Request,
        scope: Scope,
        article_id: UUID | None,
        typed: dict[str, object] | None,
        error: AppError | None = None,
    ) -> Response:
        async with self.db.session(scope) as session:
            article = await service.get_article(session, article_id) if article_id else None
            shell = await self.pages.shell(request, session)
        if typed is None and article is not None:
            typed = {"title": article.title, "content": article.content, "is_active": article.is_active}
        values = typed or _typed(None)
        return self.pages.show(
            request,
            "knowledge/article.html",
            shell,
            status=error.status if error else 200,
            article=article,
            values=values,
            preview=render_markdown(str(values["content"])),
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            limits=LIMITS,
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
        )

    async def preview(self, request: Request, scope: CurrentScope) -> Response:
        """Return the typed Markdown as it will be shown."""
        require(scope, policy.EDIT_KNOWLEDGE)
        content = words(await request.form(), "content")[:CONTENT_MAX_CHARS]
        return self.pages.part(request, "knowledge/_preview.html", preview=render_markdown(content))

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


def _minutes_left(document: Document, *, now: datetime) -> int | None:
    """Return how long the reading of a document is likely to go on; None if that is not known, or over."""
    if document.expected_at is None or document.expected_at < now:
        return None
    return round((document.expected_at - now).total_seconds() / 60)


def _typed(form: FormData | None) -> dict[str, object]:
    """Return what the form holds; an empty article is on."""
    if form is None:
        return {"title": "", "content": "", "is_active": True}
    return {
        "title": words(form, "title"),
        "content": words(form, "content"),
        "is_active": words(form, "is_active") == "on",
    }
