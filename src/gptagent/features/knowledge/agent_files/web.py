"""An agent's own files in the browser: the card of the editor sends here, and older ones have a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge import service
from gptagent.features.knowledge.agent_files.service import find_agent, show_files
from gptagent.features.knowledge.questions.asking import Askers
from gptagent.features.knowledge.upload import store_uploads
from gptagent.features.knowledge.web import UPLOADED, told_failures
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Conflict
from gptagent.kernel.files import FileStore
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of

DELETED = Notice("success", "The file is deleted", "The agent no longer answers from it.")


@dataclass(frozen=True, slots=True)
class AgentFilePages:
    db: Database
    pages: Pages
    files: FileStore
    askers: Askers

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/ai-agents/{agent_id}/files")
        router.get("")(self.list)
        router.post("")(self.upload)
        router.post("/{file_id}/retry")(self.retry)
        router.post("/{file_id}/delete")(self.delete)
        return router

    async def list(
        self,
        request: Request,
        scope: CurrentScope,
        agent_id: UUID,
        before: UUID | None = None,
        part: str = "",
    ) -> Response:
        require(scope, policy.VIEW)
        return await self._list(request, scope, agent_id, before=before, part=part)

    async def _list(
        self,
        request: Request,
        scope: Scope,
        agent_id: UUID,
        *,
        before: UUID | None = None,
        part: str = "",
        failures: Sequence[tuple[str, str]] = (),
    ) -> Response:
        async with self.db.session(scope) as session:
            agent = await find_agent(session, self.askers, agent_id)
            files = await show_files(session, agent_id, now=utcnow(), before=before)
            shell = None if part else await self.pages.shell(request, session)
        context = {"agent": agent, "files": files, "may_edit": policy.EDIT_AGENTS in scope.permissions}
        if part:
            return self.pages.part(request, "knowledge/_agent_files.html", **context)
        return self.pages.show(
            request,
            "knowledge/agent_files.html",
            shell,
            status=422 if failures else 200,
            failures=failures,
            **context,
        )

    async def upload(self, request: Request, scope: CurrentScope, agent_id: UUID) -> Response:
        """Take every file that can be taken and name the others with their reason."""
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await find_agent(session, self.askers, agent_id)
        given = (await request.form()).getlist("files")
        refused = await store_uploads(self.db, self.files, scope, given, agent_id=agent_id, now=utcnow())
        if refused:
            return await self._list(request, scope, agent_id, failures=told_failures(request, refused))
        return self._back(request, agent_id, UPLOADED)

    async def retry(self, request: Request, scope: CurrentScope, agent_id: UUID, file_id: UUID) -> Response:
        require(scope, policy.EDIT_AGENTS)
        notice = None
        try:
            async with self.db.session(scope) as session:
                await service.retry_document(session, file_id, agent_id=agent_id, now=utcnow())
        except Conflict as error:  # somebody else pressed the button first
            notice = Notice("warning", error.message)
        return self._back(request, agent_id, notice)

    async def delete(self, request: Request, scope: CurrentScope, agent_id: UUID, file_id: UUID) -> Response:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            key = await service.delete_document(session, file_id, agent_id=agent_id)
        await self.files.delete(key)
        return self._back(request, agent_id, DELETED)

    def _back(self, request: Request, agent_id: UUID, notice: Notice | None) -> Response:
        """Lead to the card of the editor."""
        editor = f"{base_of(request)}/ai-agents/{agent_id}/advanced-settings"
        return self.pages.redirect(f"{editor}#files", notice)
