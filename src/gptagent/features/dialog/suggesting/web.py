"""Asking for a suggested reply on the conversation's page."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.conversations import service as conversations
from gptagent.features.dialog.drafts import service as drafts
from gptagent.features.dialog.inbox.desk import Desk, Threads
from gptagent.features.dialog.suggesting import service
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.errors import Conflict
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.routing import page_router
from gptagent.ui.web import words


@dataclass(frozen=True, slots=True)
class SuggestionPages:
    """The button below the thread; the page around it is the conversation's."""

    threads: Threads

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/conversations/{conversation_id}")
        router.post("/suggestion")(self.ask)
        return router

    async def ask(self, request: Request, scope: CurrentScope, conversation_id: UUID) -> Response:
        """Ask for one, or put the one that is there into the reply (`use`), or the draft (`use` is `draft`).

        A page that showed it being made, and has no script to see that it is there, asks for no second one.
        """
        require(scope, policy.WORK_CONVERSATIONS)
        desk = await Desk.read(self.threads, request, scope, conversation_id)
        if words(desk.form, "use") == "draft":
            return await self._take_draft(desk)
        try:
            async with self.threads.db.session(scope) as session:
                found = await service.find_suggestion(session, conversation_id)
                was_pending = words(desk.form, "suggestion.state") == "pending"
                is_there = found is not None and found.state != "pending"
                if "use" not in desk.form and not (was_pending and is_there):
                    await service.ask(session, conversation_id)
        except Conflict as error:
            return await desk.refused("reply", error)
        if "use" in desk.form and found is not None and found.text:
            return await desk.take_in(found.text)
        # The page itself shows that it is being made.
        return await desk.done()

    async def _take_draft(self, desk: Desk) -> Response:
        """The draft waits on until the reply is sent; where none waits any more, the page says so itself."""
        async with self.threads.db.session(desk.scope) as session:
            await conversations.get_conversation(session, desk.conversation_id)
            draft = await drafts.find_current(session, desk.conversation_id)
        if draft is None or draft.state != "waiting":
            return await desk.done()
        return await desk.take_in(draft.text, is_draft=True)
