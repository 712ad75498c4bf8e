"""Conversations over REST. They live here, above the turn, because a thread shows how it was answered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.conversations import assigning
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.attaching import service as attaching
from gptagent.features.conversations.model import Attachment, Message
from gptagent.features.conversations.service import Inbox
from gptagent.features.dialog import service
from gptagent.features.dialog.enclosures import service as enclosures
from gptagent.features.dialog.enclosures.model import ReplyFile
from gptagent.features.dialog.inbox import service as inbox
from gptagent.features.dialog.inbox.model import SEARCH_MAX_CHARS, View, Wanted
from gptagent.features.dialog.model import TurnRecord
from gptagent.features.inference import service as inference
from gptagent.features.inference.model import TurnUsage
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.files import FileStore
from gptagent.kernel.http import Body, CurrentScope, QueryText, Wire, example, person_of
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, Match, api_router

BY_API = "API"


class LetterOut(Wire):
    """Where a conversation by e-mail goes on: the customer's `address`, and the company's `mailbox`."""

    subject: str
    address: str
    mailbox: str


class ConversationOut(Wire):
    """`letter` is there for e-mail; of each letter the CRM tells only the beginning."""

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
    assignee_id: UUID | None
    resume_at: datetime | None
    letter: LetterOut | None


class AssignmentBody(Body):
    """Who is to look after the conversation: an active member who may answer customers."""

    model_config = example({"assignee_id": "0197a1b2-0000-7000-8000-000000000001"})

    assignee_id: UUID


class ConversationsOut(Wire):
    items: list[ConversationOut]
    next_cursor: str | None


class SourceOut(Wire):
    """A sentence's source: `page` numbers a page, sheet or slide, as `place` says, under `heading`.

    `url` is where everybody can read it, if it is a page of a site.
    """

    kind: str
    source_id: UUID
    title: str
    page: int | None
    place: str
    heading: str
    version: int | None
    quote: str
    url: str | None = None


class ReplyFileOut(Wire):
    """A file sent after a reply: `state` waiting, sending, sent, not_sent (see `reason`) or unknown."""

    name: str
    size_bytes: int
    state: str
    reason: str | None


class UsageOut(Wire):
    """What a turn's model calls used, by the provider's numbers; `tokens_cached` are part of `tokens_in`.

    `cost_micro_usd`: millionths of a US dollar, nothing if the price of a model is not known.
    """

    calls: int
    tokens_in: int
    tokens_out: int
    tokens_cached: int
    duration_ms: int
    cost_micro_usd: int | None


class TurnOut(Wire):
    """How a turn ended: `outcome` reply, not_found, handed_off, refused, draft or rejected;
    `by` a model or extractive.

    `files` belong to the article the reply was drawn from. `usage` is shown to those who may edit agents.
    """

    id: UUID
    outcome: str
    reason: str | None
    by: str | None
    sources: list[SourceOut]
    files: list[ReplyFileOut]
    usage: UsageOut | None = None
    first_seq: int
    last_seq: int


class AttachmentOut(Wire):
    """`state`: pending, stored (it can be downloaded), refused or failed.

    `hearing`: waiting, heard, unheard or none. `words` were made by a machine, `heard_by` a model or, of a
    document, nothing: what is said in a voice message (`heard_as` voice), what is on a picture, the beginning
    of a document. `unheard_reason` says why there are none.
    """

    id: UUID
    kind: str
    name: str
    state: str
    size_bytes: int | None
    hearing: str
    heard_as: str | None
    heard_by: str | None
    words: str
    unheard_reason: str | None


class MessageOut(Wire):
    """`delivery_status` of a reply: sent, delivered, read, failed, or nothing as long as it is not known."""

    seq: int
    author: str
    author_name: str
    text: str
    attachment_type: str | None
    turn_id: UUID | None
    sent_at: datetime
    delivery_status: str | None
    attachments: list[AttachmentOut]


class MessagesOut(Wire):
    """`turns` are those that answered or wrote messages of this page."""

    items: list[MessageOut]
    turns: list[TurnOut]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ConversationsApi:
    db: Database
    inbox: Inbox
    files: FileStore

    def router(self) -> APIRouter:
        router = api_router("/conversations", tags=["conversations"])
        one = "/{conversation_id}"
        router.get("", summary="List conversations")(self.list)
        router.get(one, summary="Get a conversation")(self.get)
        router.get(f"{one}/messages", summary="List messages and how they were answered")(self.messages)
        router.get(f"{one}/attachments/{{attachment_id}}", summary="Download a customer's file")(
            self.attachment
        )
        router.put(f"{one}/takeover", status_code=204, summary="Give the chat to a person")(self.take_over)
        router.delete(f"{one}/takeover", status_code=204, summary="Give the chat to the agent")(self.resume)
        router.put(f"{one}/assignment", status_code=204, summary="Make a member responsible")(self.assign)
        router.delete(f"{one}/assignment", status_code=204, summary="Make nobody responsible")(self.unassign)
        router.put(f"{one}/read", status_code=204, summary="Note that you have read it")(self.mark_read)
        return router

    async def list(  # noqa: PLR0917 - the filters of the list
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(conversations.ORDERS, "-last_message_at")],
        connection_id: UUID | None = None,
        taken_over: bool | None = None,
        view: View = "all",
        agent_id: UUID | None = None,
        channel: QueryText = "",
        search: Annotated[QueryText, Query(max_length=SEARCH_MAX_CHARS)] = "",
    ) -> ConversationsOut:
        """`mine` and `unread` are those of the person who asks; a key has none. `search`: names, and words of
        the latest messages.
        """
        require(scope, policy.VIEW)
        person_id = scope.actor.id if scope.actor.kind == "person" else None
        wanted = Wanted(view, person_id, connection_id, taken_over, agent_id, channel, search.strip())
        async with self.db.session(scope) as session:
            found, after = await inbox.page_lines(session, wanted, page)
        return ConversationsOut(items=[_conversation(one.conversation) for one in found], next_cursor=after)

    async def get(self, scope: CurrentScope, conversation_id: UUID) -> ConversationOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return _conversation(await conversations.get_conversation(session, conversation_id))

    async def messages(
        self,
        scope: CurrentScope,
        conversation_id: UUID,
        page: Annotated[Page, page_of(conversations.MESSAGE_ORDERS, "-seq")],
    ) -> MessagesOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            await conversations.get_conversation(session, conversation_id)
            messages, after = await conversations.page_messages(session, conversation_id, page)
            seqs = [message.seq for message in messages] or [0]
            turns = await service.list_turns(session, conversation_id, (min(seqs), max(seqs)))
            files = await attaching.list_attachments(session, conversation_id, seqs)
            ids = [turn.id for turn in turns]
            enclosed = await enclosures.list_files(session, ids)
            may_see = policy.EDIT_AGENTS in scope.permissions
            used = await inference.usage_of_turns(session, ids) if may_see else {}
        return MessagesOut(
            items=[_message(message, files) for message in messages],
            turns=[_turn(turn, enclosed, used.get(turn.id)) for turn in turns],
            next_cursor=after,
        )

    async def attachment(self, scope: CurrentScope, conversation_id: UUID, attachment_id: UUID) -> Response:
        require(scope, policy.READ_ATTACHMENTS)
        async with self.db.session(scope) as session:
            found = await attaching.open_attachment(session, self.files, conversation_id, attachment_id)
        return attaching.as_download(*found)

    async def take_over(self, scope: CurrentScope, match: CurrentMatch, conversation_id: UUID) -> None:
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.db.session(scope) as session:
            await self._check(session, match, conversation_id)
            await self.inbox.take_over(session, conversation_id, by=BY_API, now=utcnow())

    async def resume(self, scope: CurrentScope, match: CurrentMatch, conversation_id: UUID) -> None:
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.db.session(scope) as session:
            await self._check(session, match, conversation_id)
            await self.inbox.resume(session, conversation_id)

    async def assign(
        self, scope: CurrentScope, match: CurrentMatch, conversation_id: UUID, body: AssignmentBody
    ) -> None:
        """It changes nothing of who answers."""
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.db.session(scope) as session:
            await self._check(session, match, conversation_id)
            await assigning.assign(session, conversation_id, body.assignee_id)

    async def unassign(self, scope: CurrentScope, match: CurrentMatch, conversation_id: UUID) -> None:
        require(scope, policy.WORK_CONVERSATIONS)
        async with self.db.session(scope) as session:
            await self._check(session, match, conversation_id)
            await assigning.assign(session, conversation_id, None)

    async def mark_read(self, request: Request, scope: CurrentScope, conversation_id: UUID) -> None:
        """For the person who asks; a key has read nothing, nor has whoever is impersonated."""
        require(scope, policy.VIEW)
        person_id = person_of(request)
        async with self.db.session(scope) as session:
            if scope.actor.impersonator is None:
                await assigning.mark_read(session, conversation_id, person_id)
            else:
                await conversations.get_conversation(session, conversation_id)

    async def _check(self, session: Session, match: Match, conversation_id: UUID) -> None:
        if match:
            match.check(
                _conversation(await conversations.get_conversation(session, conversation_id, lock=True))
            )


def _message(message: Message, files: list[Attachment]) -> MessageOut:
    shown = {name: getattr(message, name) for name in MessageOut.model_fields if name != "attachments"}
    own = [_attachment(one) for one in files if one.seq == message.seq]
    return MessageOut(**shown, attachments=own)


def _attachment(one: Attachment) -> AttachmentOut:
    return AttachmentOut(**{name: getattr(one, name) for name in AttachmentOut.model_fields})


def _turn(turn: TurnRecord, files: list[ReplyFile], used: TurnUsage | None) -> TurnOut:
    answer = turn.answer
    own = [ReplyFileOut.model_validate(file) for file in files if file.turn_id == turn.id]
    return TurnOut(
        id=turn.id,
        outcome=turn.outcome,
        reason=turn.reason,
        by=answer.by if answer else None,
        sources=[SourceOut.model_validate(source) for source in (answer.sources if answer else ())],
        files=own,
        usage=UsageOut.model_validate(used) if used else None,
        first_seq=turn.first_seq,
        last_seq=turn.last_seq,
    )


def _conversation(item: object) -> ConversationOut:
    return ConversationOut(**{name: getattr(item, name) for name in ConversationOut.model_fields})
