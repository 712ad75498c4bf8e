"""Writing to the customer on the conversation's page."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.dialog import service as lanes
from gptagent.features.dialog.outgoing import service
from gptagent.features.dialog.web import ConversationPages
from gptagent.features.identity import service as identity
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Conflict, Invalid
from gptagent.kernel.http import CurrentScope, person_of
from gptagent.ui.web import base_of, field_errors, message_of, words


@dataclass(frozen=True, slots=True)
class ReplyPages:
    """The form below the thread; the page around it is the conversation's."""

    threads: ConversationPages

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/manage/{workspace}/conversations/{conversation_id}")
        router.post("/replies")(self.write)
        return router

    async def write(self, request: Request, scope: CurrentScope, conversation_id: UUID) -> Response:
        """Send it; a form that is sent twice, known by its `reply_id`, is one reply."""
        require(scope, policy.WORK_CONVERSATIONS)
        form = await request.form()
        text = words(form, "text")
        try:
            reply_id = UUID(words(form, "reply_id"))
        except ValueError:
            reply_id = None
        try:
            async with self.threads.db.session(scope) as session:
                person = await identity.get_person(session, person_of(request))
                _, event = await service.write(
                    session, conversation_id, text, by=person.full_name, now=utcnow(), reply_id=reply_id
                )
                if event is not None:
                    await lanes.Lanes().on_hold_changed(session, event)
        except (Invalid, Conflict) as error:
            return await self.threads.show(
                request,
                scope,
                conversation_id,
                status=error.status,
                reply_typed=text,
                reply_errors=field_errors(request, error),
                reply_failure="" if error.fields else message_of(request, error),
            )
        # The thread itself shows the message and what becomes of it.
        return self.threads.pages.redirect(f"{base_of(request)}/conversations/{conversation_id}")
