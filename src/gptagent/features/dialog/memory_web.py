"""Writing and erasing what is remembered of a customer, on the conversation's page."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.conversations.memory import service
from gptagent.features.conversations.memory.model import KINDS, NewMemory
from gptagent.features.dialog.inbox.desk import Desk, Threads
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.routing import page_router
from gptagent.ui.web import Notice

NEW, PLACE = "new", "#memory"


@dataclass(frozen=True, slots=True)
class MemoryPages:
    """The forms of the card; the page around it is the conversation's."""

    threads: Threads

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/conversations/{conversation_id}/memories")
        router.post("")(self.add)
        router.post("/erase")(self.erase_all)
        router.post("/{memory_id}")(self.change)
        router.post("/{memory_id}/erase")(self.erase)
        return router

    async def add(self, request: Request, scope: CurrentScope, conversation_id: UUID) -> Response:
        """Add an entry, or unfold a form in which one is written (`open`)."""
        require(scope, policy.WORK_CONVERSATIONS)
        desk = await Desk.read(self.threads, request, scope, conversation_id)
        if "open" in desk.form:
            return await desk.fold_memory()
        try:
            async with self.threads.db.session(scope) as session:
                await service.add_memory(session, conversation_id, _read(desk), now=utcnow())
        except (Invalid, Conflict) as error:
            return await desk.refused("memory", error, NEW)
        return await desk.done("memory", Notice("success", "It is remembered"), PLACE)

    async def change(
        self, request: Request, scope: CurrentScope, conversation_id: UUID, memory_id: UUID
    ) -> Response:
        require(scope, policy.WORK_CONVERSATIONS)
        desk = await Desk.read(self.threads, request, scope, conversation_id)
        try:
            async with self.threads.db.session(scope) as session:
                await service.change_memory(session, conversation_id, memory_id, _read(desk), now=utcnow())
        except Invalid as error:
            return await desk.refused("memory", error, str(memory_id))
        return await desk.done("memory", Notice("success", "Saved"), PLACE)

    async def erase(
        self, request: Request, scope: CurrentScope, conversation_id: UUID, memory_id: UUID
    ) -> Response:
        require(scope, policy.WORK_CONVERSATIONS)
        desk = await Desk.read(self.threads, request, scope, conversation_id)
        async with self.threads.db.session(scope) as session:
            await service.erase_memory(session, conversation_id, memory_id)
        return await desk.done(None, Notice("success", "It is forgotten"), PLACE)

    async def erase_all(self, request: Request, scope: CurrentScope, conversation_id: UUID) -> Response:
        require(scope, policy.WORK_CONVERSATIONS)
        desk = await Desk.read(self.threads, request, scope, conversation_id)
        async with self.threads.db.session(scope) as session:
            await service.erase_memories(session, conversation_id)
        return await desk.done(None, Notice("success", "All of it is forgotten"), PLACE)


def _read(desk: Desk) -> NewMemory:
    """Return what was typed. Raises Invalid on what is no kind or no day."""
    form = desk.part("memory")
    kind = next((one for one in KINDS if one == form["kind"]), None)
    if kind is None:
        raise Invalid.field("kind", "Choose one of the offered values.")
    typed = form["expires_on"].strip()
    try:
        expires_on = date.fromisoformat(typed) if typed else None
    except ValueError as error:
        raise Invalid.field("expires_on", "Write a day as YYYY-MM-DD.") from error
    return NewMemory(kind, form["text"], expires_on)
