"""What the article's page does with its files; the list itself is a part of that page."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge.articles.editor import ArticleEditor
from gptagent.features.knowledge.attachments import service
from gptagent.features.knowledge.attachments.upload import store_file
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Invalid, NotFound
from gptagent.kernel.files import FileStore
from gptagent.kernel.http import CurrentScope, as_download
from gptagent.kernel.routing import page_router
from gptagent.ui.web import Notice, Pages, base_of, message_of


@dataclass(frozen=True, slots=True)
class ArticleFilePages:
    db: Database
    pages: Pages
    files: FileStore
    editor: ArticleEditor

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/knowledge-items/{article_id}/files")
        router.post("")(self.add)
        router.get("/{file_id}")(self.download)
        router.post("/{file_id}/delete")(self.delete)
        return router

    async def add(self, request: Request, scope: CurrentScope, article_id: UUID) -> Response:
        """Take every file that can be taken and name the others with their reason."""
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        chosen = [one for one in form.getlist("files") if isinstance(one, UploadFile) and one.filename]
        failures: list[tuple[str, str]] = []
        for file in chosen:
            try:
                await store_file(self.db, self.files, scope, article_id, file, now=utcnow())
            except NotFound:
                raise
            except AppError as error:
                failures.append((file.filename or "", message_of(request, error)))
        if not chosen:
            failures.append(("", message_of(request, Invalid("invalid", "Choose a file first."))))
        if failures:
            return await self.editor.show_failures(request, scope, article_id, failures)
        done = Notice("success", "The files are added", "They are sent with the article from now on.")
        return self._back(request, article_id, done)

    async def download(self, scope: CurrentScope, article_id: UUID, file_id: UUID) -> Response:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            file, path = await service.open_file(session, self.files, article_id, file_id)
        return as_download(file.name, path)

    async def delete(
        self, request: Request, scope: CurrentScope, article_id: UUID, file_id: UUID
    ) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.delete_file(session, article_id, file_id)
        return self._back(request, article_id, Notice("success", "The file is removed"))

    def _back(self, request: Request, article_id: UUID, notice: Notice) -> Response:
        place = f"{base_of(request)}/knowledge-items/{article_id}/edit#files"
        return self.pages.redirect(place, notice)
