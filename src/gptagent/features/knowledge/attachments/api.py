"""Files of articles over REST."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, UploadFile
from starlette.responses import Response

from gptagent.features.knowledge.attachments import service
from gptagent.features.knowledge.attachments.model import FileKind
from gptagent.features.knowledge.attachments.upload import store_file
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.files import FileStore
from gptagent.kernel.http import CurrentScope, Wire, as_download
from gptagent.kernel.rest import api_router


class ArticleFileOut(Wire):
    id: UUID
    article_id: UUID
    name: str
    kind: FileKind
    mime: str
    size_bytes: int
    created_at: datetime


class ArticleFilesOut(Wire):
    """In the order they are sent in; `not_sent_by` names connections whose replies can carry no file now."""

    items: list[ArticleFileOut]
    not_sent_by: list[str]


@dataclass(frozen=True, slots=True)
class ArticleFilesApi:
    db: Database
    files: FileStore

    def router(self) -> APIRouter:
        router = api_router("/articles/{article_id}/files", tags=["articles"])
        router.get("", summary="List the files sent with an article")(self.list_files)
        router.post(
            "",
            status_code=201,
            summary="Add a file to an article",
            responses={200: {"model": ArticleFileOut, "description": "The article has these bytes already"}},
        )(self.add_file)
        router.get("/{file_id}", summary="Download a file of an article")(self.download_file)
        router.delete("/{file_id}", status_code=204, summary="Take a file from an article")(self.delete_file)
        return router

    async def list_files(self, scope: CurrentScope, article_id: UUID) -> ArticleFilesOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found = await service.list_files(session, article_id)
            without = await service.without_files(session)
        return ArticleFilesOut(
            items=[ArticleFileOut.model_validate(one) for one in found], not_sent_by=list(without)
        )

    async def add_file(
        self, response: Response, scope: CurrentScope, article_id: UUID, file: UploadFile
    ) -> ArticleFileOut:
        """Take one file. It goes to the customer after each reply that is drawn from the article.

        In one chat not again within 30 days.
        """
        require(scope, policy.EDIT_KNOWLEDGE)
        stored = await store_file(self.db, self.files, scope, article_id, file, now=utcnow())
        response.status_code = 201 if stored.is_new else 200
        return ArticleFileOut.model_validate(stored.file)

    async def download_file(self, scope: CurrentScope, article_id: UUID, file_id: UUID) -> Response:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            file, path = await service.open_file(session, self.files, article_id, file_id)
        return as_download(file.name, path)

    async def delete_file(self, scope: CurrentScope, article_id: UUID, file_id: UUID) -> None:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.delete_file(session, article_id, file_id)
