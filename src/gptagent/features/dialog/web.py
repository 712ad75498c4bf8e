"""The inbox: conversations, a live thread with who answered and from which source, takeover."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service as agents
from gptagent.features.conversations import assigning
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.attaching import service as attaching
from gptagent.features.conversations.memory import service as memories
from gptagent.features.conversations.memory.model import TEXT_MAX_CHARS
from gptagent.features.conversations.model import Message
from gptagent.features.conversations.service import THREAD_SIZE, Inbox
from gptagent.features.conversations.speaking import service as speaking
from gptagent.features.crm import service as crm
from gptagent.features.crm.actions import service as actions
from gptagent.features.dialog import service
from gptagent.features.dialog.acting import service as acting
from gptagent.features.dialog.acting.web import beside
from gptagent.features.dialog.drafts import service as drafts
from gptagent.features.dialog.drafts.model import NOTE_MAX_CHARS
from gptagent.features.dialog.drafts.model import TEXT_MAX_CHARS as DRAFT_MAX_CHARS
from gptagent.features.dialog.enclosures import service as enclosures
from gptagent.features.dialog.handing import service as handing
from gptagent.features.dialog.handing.model import Handoff
from gptagent.features.dialog.inbox import service as inbox
from gptagent.features.dialog.inbox.asking import EVERYTHING, Asked, asked_of
from gptagent.features.dialog.inbox.desk import Desk
from gptagent.features.dialog.inbox.replying import reply_box
from gptagent.features.dialog.model import TurnRecord
from gptagent.features.dialog.tracing import service as tracing
from gptagent.features.identity import service as identity
from gptagent.features.inference import service as inference
from gptagent.features.organizations import policy
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Invalid
from gptagent.kernel.files import FileStore
from gptagent.kernel.http import CurrentScope, QueryText, person_of
from gptagent.kernel.paging import Page
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, timezone_of

# Why a turn ended without a reply of the agent's own, by its reason.
REASONS: Mapping[str, str] = {
    "taken_over": "Not answered: a person holds this conversation.",
    "person_answered": "Left to a person, who wrote in this chat.",
    "no_active_agent": "Not answered: no agent was active.",
    "no_fitting_agent": "Not answered: no active agent works in this channel or at this stage of the deal.",
    "deal_unknown": "Not answered: the CRM did not tell where the deal is. A task asks a manager to answer.",
    "connection_off": "Not answered: the connection to the CRM was switched off.",
    "workspace_suspended": "Not answered: the workspace is suspended.",
    "workspace_deletion": "Not answered: the workspace is going to be deleted.",
    "too_late": "Not answered: more than a day had passed before an agent could answer.",
    "not_heard": "Not answered: nothing is known of what the customer sent. A task asks a manager to look.",
    "rest_outdated": "The rest of this reply was not sent: something newer happened.",
    "failed": "Not answered: the turn failed. A task asks a manager to answer.",
    "window_closed": "Not sent: 24 hours have passed since the customer's last message. A task has the text.",
    "crm_no_reply_slot": "Not sent: no bot of the CRM waited for the reply. A task asks a manager to answer.",
    "crm_route_not_set_up": "Not sent: the way of replies is not set up. A task asks a manager to answer.",
    "delivery_unknown": "It is not known whether the reply arrived. A task asks a manager to look.",
    "asked_for_person": "The customer asked for a person.",
    "model_hands_over": "The agent could not go on by itself.",
    "nobody_to_hand_over_to": "Not handed over: nobody may answer customers. A task asks a manager.",
}
# Why nothing is known of what is in a customer's file, by the reason.
UNHEARD_REASONS: Mapping[str, str] = {
    "not_set": "not understood: no model for it is set up in this installation",
    "not_fetched": "not understood: the file could not be fetched",
    "not_readable": "not understood: files of this kind cannot be read",
    "too_large": "not understood: the file is too large",
    "empty": "nothing was understood in it",
    "not_wanted": "not listened to: no agent answers here, or too many files came",
    "no_budget": "not understood: the budget for AI models is used up",
    "failed": "not understood: the model did not answer",
}
# Why a file that belongs to a reply was not sent, by its reason.
FILE_REASONS: Mapping[str, str] = {
    "text_only_route": "not sent: this way of replying carries text only",
    "taken_over": "not sent: a person holds this conversation",
    "no_active_agent": "not sent: the agent was switched off",
    "connection_off": "not sent: the connection is switched off",
    "workspace_suspended": "not sent: the workspace is suspended",
    "workspace_deletion": "not sent: the workspace is going to be deleted",
    "file_removed": "not sent: it was removed from its article",
}
FILE_NOT_SENT = "not sent: the CRM did not take it"
NOT_SENT = "The CRM did not take the reply. A task asks a manager to answer."
REFUSED = "Not answered."
OUTDATED = "A draft was taken back: something newer happened."
LINES_PER_PAGE = 25
PARTS = frozenset({"thread", "changes", "memory", "deal", "proposals"})
NOBODY = "Choose a member who may answer customers."
MEMORY_KINDS: Mapping[str, str] = {
    "fact": "Fact",
    "preference": "Preference",
    "commitment": "Promise",
    "context": "Just now",
}
MEMORY_AUTHORS: Mapping[str, str] = {
    "model": "noted by the model",
    "pattern": "noted by patterns",
    "person": "written by a colleague",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the thread: a new day, a message with the turn it answers by, or a turn without a message."""

    kind: Literal["day", "message", "turn", "handoff"]
    at: datetime
    message: Message | None = None
    turn: TurnRecord | None = None
    text: str = ""
    handoff: Handoff | None = None


@dataclass(frozen=True, slots=True)
class ConversationPages:
    db: Database
    pages: Pages
    inbox: Inbox
    files: FileStore

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/conversations")
        router.get("")(self.list)
        router.get("/{conversation_id}")(self.thread)
        router.get("/{conversation_id}/attachments/{attachment_id}")(self.attachment)
        router.post("/{conversation_id}/takeover")(self.take_over)
        router.post("/{conversation_id}/resume")(self.resume)
        router.post("/{conversation_id}/assignment")(self.assign)
        return router

    async def list(
        self,
        request: Request,
        scope: CurrentScope,
        asked: Annotated[Asked, Depends(asked_of)],
        current: UUID | None = None,
        part: QueryText = "",
    ) -> Response:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            context = await self._list(session, scope, asked)
            shell = None if part else await self.pages.shell(request, session)
        if part:
            return self.pages.part(request, "dialog/_list.html", current=current, **context)
        return self.pages.show(request, "dialog/list.html", shell, current=None, **context)

    async def _list(self, session: Session, scope: Scope, asked: Asked) -> dict[str, Any]:
        page = Page.read(conversations.ORDERS["-last_message_at"], LINES_PER_PAGE, asked.cursor or None)
        lines, older = await inbox.page_lines(session, asked.wanted(scope), page)
        return {
            "shown_lines": lines,
            "asked": asked,
            "older": older,
            "waiting_drafts": await inbox.count_drafts(session),
            "waiting_actions": await acting.count_queue(session),
            "agents": await agents.list_agents(session),
            "members": {one.person_id: one.full_name for one in await organizations.list_members(session)},
            "speakers": await speaking.find_speakers(session, [one.conversation for one in lines]),
            "connections": await crm.list_connections(session),
            "channels": crm.CHANNELS,
        }

    async def thread(  # noqa: PLR0917 - the part, and what the list beside it shows
        self,
        request: Request,
        scope: CurrentScope,
        conversation_id: UUID,
        asked: Annotated[Asked, Depends(asked_of)],
        part: str = "",
        memory: str = "",
    ) -> Response:
        """`part` is one of PARTS for a live update. `memory`: `new`, or the one to be edited."""
        require(scope, policy.VIEW)
        if part not in PARTS:
            return await self.show_again(request, scope, conversation_id, {}, memory=memory, asked=asked)
        async with self.db.session(scope) as session:
            if part == "thread":
                await _see(session, scope, conversation_id)
                context = await self._thread(session, conversation_id, timezone_of(request))
            elif part == "memory":
                context = await self._memory(session, conversation_id)
            elif part == "proposals":
                context = await self._proposals(session, conversation_id)
            elif part == "deal":
                context = await self._deal(session, conversation_id)
            else:
                context = await self._changes(session, conversation_id)
        context |= _rights(scope, conversation_id)
        return self.pages.part(request, f"dialog/_{part}.html", **context)

    async def show_again(
        self,
        request: Request,
        scope: Scope,
        conversation_id: UUID,
        typed: Mapping[str, object],
        *,
        notice: Notice | None = None,
        memory: str = "",
        status: int = 200,
        asked: Asked = EVERYTHING,
    ) -> Response:
        """Show the whole page with what was typed into it. Whoever opens it has read the conversation."""
        async with self.db.session(scope) as session:
            await _see(session, scope, conversation_id)
            context = await self._changes(session, conversation_id)
            context |= await self._thread(session, conversation_id, timezone_of(request))
            context |= await self._memory(session, conversation_id)
            context |= await self._proposals(session, conversation_id)
            context |= await self._list(session, scope, asked)
            shell = await self.pages.shell(request, session)
        context |= _rights(scope, conversation_id) | dict(typed)
        if policy.WORK_CONVERSATIONS in scope.permissions:
            context["memory_form"] = memory
        return self.pages.show(request, "dialog/thread.html", shell, notice, status=status, **context)

    async def _memory(self, session: Session, conversation_id: UUID) -> dict[str, Any]:
        return {
            "memories": await memories.list_memories(session, conversation_id),
            "memory_reading": await memories.get_reading(session, conversation_id),
            "memory_kinds": MEMORY_KINDS,
            "memory_authors": MEMORY_AUTHORS,
            "memory_limit": TEXT_MAX_CHARS,
            "memory_form": "",
            "memory_typed": {},
            "memory_errors": {},
            "memory_failure": "",
            "conversation": await conversations.get_conversation(session, conversation_id),
            "speaker": await speaking.find_speaker(session, conversation_id),
        }

    async def _proposals(self, session: Session, conversation_id: UUID) -> dict[str, Any]:
        conversation = await conversations.get_conversation(session, conversation_id)
        return {"conversation": conversation, **await beside(session, conversation_id)}

    async def _changes(self, session: Session, conversation_id: UUID) -> dict[str, Any]:
        conversation = await conversations.get_conversation(session, conversation_id)
        lines = await actions.lines_of_customer(
            session, conversation.connection_id, conversation.lead_id, conversation.contact_id
        )
        return {"conversation": conversation, "lines": lines, "actors": actions.ACTORS}

    async def _thread(self, session: Session, conversation_id: UUID, zone: tzinfo) -> dict[str, Any]:
        messages = await conversations.list_messages(session, conversation_id)
        turns = await service.list_turns(session, conversation_id)
        files = await attaching.list_attachments(session, conversation_id, [m.seq for m in messages])
        handed = await handing.list_handoffs(session, conversation_id)
        return {
            **await self._deal(session, conversation_id),
            "entries": list(tell(messages, turns, zone, handed)),
            "files": files,
            "usage": await inference.usage_of_turns(session, [turn.id for turn in turns]),
            "reply_files": await enclosures.list_files(session, [turn.id for turn in turns]),
            "explained": await tracing.explained_turns(session, [turn.id for turn in turns]),
            "file_reasons": FILE_REASONS,
            "file_not_sent": FILE_NOT_SENT,
            "unheard_reasons": UNHEARD_REASONS,
            "is_cut": len(messages) == THREAD_SIZE,
            "speaker": await speaking.find_speaker(session, conversation_id),
            "has_active": bool(await agents.list_active(session)),
            "rules": await organizations.get_stopping(session),
            "members": {one.person_id: one.full_name for one in await organizations.list_members(session)},
            **await self._draft(session, conversation_id),
            **await reply_box(session, conversation_id, messages),
        }

    async def _deal(self, session: Session, conversation_id: UUID) -> dict[str, Any]:
        conversation = await conversations.get_conversation(session, conversation_id)
        lead = None
        if conversation.lead_id is not None:
            lead = await crm.get_lead_card(session, conversation.connection_id, conversation.lead_id)
        connection = await crm.get_connection(session, conversation.connection_id)
        return {"conversation": conversation, "lead": lead, "connection": connection}

    async def _draft(self, session: Session, conversation_id: UUID) -> dict[str, Any]:
        return {
            "draft": await drafts.find_current(session, conversation_id),
            "next_draft": await drafts.find_next(session, conversation_id),
            "draft_limits": {"text": DRAFT_MAX_CHARS, "note": NOTE_MAX_CHARS},
            "draft_typed": {},
            "draft_errors": {},
            "draft_failure": "",
        }

    async def attachment(self, scope: CurrentScope, conversation_id: UUID, attachment_id: UUID) -> Response:
        require(scope, policy.READ_ATTACHMENTS)
        async with self.db.session(scope) as session:
            found = await attaching.open_attachment(session, self.files, conversation_id, attachment_id)
        return attaching.as_download(*found)

    async def take_over(self, request: Request, scope: CurrentScope, conversation_id: UUID) -> Response:
        """Give the chat to the person who asks: the agent is silent from now on."""
        require(scope, policy.WORK_CONVERSATIONS)
        desk = await Desk.read(self, request, scope, conversation_id)
        async with self.db.session(scope) as session:
            person = await identity.get_person(session, person_of(request))
            await self.inbox.take_over(session, conversation_id, by=person.full_name, now=utcnow())
        # The thread itself says who holds it now: a message would only cover its button.
        return await desk.done()

    async def resume(self, request: Request, scope: CurrentScope, conversation_id: UUID) -> Response:
        require(scope, policy.WORK_CONVERSATIONS)
        desk = await Desk.read(self, request, scope, conversation_id)
        async with self.db.session(scope) as session:
            await self.inbox.resume(session, conversation_id)
        return await desk.done()

    async def assign(self, request: Request, scope: CurrentScope, conversation_id: UUID) -> Response:
        """Make the chosen member responsible; an empty choice is nobody."""
        require(scope, policy.WORK_CONVERSATIONS)
        desk = await Desk.read(self, request, scope, conversation_id)
        chosen = desk.part("assignment")["assignee_id"]
        try:
            person_id = UUID(chosen) if chosen else None
            async with self.db.session(scope) as session:
                await assigning.assign(session, conversation_id, person_id)
        except (ValueError, Invalid):
            return await desk.refused("assignment", Invalid("invalid", NOBODY))
        return await desk.done("assignment")


async def _see(session: Session, scope: Scope, conversation_id: UUID) -> None:
    """Whoever looks has read it; not those who look through somebody else's eyes."""
    if scope.actor.kind == "person" and scope.actor.id is not None and scope.actor.impersonator is None:
        await assigning.mark_read(session, conversation_id, scope.actor.id)


def _rights(scope: Scope, conversation_id: UUID) -> dict[str, Any]:
    return {
        "channels": crm.CHANNELS,
        "current": conversation_id,
        "assignment_error": "",
        "assignment_typed": {},
        "may_work": policy.WORK_CONVERSATIONS in scope.permissions,
        "may_read_files": policy.READ_ATTACHMENTS in scope.permissions,
        "may_read_explanations": policy.READ_EXPLANATIONS in scope.permissions,
        "may_see_usage": policy.EDIT_AGENTS in scope.permissions,
        "may_erase": policy.MANAGE_PRIVACY in scope.permissions,
    }


def tell(
    messages: Iterable[Message],
    turns: Iterable[TurnRecord],
    zone: tzinfo,
    handoffs: Sequence[Handoff] = (),
) -> Iterator[Entry]:
    """Weave messages, days, hand-offs and the turns that sent nothing into one story, oldest first."""
    given = list(reversed(handoffs))
    known = {turn.id: turn for turn in turns}
    silent: dict[int, list[TurnRecord]] = {}
    for turn in reversed(known.values()):
        if _is_silent(turn):
            silent.setdefault(turn.last_seq, []).append(turn)
    day: date | None = None
    for message in messages:
        if message.sent_at.astimezone(zone).date() != day:
            day = message.sent_at.astimezone(zone).date()
            yield Entry("day", message.sent_at)
        by = known.get(message.turn_id) if message.turn_id else None
        yield Entry("message", message.sent_at, message, by)
        for ended in silent.get(message.seq, ()):
            yield Entry("turn", ended.ended_at or message.sent_at, turn=ended, text=_reason(ended))
        while given and given[0].after_seq <= message.seq:
            one = given.pop(0)
            yield Entry("handoff", one.created_at, handoff=one)


def _is_silent(turn: TurnRecord) -> bool:
    """Whether the turn sent nothing, and that is its end. A draft that waits is shown as what it is."""
    is_waiting = turn.draft is not None and turn.draft.state == "waiting"
    return turn.outcome in {"refused", "handed_off", "draft", "rejected"} and not is_waiting


def _reason(turn: TurnRecord) -> str:
    if turn.outcome == "draft":
        return OUTDATED
    other = REFUSED if turn.outcome == "refused" else NOT_SENT
    return REASONS.get(turn.reason or "", other)
