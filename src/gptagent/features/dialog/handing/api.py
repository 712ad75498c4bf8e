"""Hand-offs over REST."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter

from gptagent.features.conversations import service as conversations
from gptagent.features.dialog.api import BY_API
from gptagent.features.dialog.handing import service
from gptagent.features.dialog.handing.model import Handoff, MadeBy, Reason
from gptagent.features.dialog.handing.service import Handing
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import NotFound
from gptagent.kernel.http import Body, CurrentScope, Wire, example
from gptagent.kernel.rest import api_router


class HandoffBody(Body):
    """Who takes over, what the customer is told, and a `note` for the colleague only."""

    model_config = example(
        {
            "assignee_id": "0197a1b2-0000-7000-8000-000000000001",
            "text": "Bob will answer you here.",
            "note": "",
        }
    )

    assignee_id: UUID
    text: str
    note: str = ""


class HandoffOut(Wire):
    """States of its parts: of the message as of replies; of task and summary pending, sending, done, failed
    or unknown; nothing where there is no such part.
    """

    id: UUID
    made_by: MadeBy
    by_name: str
    assignee_id: UUID | None
    reason: Reason
    note: str
    created_at: datetime
    message_state: str | None
    task_state: str | None
    summary_state: str | None


@dataclass(frozen=True, slots=True)
class HandoffsApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/conversations/{conversation_id}", tags=["hand-offs"])
        router.post("/handoffs", status_code=201, summary="Hand the conversation over")(self.make)
        router.get("/handoff", summary="Get the latest hand-off")(self.get)
        return router

    async def make(self, scope: CurrentScope, conversation_id: UUID, body: HandoffBody) -> HandoffOut:
        """Message to the customer, assignment, task and summary on the deal: together or not at all. The
        agent is silent in this chat from then on.
        """
        require(scope, policy.WORK_CONVERSATIONS)
        handing = Handing("person", BY_API, "person", body.text, note=body.note)
        async with self.db.session(scope) as session:
            made = await service.hand_over(
                session, conversation_id, handing, assignee_id=body.assignee_id, now=utcnow()
            )
        return _told(made)

    async def get(self, scope: CurrentScope, conversation_id: UUID) -> HandoffOut:
        """404 if it was never handed over."""
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            await conversations.get_conversation(session, conversation_id)
            found = await service.list_handoffs(session, conversation_id)
        if not found:
            raise NotFound
        return _told(found[0])


def _told(one: Handoff) -> HandoffOut:
    return HandoffOut(**{name: getattr(one, name) for name in HandoffOut.model_fields})
