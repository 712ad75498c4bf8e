"""Writing to the customer on the conversation's page."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.dialog import service as lanes
from gptagent.features.dialog.inbox.desk import Desk, Threads
from gptagent.features.dialog.outgoing import service
from gptagent.features.identity import service as identity
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid
from gptagent.kernel.http import CurrentScope, person_of
from gptagent.kernel.routing import page_router


@dataclass(frozen=True, slots=True)
class ReplyPages:
    """The form below the thread; the page around it is the conversation's."""

    threads: Threads

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/conversations/{conversation_id}")
        router.post("/replies")(self.write)
        return router

    async def write(self, request: Request, scope: CurrentScope, conversation_id: UUID) -> Response:
        """Send it; a form that is sent twice, known by its `reply_id`, is one reply."""
        require(scope, policy.WORK_CONVERSATIONS)
        desk = await Desk.read(self.threads, request, scope, conversation_id)
        typed, reply_id = desk.part("reply"), desk.id_of("reply_id")
        try:
            async with self.threads.db.session(scope) as session:
                person = await identity.get_person(session, person_of(request))
                _, event = await service.write(
                    session,
                    conversation_id,
                    typed["text"],
                    by=person.full_name,
                    now=utcnow(),
                    reply_id=reply_id,
                )
                if event is not None:
                    await lanes.Lanes().on_hold_changed(session, event)
        except (Invalid, Conflict) as error:
            return await desk.refused("reply", error)
        # The thread itself shows the message and what becomes of it.
        return await desk.done("reply")
