"""Proposed actions over REST: what an agent wants to do in the CRM, and the word of a person on it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter

from gptagent.features.conversations import service as conversations
from gptagent.features.dialog.acting import service
from gptagent.features.dialog.acting.model import ActionName, KeptProposal, ProposalState, Run, UnknownAction
from gptagent.features.dialog.api import BY_API
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.errors import NotFound
from gptagent.kernel.http import Body, CurrentScope, Wire, example
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import api_router

Asking = Literal["suggest", "approve", "alone"]


class ProposalOut(Wire):
    """An action a model has proposed. `shown` says it in words, `confidence` is the model's, 0 to 1.

    `degree`: `suggest` and `approve` wait for a person, `alone` the agent does by itself. `state`: waiting,
    done (given to the CRM, where `action_id` is and `action_state` tells how far it is; a message to the
    customer is a reply with the id of its proposal, with no `action_id`), rejected, outdated.
    `error_code`: why it was not done alone, or not by the CRM. An `action` that is `unknown` is a newer
    release's, while both run: it can be rejected, but not done.
    """

    id: UUID
    conversation_id: UUID
    turn_id: UUID
    action: ActionName | UnknownAction
    shown: str
    reason: str
    degree: Asking
    confidence: float
    state: ProposalState
    action_id: UUID | None
    action_state: str | None
    error_code: str | None
    decided_by: str | None
    decided_at: datetime | None
    created_at: datetime


class ProposalApprovalBody(Body):
    """`text` takes the place of a proposed task's, note's, message's or e-mail's; null or left out: as it was
    proposed.
    """

    model_config = example({"text": "Call Ann back before noon."})

    text: str | None = None


class ProposalsOut(Wire):
    items: list[ProposalOut]
    next_cursor: str | None


class CalledOut(Wire):
    """A tool the model has called, and what became of it: `taken`, or the code of why not.

    An empty `tool` is one that there is not. `arguments` are null for whoever may not read prompts.
    """

    tool: str
    verdict: str
    arguments: dict[str, str] | None


class RunOut(Wire):
    """What was found in the latest messages an agent has answered, and which tools its model has called.

    `state`: done, skipped or failed, with `error_code`. `intent`: inquiry, complaint, request_callback,
    booking, payment, support, feedback, unsubscribe or other; null if the model did not say.
    """

    turn_id: UUID
    state: str
    intent: str | None
    intent_confidence: float | None
    error_code: str | None
    calls: list[CalledOut]


@dataclass(frozen=True, slots=True)
class ProposalsApi:
    """`sends_letters`: whether the platform has a mail server."""

    db: Database
    sends_letters: bool = False

    def router(self) -> APIRouter:
        router = api_router("", tags=["proposed actions"])
        chat = "/conversations/{conversation_id}"
        one = f"{chat}/proposals/{{proposal_id}}"
        unknown: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such conversation."}}
        router.get("/proposals", summary="List proposed actions", responses=unknown)(self.list)
        router.get(f"{chat}/intent", summary="Get what the customer wants")(self.get_intent)
        router.post(f"{one}/approval", summary="Have a proposed action done")(self.approve)
        router.post(f"{one}/rejection", status_code=204, summary="Reject a proposed action")(self.reject)
        return router

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.ORDERS, "-created_at")],
        conversation_id: UUID | None = None,
        state: ProposalState | None = None,
        degree: Asking | None = None,
    ) -> ProposalsOut:
        """What waits for approval is `waiting` and `approve`."""
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_proposals(
                session, page, conversation_id=conversation_id, state=state, degree=degree
            )
        return ProposalsOut(items=[_told(one) for one in found], next_cursor=after)

    async def get_intent(self, scope: CurrentScope, conversation_id: UUID) -> RunOut:
        """404 if no answer of this conversation was looked at."""
        require(scope, policy.READ_EXPLANATIONS)
        async with self.db.session(scope) as session:
            await conversations.get_conversation(session, conversation_id)
            run = await service.latest_run(session, conversation_id)
        if run is None:
            raise NotFound
        return looked(run, scope.permissions)

    async def approve(
        self, scope: CurrentScope, conversation_id: UUID, proposal_id: UUID, body: ProposalApprovalBody
    ) -> ProposalOut:
        """It is done once, however often this is called; 409 once it was decided, or cannot be done."""
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.db.session(scope) as session:
            done = await service.approve(
                session,
                conversation_id,
                proposal_id,
                by=BY_API,
                text=body.text,
                sends_letters=self.sends_letters,
            )
            return _told(done)

    async def reject(self, scope: CurrentScope, conversation_id: UUID, proposal_id: UUID) -> None:
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.db.session(scope) as session:
            await service.reject(session, conversation_id, proposal_id, by=BY_API)


def looked(run: Run, permissions: Collection[str]) -> RunOut:
    """Return it with as much of the calls as an explanation of the turn would show."""
    may_read = policy.READ_PROMPTS in permissions
    return RunOut(
        turn_id=run.turn_id,
        state=run.state,
        intent=run.intent,
        intent_confidence=run.intent_confidence,
        error_code=run.error_code,
        calls=[
            CalledOut(tool=one.tool, verdict=one.verdict, arguments=dict(one.arguments) if may_read else None)
            for one in run.calls
        ],
    )


def _told(one: KeptProposal) -> ProposalOut:
    return ProposalOut.model_validate(one)
