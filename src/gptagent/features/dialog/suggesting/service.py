"""Verbs of suggested replies: ask for one, look at it."""

from datetime import timedelta
from uuid import UUID

from gptagent.features.agents.model import HISTORY_MAX_MESSAGES
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.speaking import service as speaking
from gptagent.features.dialog.suggesting import store
from gptagent.features.dialog.suggesting.model import Suggestion, split
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, NotFound
from gptagent.kernel.ids import new_id

SUGGEST = "dialog.suggest"
STUCK_AFTER = timedelta(minutes=2)
READ_MESSAGES = HISTORY_MAX_MESSAGES + 20  # what is told of a chat, and a burst of the customer


async def ask(session: Session, conversation_id: UUID) -> Suggestion:
    """Have the agent of this conversation make one, also while it is stopped. Raises NotFound; Conflict if no
    agent fits the conversation, or the customer has written nothing.
    """
    conversation = await conversations.get_conversation(session, conversation_id, lock=True)
    if await speaking.find_speaker(session, conversation_id) is None:
        raise Conflict(
            "no_agent_to_suggest", "No active agent works in this channel at this stage of the deal."
        )
    said = await conversations.list_messages(session, conversation_id, limit=READ_MESSAGES)
    if not any(one.text.strip() for one in split(said)[1]):
        raise Conflict("nothing_to_suggest", "The customer has written nothing that could be answered.")
    if await store.put(session, conversation_id, new_id(), conversation.last_seq, STUCK_AFTER):
        await session.enqueue(SUGGEST, {"conversation_id": str(conversation_id)})
        await conversations.tell(session, conversation_id)
    return await get_suggestion(session, conversation_id)


async def get_suggestion(session: Session, conversation_id: UUID) -> Suggestion:
    """Raise NotFound if there is none for what was said last."""
    found = await find_suggestion(session, conversation_id)
    if found is None:
        raise NotFound
    return found


async def find_suggestion(session: Session, conversation_id: UUID) -> Suggestion | None:
    """Return the one for what was said last; what is older answers something else."""
    conversation = await conversations.get_conversation(session, conversation_id)
    found = await store.select_one(session, conversation_id)
    return found if found is not None and found.upto_seq == conversation.last_seq else None
