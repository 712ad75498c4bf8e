"""A colleague's words to the customer, over REST."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter

from gptagent.features.dialog import service as lanes
from gptagent.features.dialog.api import BY_API
from gptagent.features.dialog.outgoing import service
from gptagent.features.dialog.outgoing.model import Outgoing, OutgoingState
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import Body, CurrentScope, Wire, example
from gptagent.kernel.rest import api_router


class ReplyBody(Body):
    """What the customer gets, at most 4,000 characters."""

    model_config = example({"text": "We are open on Saturday from ten to four."})

    text: str


class ReplyOut(Wire):
    """`state`: waiting, sending, sent, not_sent (see `reason`) or unknown. `seq` is the message's number."""

    id: UUID
    seq: int
    text: str
    state: OutgoingState
    reason: str | None


@dataclass(frozen=True, slots=True)
class HumanRepliesApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/conversations/{conversation_id}", tags=["replies"])
        router.post("/replies", status_code=202, summary="Write to the customer")(self.write)
        router.get("/replies/{reply_id}", summary="Get what became of a reply")(self.get)
        return router

    async def write(self, scope: CurrentScope, conversation_id: UUID, body: ReplyBody) -> ReplyOut:
        """It leaves by the way of every reply, once, and counts as a person's: what the customer has asked is
        answered, and agents fall silent where the workspace has set that.
        """
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.db.session(scope) as session:
            owed, event = await service.write(session, conversation_id, body.text, by=BY_API, now=utcnow())
            if event is not None:
                await lanes.Lanes().on_hold_changed(session, event)
        return _told(owed)

    async def get(self, scope: CurrentScope, conversation_id: UUID, reply_id: UUID) -> ReplyOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return _told(await service.get_outgoing(session, conversation_id, reply_id))


def _told(one: Outgoing) -> ReplyOut:
    return ReplyOut(id=one.id, seq=one.seq, text=one.text, state=one.state, reason=one.reason)
