"""Asking for a suggested reply on the conversation's page."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.dialog.suggesting import service
from gptagent.features.dialog.web import ConversationPages
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.errors import Conflict
from gptagent.kernel.http import CurrentScope
from gptagent.ui.web import base_of, message_of


@dataclass(frozen=True, slots=True)
class SuggestionPages:
    """The button below the thread; the page around it is the conversation's."""

    threads: ConversationPages

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/manage/{workspace}/conversations/{conversation_id}")
        router.post("/suggestion")(self.ask)
        return router

    async def ask(self, request: Request, scope: CurrentScope, conversation_id: UUID) -> Response:
        require(scope, policy.WORK_CONVERSATIONS)
        try:
            async with self.threads.db.session(scope) as session:
                await service.ask(session, conversation_id)
        except Conflict as error:
            return await self.threads.show(
                request, scope, conversation_id, status=error.status, reply_failure=message_of(request, error)
            )
        # The page itself shows that it is being made.
        return self.threads.pages.redirect(f"{base_of(request)}/conversations/{conversation_id}")
