"""Verbs of drafts: put one down, approve it as it is or edited, reject it."""

from uuid import UUID

from gptagent.features.agents import service as agents
from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.memory import service as memory
from gptagent.features.conversations.model import Conversation
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.replying import service as replying
from gptagent.features.dialog import service as lanes
from gptagent.features.dialog import store as turns
from gptagent.features.dialog.acting import service as acting
from gptagent.features.dialog.drafts import store
from gptagent.features.dialog.drafts.model import NOTE_MAX_CHARS, TEXT_MAX_CHARS, Draft
from gptagent.features.dialog.ending import note_question, owe_turn_task
from gptagent.features.dialog.lanes import store as lane_store
from gptagent.features.dialog.model import Answer, Pace, Turn
from gptagent.kernel import observe
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.scope import Scope

DRAFT_TASK = (
    "The agent has drafted a reply that waits for your approval in the inbox; the customer has not got it. "
    "The customer wrote: “{question}”"
)


async def put_down(db: Database, scope: Scope, turn: Turn, answer: Answer, pace: Pace) -> None:
    """End the turn with its answer unsent and ask a person on the deal to look at it.

    Stale, it is dropped instead, and the lane looks anew. Raises StaleClaim if the lane is another's by now.
    """
    async with db.session(scope) as session:
        conversation = await conversations.get_conversation(session, turn.conversation_id)
        await crm_service.hold_connection(session, conversation.connection_id)
        await conversations.pin_conversation(session, conversation.id)
        active = await agents.list_active(session)
        agent = await agents.find_agent(session, turn.agent_id, among=active)
        await memory.wake_reader(session, conversation, agent, active, turn.last_seq)
        if not await lane_store.pass_fence(session, turn, pace.lease):
            await lanes.give_back(session, turn)
            await turns.supersede_turn(session, turn.id)
            return
        await lanes.give_back(session, turn, answered=True)
        if not await store.put_down(session, turn.id, answer.reason):
            raise lanes.StaleClaim
        if not await store.was_told(session, conversation.id, turn.first_seq):
            await owe_turn_task(session, turn, conversation, DRAFT_TASK)
        await note_question(session, turn, conversation, agent)
        await acting.owe_acting(session, turn, agent)
        await conversations.tell(session, conversation.id)
    observe.TURNS.labels("draft").inc()


async def get_draft(session: Session, conversation_id: UUID, draft_id: UUID) -> Draft:
    """Raise NotFound if the conversation has no such draft."""
    found = await store.select_draft(session, conversation_id, draft_id)
    if found is None:
        raise NotFound
    return found


async def find_current(session: Session, conversation_id: UUID) -> Draft | None:
    """Return the draft that waits, or was approved and is on its way."""
    return await store.select_current(session, conversation_id)


async def find_next(session: Session, conversation_id: UUID) -> UUID | None:
    """Return the conversation whose draft waits longest, other than this one; None if there is none."""
    return await store.select_next(session, conversation_id)


async def approve(
    session: Session, conversation_id: UUID, draft_id: UUID, *, by: str, text: str | None = None
) -> None:
    """Let the draft be sent, with `text` in its place if that is given: once, by the turn's own way.

    Raises NotFound; Invalid on a text that is empty or too long; Conflict if the draft does not wait any
    more, its agent is off, or the channel takes no message this long after the customer's last one.
    """
    conversation = await conversations.get_conversation(session, conversation_id)
    draft = await get_draft(session, conversation_id, draft_id)
    edited = _edited(draft, text)
    if draft.state != "waiting":
        raise _decided(draft)
    await _check_agent(session, draft)
    await _check_window(session, conversation)
    await conversations.pin_conversation(session, conversation_id)
    if not await store.approve(session, conversation_id, draft_id, by, edited):
        raise _decided(await get_draft(session, conversation_id, draft_id))
    await session.enqueue(lanes.ADVANCE, {"conversation_id": str(conversation_id)})
    own = str(conversation_id)
    await audit.record(
        session,
        Entry("reply_draft.approved" if edited is None else "reply_draft.edited", "conversation", own),
    )
    await conversations.tell(session, conversation_id)


async def reject(session: Session, conversation_id: UUID, draft_id: UUID, *, by: str, note: str = "") -> None:
    """End the turn without a reply; `note` may say why. Raises NotFound, Invalid, Conflict."""
    await conversations.get_conversation(session, conversation_id)
    await get_draft(session, conversation_id, draft_id)
    why = note.strip()
    if len(why) > NOTE_MAX_CHARS:
        raise Invalid.field("reason", "At most {limit} characters.", limit=NOTE_MAX_CHARS)
    await conversations.pin_conversation(session, conversation_id)
    if not await store.reject(session, conversation_id, draft_id, by, why or None):
        raise _decided(await get_draft(session, conversation_id, draft_id))
    await audit.record(session, Entry("reply_draft.rejected", "conversation", str(conversation_id)))
    await conversations.tell(session, conversation_id)


def _edited(draft: Draft, text: str | None) -> str | None:
    """Return the person's words; None if they are the draft's."""
    if text is None:
        return None
    words = text.replace("\r\n", "\n").replace("\0", "").strip()
    if not words:
        raise Invalid.field("text", "Write the reply.")
    if len(words) > TEXT_MAX_CHARS:
        raise Invalid.field("text", "At most {limit} characters.", limit=TEXT_MAX_CHARS)
    return None if words == draft.text.strip() else words


def _decided(draft: Draft) -> Conflict:
    if draft.state in {"waiting", "outdated"}:
        return Conflict(
            "reply_draft_outdated", "Something newer happened in this chat: the draft is not sent any more."
        )
    return Conflict("reply_draft_decided", "Somebody has decided about this draft already.")


async def _check_agent(session: Session, draft: Draft) -> None:
    agent = await agents.find_agent(session, draft.agent_id)
    if agent is None or not agent.is_active:
        raise Conflict("reply_draft_agent_off", "The agent that wrote this draft is switched off.")


async def _check_window(session: Session, conversation: Conversation) -> None:
    said_at = await conversations.last_said_at(session, conversation.id)
    if said_at is not None and replying.window_is_closed(conversation.channel, said_at, utcnow()):
        raise Conflict(
            "reply_draft_window_closed",
            "The channel takes messages only within 24 hours of the customer's last one. "
            "Write with a template.",
        )
