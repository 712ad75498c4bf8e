"""Deciding about a draft on the conversation's page."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.dialog.drafts import service
from gptagent.features.dialog.inbox.desk import Desk, Part, Threads
from gptagent.features.identity import service as identity
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.errors import Conflict, Invalid
from gptagent.kernel.http import CurrentScope, person_of
from gptagent.kernel.routing import page_router
from gptagent.ui.web import Notice


@dataclass(frozen=True, slots=True)
class ReplyDraftPages:
    """The forms below a draft; the page around them is the conversation's."""

    threads: Threads

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/conversations/{conversation_id}/drafts/{draft_id}")
        router.post("/approval")(self.approve)
        router.post("/rejection")(self.reject)
        return router

    async def approve(
        self, request: Request, scope: CurrentScope, conversation_id: UUID, draft_id: UUID
    ) -> Response:
        """Send it; the field `text`, if there, holds the person's own words, unless the form says `as_is`."""
        require(scope, policy.WORK_CONVERSATIONS)
        desk = await Desk.read(self.threads, request, scope, conversation_id)
        is_edited = desk.has("draft", "text") and "as_is" not in desk.form
        text = desk.part("draft")["text"] if is_edited else None
        try:
            async with self.threads.db.session(scope) as session:
                person = await identity.get_person(session, person_of(request))
                await service.approve(session, conversation_id, draft_id, by=person.full_name, text=text)
        except (Invalid, Conflict) as error:
            return await desk.refused("draft", error)
        # Words that were edited, and not sent, become the reply's: see _reply.html.
        done: Part | None = "draft" if is_edited else None
        return await desk.done(done, Notice("success", "The reply is being sent"))

    async def reject(
        self, request: Request, scope: CurrentScope, conversation_id: UUID, draft_id: UUID
    ) -> Response:
        require(scope, policy.WORK_CONVERSATIONS)
        desk = await Desk.read(self.threads, request, scope, conversation_id)
        note = desk.part("draft")["reason"]
        try:
            async with self.threads.db.session(scope) as session:
                person = await identity.get_person(session, person_of(request))
                await service.reject(session, conversation_id, draft_id, by=person.full_name, note=note)
        except (Invalid, Conflict) as error:
            return await desk.refused("draft", error)
        return await desk.done("draft", Notice("success", "The draft is rejected"))
