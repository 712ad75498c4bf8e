"""Drafts over REST: look at the one that waits, approve it, edited or not, or reject it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from fastapi import APIRouter

from gptagent.features.conversations import service as conversations
from gptagent.features.dialog.api import BY_API, SourceOut
from gptagent.features.dialog.drafts import service
from gptagent.features.dialog.drafts.model import Draft, DraftState
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.errors import NotFound
from gptagent.kernel.http import Body, CurrentScope, Wire, example
from gptagent.kernel.rest import api_router


class ReplyDraftOut(Wire):
    """A reply the customer has not got. `state`: waiting, or approved and on its way.

    It answers the messages from `first_seq` to `last_seq`; `outcome` is reply, or not_found if `text` is the
    agent's words for what the knowledge base does not say.
    """

    id: UUID
    agent_id: UUID | None
    state: DraftState
    text: str
    outcome: Literal["reply", "not_found", "handed_off", "refused"]
    sources: list[SourceOut]
    first_seq: int
    last_seq: int
    waits_since: datetime
    decided_by: str | None


class ApprovalBody(Body):
    """`text` is sent in place of the draft's, without its sources and files; null or left out: the draft."""

    model_config = example({"text": "Yes, we are open on Saturday from ten to four."})

    text: str | None = None


class RejectionBody(Body):
    """`reason` is for your colleagues; the customer does not get it."""

    model_config = example({"reason": "The price is out of date."})

    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReplyDraftsApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/conversations/{conversation_id}", tags=["reply drafts"])
        one = "/drafts/{draft_id}"
        router.get("/draft", summary="Get the reply that waits for approval")(self.get)
        router.post(f"{one}/approval", status_code=204, summary="Let a draft be sent")(self.approve)
        router.post(f"{one}/rejection", status_code=204, summary="Reject a draft")(self.reject)
        return router

    async def get(self, scope: CurrentScope, conversation_id: UUID) -> ReplyDraftOut:
        """404 if none waits."""
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            await conversations.get_conversation(session, conversation_id)
            draft = await service.find_current(session, conversation_id)
        if draft is None:
            raise NotFound
        return _draft(draft)

    async def approve(
        self, scope: CurrentScope, conversation_id: UUID, draft_id: UUID, body: ApprovalBody
    ) -> None:
        """It is sent once, however often this is called; 409 once it was decided or is outdated."""
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.db.session(scope) as session:
            await service.approve(session, conversation_id, draft_id, by=BY_API, text=body.text)

    async def reject(
        self, scope: CurrentScope, conversation_id: UUID, draft_id: UUID, body: RejectionBody
    ) -> None:
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.db.session(scope) as session:
            await service.reject(session, conversation_id, draft_id, by=BY_API, note=body.reason)


def _draft(draft: Draft) -> ReplyDraftOut:
    return ReplyDraftOut(
        id=draft.id,
        agent_id=draft.agent_id,
        state=draft.state,
        text=draft.text,
        outcome=draft.answer.outcome,
        sources=[SourceOut.model_validate(source) for source in draft.answer.sources],
        first_seq=draft.first_seq,
        last_seq=draft.last_seq,
        waits_since=draft.waits_since,
        decided_by=draft.decided_by,
    )
