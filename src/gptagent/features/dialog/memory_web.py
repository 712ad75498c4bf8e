"""Writing and erasing what is remembered of a customer, on the conversation's page."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.conversations.memory import service
from gptagent.features.conversations.memory.model import KINDS, NewMemory
from gptagent.features.dialog.web import ConversationPages
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, base_of, field_errors, message_of, words

FIELDS = ("kind", "text", "expires_on")
NEW = "new"


@dataclass(frozen=True, slots=True)
class MemoryPages:
    """The forms of the card; the page around it is the conversation's."""

    threads: ConversationPages

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/manage/{workspace}/conversations/{conversation_id}/memories")
        router.post("")(self.add)
        router.post("/erase")(self.erase_all)
        router.post("/{memory_id}")(self.change)
        router.post("/{memory_id}/erase")(self.erase)
        return router

    async def add(self, request: Request, scope: CurrentScope, conversation_id: UUID) -> Response:
        require(scope, policy.WORK_CONVERSATIONS)
        form = await request.form()
        try:
            async with self.threads.db.session(scope) as session:
                await service.add_memory(session, conversation_id, _read(form), now=utcnow())
        except (Invalid, Conflict) as error:
            return await self._again(request, scope, conversation_id, NEW, form, error)
        return self._back(request, conversation_id, Notice("success", "It is remembered"))

    async def change(
        self, request: Request, scope: CurrentScope, conversation_id: UUID, memory_id: UUID
    ) -> Response:
        require(scope, policy.WORK_CONVERSATIONS)
        form = await request.form()
        try:
            async with self.threads.db.session(scope) as session:
                await service.change_memory(session, conversation_id, memory_id, _read(form), now=utcnow())
        except Invalid as error:
            return await self._again(request, scope, conversation_id, str(memory_id), form, error)
        return self._back(request, conversation_id, Notice("success", "Saved"))

    async def erase(
        self, request: Request, scope: CurrentScope, conversation_id: UUID, memory_id: UUID
    ) -> Response:
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.threads.db.session(scope) as session:
            await service.erase_memory(session, conversation_id, memory_id)
        return self._back(request, conversation_id, Notice("success", "It is forgotten"))

    async def erase_all(self, request: Request, scope: CurrentScope, conversation_id: UUID) -> Response:
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.threads.db.session(scope) as session:
            await service.erase_memories(session, conversation_id)
        return self._back(request, conversation_id, Notice("success", "All of it is forgotten"))

    async def _again(  # noqa: PLR0917 - what was typed and what is wrong with it
        self,
        request: Request,
        scope: Scope,
        conversation_id: UUID,
        memory: str,
        form: FormData,
        error: AppError,
    ) -> Response:
        typed = {name: words(form, name) for name in FIELDS}
        return await self.threads.show(
            request,
            scope,
            conversation_id,
            memory,
            status=error.status,
            memory_typed=typed,
            memory_errors=field_errors(request, error),
            memory_failure="" if error.fields else message_of(request, error),
        )

    def _back(self, request: Request, conversation_id: UUID, notice: Notice) -> Response:
        return self.threads.pages.redirect(
            f"{base_of(request)}/conversations/{conversation_id}#memory", notice
        )


def _read(form: FormData) -> NewMemory:
    """Return what was typed. Raises Invalid on what is no kind or no day."""
    kind = next((one for one in KINDS if one == words(form, "kind")), None)
    if kind is None:
        raise Invalid.field("kind", "Choose one of the offered values.")
    typed = words(form, "expires_on").strip()
    try:
        expires_on = date.fromisoformat(typed) if typed else None
    except ValueError as error:
        raise Invalid.field("expires_on", "Write a day as YYYY-MM-DD.") from error
    return NewMemory(kind, words(form, "text"), expires_on)
