"""Documents over REST."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request, UploadFile
from pydantic import Field
from starlette.responses import Response

from gptagent.features.knowledge import service
from gptagent.features.knowledge.articles.model import CATEGORIES_MAX
from gptagent.features.knowledge.model import Document, DocumentStatus
from gptagent.features.knowledge.staging.api import StageBody, StageKeyOut, keys_of
from gptagent.features.knowledge.staging.model import STAGES_MAX, stages_of
from gptagent.features.knowledge.upload import read_chunks, store_upload
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Invalid
from gptagent.kernel.files import FileStore
from gptagent.kernel.http import Body, CurrentScope, QueryText, Wire, example, locale_of
from gptagent.kernel.i18n import translate
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, api_router

Chosen = Annotated[list[UUID], Field(max_length=CATEGORIES_MAX)]


class UnreadOut(Wire):
    """A file of an archive by its name, or pages (`3-5, 9`)."""

    name: str
    error_code: str
    failure: str


class DocumentOut(Wire):
    """`status` pending, processing, completed or failed; `failure` says what to do about a failed one.

    An archive has `entry_count` documents made of its files. `unread` names files of it, or pages, that were
    left out. `expected_at` is when the reading under way is likely to end. `url` is where a site's page lies;
    with `agent_id` it is this agent's own.

    `categories` are where it is, of a site's page where its site is. What is in none of an agent's categories
    is not found by it. With `stages` it is found at these stages of a deal only; not `is_everywhere` and
    without `stages` nowhere, for their account is disconnected.
    """

    id: UUID
    title: str
    file_name: str
    mime: str
    size_bytes: int
    status: str
    progress: int
    error_code: str | None
    failure: str | None
    attempts: int
    chunk_count: int
    expected_at: datetime | None
    entry_count: int
    unread: list[UnreadOut]
    created_at: datetime
    updated_at: datetime
    url: str | None
    agent_id: UUID | None
    categories: list[UUID]
    stages: list[StageKeyOut]
    is_everywhere: bool


class DocumentPatch(Body):
    """`categories` are ids; it is taken out of all others. Without any `stages` it is for every one.

    Fields left out stay as they are.
    """

    model_config = example({"categories": ["0198c0de-0000-7000-8000-000000000001"]})

    categories: Chosen | None = None
    stages: tuple[StageBody, ...] | None = None


class DocumentsOut(Wire):
    items: list[DocumentOut]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class DocumentsApi:
    db: Database
    files: FileStore

    def router(self) -> APIRouter:
        router = api_router("/documents", tags=["documents"])
        router.get("", summary="List documents")(self.list)
        router.post(
            "",
            status_code=201,
            summary="Upload a file",
            responses={200: {"model": DocumentOut, "description": "The same bytes are here already"}},
        )(self.upload)
        router.get("/{document_id}", summary="Get a document")(self.get)
        router.patch("/{document_id}", summary="Say where a document is and for which stages")(self.update)
        router.post("/{document_id}/retry", status_code=202, summary="Read a failed document again")(
            self.retry
        )
        router.delete("/{document_id}", status_code=204, summary="Delete a document")(self.delete)
        return router

    async def list(
        self,
        request: Request,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.DOCUMENT_ORDERS, "-created_at")],
        search: QueryText = "",
        status: DocumentStatus | None = None,
    ) -> DocumentsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_documents(session, page, search=search, status=status)
        return DocumentsOut(items=[document_out(item, request) for item in found], next_cursor=after)

    async def upload(
        self,
        request: Request,
        response: Response,
        scope: CurrentScope,
        file: UploadFile,
        categories: Annotated[str, Form(max_length=CATEGORIES_MAX * 40)] = "",
        *,
        stages: Annotated[str, Form(max_length=STAGES_MAX * 80)] = "",
    ) -> DocumentOut:
        """Take one file. The same bytes again are the document that is here already (200 instead of 201).

        Another file of the same name takes the place of the document that has it. `categories`, ids with
        commas between them, are those it is in from then on; without any it stays where it is. `stages`, each
        as `connection:pipeline:stage`, are likewise those it is for.
        """
        require(scope, policy.EDIT_KNOWLEDGE)
        registration = await store_upload(
            self.db,
            self.files,
            scope,
            file.filename or "",
            read_chunks(file),
            categories=_ids(categories),
            stages=stages_of(filter(None, map(str.strip, stages.split(",")))),
            now=utcnow(),
        )
        response.status_code = 201 if registration.is_new else 200
        return document_out(registration.document, request)

    async def get(self, request: Request, scope: CurrentScope, document_id: UUID) -> DocumentOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return document_out(await service.get_document(session, document_id), request)

    async def update(
        self,
        request: Request,
        scope: CurrentScope,
        match: CurrentMatch,
        document_id: UUID,
        body: DocumentPatch,
    ) -> DocumentOut:
        """It counts from the next question on. A page of a site is where its site is (409)."""
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            if match:
                current = await service.get_document(session, document_id, lock=True)
                match.check(document_out(current, request))
            stages = None if body.stages is None else keys_of(body.stages)
            placed = await service.place_document(session, document_id, body.categories, stages=stages)
            return document_out(placed, request)

    async def retry(self, request: Request, scope: CurrentScope, document_id: UUID) -> DocumentOut:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            return document_out(await service.retry_document(session, document_id, now=utcnow()), request)

    async def delete(
        self, request: Request, scope: CurrentScope, match: CurrentMatch, document_id: UUID
    ) -> None:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            if match:
                current = await service.get_document(session, document_id, lock=True)
                match.check(document_out(current, request))
            key = await service.delete_document(session, document_id)
        await self.files.delete(key)


def document_out(document: Document, request: Request) -> DocumentOut:
    """Return the document as answers tell it, in the reader's language."""
    told = ("failure", "unread", "stages")
    values = {name: getattr(document, name) for name in DocumentOut.model_fields if name not in told}
    locale = locale_of(request)
    failure = translate(locale, document.failure) if document.failure else None
    unread = [
        UnreadOut(name=one.name, error_code=one.error_code, failure=translate(locale, one.failure))
        for one in document.unread
    ]
    stages = [StageKeyOut.model_validate(one) for one in document.stages]
    return DocumentOut(**values, failure=failure, unread=unread, stages=stages)


def _ids(text: str) -> list[UUID]:
    """Return the ids of a form field. Raises Invalid for what is none."""
    try:
        return [UUID(one.strip()) for one in text.split(",") if one.strip()]
    except ValueError as error:
        raise Invalid.field("categories", "There is no such category.") from error
