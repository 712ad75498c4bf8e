"""Handing a conversation over on its page."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.dialog.handing import service
from gptagent.features.dialog.handing.service import Handing
from gptagent.features.dialog.inbox.desk import Desk, Threads
from gptagent.features.identity import service as identity
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid
from gptagent.kernel.http import CurrentScope, person_of
from gptagent.kernel.routing import page_router
from gptagent.ui.web import Notice

NOBODY = "Choose a member who may answer customers."


@dataclass(frozen=True, slots=True)
class HandoffPages:
    """The form below the thread; the page around it is the conversation's."""

    threads: Threads

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/conversations/{conversation_id}")
        router.post("/handoffs")(self.make)
        return router

    async def make(self, request: Request, scope: CurrentScope, conversation_id: UUID) -> Response:
        """Hand over; a form that is sent twice, known by its `handoff_id`, is one hand-off."""
        require(scope, policy.WORK_CONVERSATIONS)
        desk = await Desk.read(self.threads, request, scope, conversation_id)
        typed = desk.part("handoff")
        try:
            assignee_id = _chosen(typed["assignee_id"])
            async with self.threads.db.session(scope) as session:
                person = await identity.get_person(session, person_of(request))
                await service.hand_over(
                    session,
                    conversation_id,
                    Handing("person", person.full_name, "person", typed["text"], note=typed["note"]),
                    assignee_id=assignee_id,
                    handoff_id=desk.id_of("handoff_id"),
                    now=utcnow(),
                )
        except (Invalid, Conflict) as error:
            return await desk.refused("handoff", error)
        return await desk.done("handoff", Notice("success", "The conversation is handed over"))


def _chosen(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Invalid.field("assignee_id", NOBODY) from error
