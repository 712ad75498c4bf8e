"""Conversations over REST. They live here, above the turn, because a thread shows how it was answered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.service import PAGE_SIZE, Inbox
from gptagent.features.dialog import service
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope, Moment, Wire

BY_API = "API"


class ConversationOut(Wire):
    id: UUID
    connection_id: UUID
    chat_id: str
    lead_id: int | None
    contact_id: int | None
    customer_name: str
    channel: str
    last_text: str
    last_message_at: datetime
    taken_over_at: datetime | None
    taken_over_by: str | None


class ConversationsOut(Wire):
    items: list[ConversationOut]


class SourceOut(Wire):
    kind: str
    source_id: UUID
    title: str
    page: int | None
    heading: str
    quote: str


class TurnOut(Wire):
    """How a turn ended: `outcome` reply, not_found, handed_off or refused; `by` a model or extractive."""

    id: UUID
    outcome: str
    reason: str | None
    by: str | None
    sources: list[SourceOut]
    first_seq: int
    last_seq: int


class MessageOut(Wire):
    seq: int
    author: str
    author_name: str
    text: str
    attachment_type: str | None
    turn_id: UUID | None
    sent_at: datetime


class MessagesOut(Wire):
    items: list[MessageOut]
    turns: list[TurnOut]


@dataclass(frozen=True, slots=True)
class ConversationsApi:
    db: Database
    inbox: Inbox

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/api/v1/conversations", tags=["conversations"])
        router.get("")(self.list)
        router.get("/{conversation_id}")(self.get)
        router.get("/{conversation_id}/messages")(self.messages)
        router.put("/{conversation_id}/takeover", status_code=204)(self.take_over)
        router.delete("/{conversation_id}/takeover", status_code=204)(self.resume)
        return router

    async def list(
        self,
        scope: CurrentScope,
        before: Moment | None = None,
        limit: Annotated[int, Query(ge=1, le=100)] = PAGE_SIZE,
    ) -> ConversationsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found = await conversations.list_conversations(session, before=before, limit=limit)
        return ConversationsOut(items=[_conversation(item) for item in found])

    async def get(self, scope: CurrentScope, conversation_id: UUID) -> ConversationOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return _conversation(await conversations.get_conversation(session, conversation_id))

    async def messages(self, scope: CurrentScope, conversation_id: UUID) -> MessagesOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            await conversations.get_conversation(session, conversation_id)
            messages = await conversations.list_messages(session, conversation_id)
            turns = await service.list_turns(session, conversation_id)
        return MessagesOut(
            items=[MessageOut.model_validate(message) for message in messages],
            turns=[
                TurnOut(
                    id=turn.id,
                    outcome=turn.outcome,
                    reason=turn.reason,
                    by=turn.answer.by if turn.answer else None,
                    sources=[
                        SourceOut.model_validate(s) for s in (turn.answer.sources if turn.answer else ())
                    ],
                    first_seq=turn.first_seq,
                    last_seq=turn.last_seq,
                )
                for turn in turns
            ],
        )

    async def take_over(self, scope: CurrentScope, conversation_id: UUID) -> None:
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.db.session(scope) as session:
            await self.inbox.take_over(session, conversation_id, by=BY_API, now=utcnow())

    async def resume(self, scope: CurrentScope, conversation_id: UUID) -> None:
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.db.session(scope) as session:
            await self.inbox.resume(session, conversation_id)


def _conversation(item: object) -> ConversationOut:
    return ConversationOut(**{name: getattr(item, name) for name in ConversationOut.model_fields})
