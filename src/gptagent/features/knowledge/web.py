"""The page of documents with their way through reading."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge import service
from gptagent.features.knowledge.categories import service as categories
from gptagent.features.knowledge.documents import PAGE_LIMIT
from gptagent.features.knowledge.listing import ids_of
from gptagent.features.knowledge.model import EXTENSIONS, FILE_MAX_BYTES, FORMATS, ZIP
from gptagent.features.knowledge.quota.service import read_usage
from gptagent.features.knowledge.staging.model import stages_of
from gptagent.features.knowledge.staging.service import stage_choices
from gptagent.features.knowledge.upload import store_uploads
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.files import FileStore
from gptagent.kernel.http import CurrentScope, QueryText
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of

ACCEPT = ",".join(EXTENSIONS)
FILE_MAX_MB = FILE_MAX_BYTES // 1_000_000
UPLOADED = Notice("success", "The upload is done", "Reading has begun. The page shows how far it is.")


@dataclass(frozen=True, slots=True)
class DocumentPages:
    db: Database
    pages: Pages
    files: FileStore

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/knowledge-base")
        router.get("")(self.list)
        router.post("/documents")(self.upload)
        router.get("/documents/{document_id}/edit")(self.edit_form)
        router.post("/documents/{document_id}/edit")(self.edit)
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
        chosen: Sequence[UUID] = (),
    ) -> Response:
        async with self.db.session(scope) as session:
            documents = await service.list_documents(session, search=q, before=before)
            counts = await service.count_sources(session)
            usage = await read_usage(session)
            tree = await categories.read_tree(session)
            shell = None if part else await self.pages.shell(request, session)
        context: dict[str, Any] = {
            "documents": documents,
            "counts": counts,
            "usage": usage,
            "tree": tree,
            "q": q,
            "before": before,
            "older": documents[-1].id if len(documents) == PAGE_LIMIT else None,
            "may_edit": policy.EDIT_KNOWLEDGE in scope.permissions,
            "now": utcnow(),
        }
        if part:
            return self.pages.part(request, "knowledge/_documents.html", **context)
        return self.pages.show(
            request,
            "knowledge/documents.html",
            shell,
            status=422 if failures else 200,
            failures=failures,
            chosen=chosen,
            accept=ACCEPT,
            formats=FORMATS,
            limit=FILE_MAX_MB,
            **context,
        )

    async def upload(self, request: Request, scope: CurrentScope) -> Response:
        """Take every file that can be taken and name the others with their reason."""
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        chosen = ids_of(form.getlist("categories"))
        refused = await store_uploads(
            self.db, self.files, scope, form.getlist("files"), categories=chosen, now=utcnow()
        )
        if refused:
            failures = told_failures(request, refused)
            return await self._list(request, scope, failures=failures, chosen=chosen)
        return self.pages.redirect(f"{base_of(request)}/knowledge-base", UPLOADED)

    async def edit_form(self, request: Request, scope: CurrentScope, document_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        return await self._document(request, scope, document_id)

    async def edit(self, request: Request, scope: CurrentScope, document_id: UUID) -> Response:
        """Put the document into the ticked categories, out of all others, and have it be for these stages."""
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        chosen = ids_of(form.getlist("categories"))
        ticked = [one for one in form.getlist("stages") if isinstance(one, str)]
        try:
            async with self.db.session(scope) as session:
                await service.place_document(session, document_id, chosen, stages=stages_of(ticked))
        except (Invalid, Conflict) as error:
            return await self._document(request, scope, document_id, chosen, error, ticked=ticked)
        return self.pages.redirect(f"{base_of(request)}/knowledge-base", Notice("success", "Saved"))

    async def _document(
        self,
        request: Request,
        scope: Scope,
        document_id: UUID,
        chosen: Sequence[UUID] | None = None,
        error: AppError | None = None,
        *,
        ticked: Sequence[str] | None = None,
    ) -> Response:
        async with self.db.session(scope) as session:
            document = await service.get_document(session, document_id)
            stages = await stage_choices(session)
            tree = await categories.read_tree(session)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "knowledge/document.html",
            shell,
            status=error.status if error else 200,
            document=document,
            is_archive=document.mime == ZIP,
            tree=tree,
            chosen=document.categories if chosen is None else chosen,
            stages=stages,
            ticked=[str(one) for one in document.stages] if ticked is None else ticked,
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
        )

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


def told_failures(request: Request, refused: Sequence[tuple[str, AppError]]) -> list[tuple[str, str]]:
    """Return the files that were not taken with their reasons, in the reader's language."""
    return [(name, message_of(request, error)) for name, error in refused]
