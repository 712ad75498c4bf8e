"""An agent's own files over REST."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, UploadFile
from starlette.responses import Response

from gptagent.features.knowledge import service
from gptagent.features.knowledge.agent_files.service import find_agent
from gptagent.features.knowledge.api import DocumentOut, DocumentsOut, document_out
from gptagent.features.knowledge.model import DocumentStatus
from gptagent.features.knowledge.questions.asking import Askers
from gptagent.features.knowledge.upload import read_chunks, store_upload
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.files import FileStore
from gptagent.kernel.http import CurrentScope, QueryText
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, api_router


@dataclass(frozen=True, slots=True)
class AgentFilesApi:
    db: Database
    files: FileStore
    askers: Askers

    def router(self) -> APIRouter:
        router = api_router("/agents/{agent_id}/files", tags=["agents"])
        router.get("", summary="List an agent's own files")(self.list_files)
        router.post(
            "",
            status_code=201,
            summary="Give an agent a file of its own",
            responses={200: {"model": DocumentOut, "description": "The agent has these bytes already"}},
        )(self.add_file)
        router.get("/{file_id}", summary="Get a file of an agent")(self.get_file)
        router.post("/{file_id}/retry", status_code=202, summary="Read a failed file of an agent again")(
            self.retry_file
        )
        router.delete("/{file_id}", status_code=204, summary="Delete a file of an agent")(self.delete_file)
        return router

    async def list_files(
        self,
        request: Request,
        scope: CurrentScope,
        agent_id: UUID,
        page: Annotated[Page, page_of(service.DOCUMENT_ORDERS, "-created_at")],
        search: QueryText = "",
        *,
        status: DocumentStatus | None = None,
    ) -> DocumentsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            await find_agent(session, self.askers, agent_id)
            found, after = await service.page_documents(
                session, page, search=search, status=status, agent_id=agent_id
            )
        return DocumentsOut(items=[document_out(item, request) for item in found], next_cursor=after)

    async def add_file(
        self, request: Request, response: Response, scope: CurrentScope, agent_id: UUID, file: UploadFile
    ) -> DocumentOut:
        """Take one file, which only this agent answers from, whatever its categories.

        The same bytes again are the file that the agent has already (200 instead of 201); another file of the
        same name takes its place.
        """
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await find_agent(session, self.askers, agent_id)
        registration = await store_upload(
            self.db,
            self.files,
            scope,
            file.filename or "",
            read_chunks(file),
            agent_id=agent_id,
            now=utcnow(),
        )
        response.status_code = 201 if registration.is_new else 200
        return document_out(registration.document, request)

    async def get_file(
        self, request: Request, scope: CurrentScope, agent_id: UUID, file_id: UUID
    ) -> DocumentOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return document_out(await service.get_document(session, file_id, agent_id=agent_id), request)

    async def retry_file(
        self, request: Request, scope: CurrentScope, agent_id: UUID, file_id: UUID
    ) -> DocumentOut:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            queued = await service.retry_document(session, file_id, agent_id=agent_id, now=utcnow())
            return document_out(queued, request)

    async def delete_file(
        self, request: Request, scope: CurrentScope, match: CurrentMatch, agent_id: UUID, file_id: UUID
    ) -> None:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            if match:
                current = await service.get_document(session, file_id, agent_id=agent_id, lock=True)
                match.check(document_out(current, request))
            key = await service.delete_document(session, file_id, agent_id=agent_id)
        await self.files.delete(key)
