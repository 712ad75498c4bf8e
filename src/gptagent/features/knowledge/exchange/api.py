"""Files of articles over REST."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, UploadFile
from starlette.responses import Response, StreamingResponse

from gptagent.features.knowledge.exchange import service
from gptagent.features.knowledge.exchange.rows import MEDIA, FileFormat
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope, Wire
from gptagent.kernel.rest import api_router

Format = Annotated[FileFormat, Query(alias="format")]
EXPORTED: Mapping[int | str, dict[str, Any]] = {
    200: {
        "description": "The file",
        "content": {
            "application/json": {"schema": {"type": "array", "items": {"type": "object"}}},
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


def as_file(content: AsyncIterator[bytes] | bytes, name: str, form: FileFormat) -> Response:
    """Return a download called `name`; pieces are written while they are read."""
    headers = {"content-disposition": f'attachment; filename="{name}.{form}"', "cache-control": "no-store"}
    if isinstance(content, bytes):
        return Response(content, headers=headers, media_type=MEDIA[form])
    return StreamingResponse(content, headers=headers, media_type=MEDIA[form])


class ArticlesImported(Wire):
    created: int


@dataclass(frozen=True, slots=True)
class ExchangeApi:
    """Its addresses lie beside those of one article, so it comes before them."""

    db: Database

    def router(self) -> APIRouter:
        router = api_router("/articles", tags=["articles"])
        router.get(
            "/export", response_class=Response, responses=dict(EXPORTED), summary="Export articles as a file"
        )(self.export)
        router.post("/import", summary="Import articles from a file")(self.take)
        return router

    async def export(self, scope: CurrentScope, form: Format = "json") -> Response:
        """Return all articles as JSON or CSV. That they were exported is recorded."""
        require(scope, policy.EDIT_KNOWLEDGE)
        return as_file(await service.export_articles(self.db, scope, form), "articles", form)

    async def take(self, scope: CurrentScope, file: UploadFile) -> ArticlesImported:
        """Take in up to 500 articles of a JSON or CSV file, all or none; each fault is named by its line."""
        require(scope, policy.EDIT_KNOWLEDGE)
        data = await file.read()
        async with self.db.session(scope) as session:
            return ArticlesImported(created=await service.import_articles(session, data, now=utcnow()))
