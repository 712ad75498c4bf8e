"""What our side writes into a conversation outside of a turn, and the hold that goes with it."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.conversations import store
from gptagent.features.conversations.service import FIRST_CHECK, tell
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Session


async def append_ours(
    session: Session,
    conversation_id: UUID,
    *,
    author: Literal["agent", "human"],
    author_name: str,
    text: str,
    sender_id: UUID,
) -> int:
    """Append what is about to be sent; return its number. `sender_id` is by what it is known until the CRM
    has named it. Locks the conversation.
    """
    await store.lock_conversation(session, conversation_id)
    seq = await store.append_message(
        session,
        conversation_id,
        author=author,
        author_name=author_name,
        text=text,
        provider_id=None,
        sent_at=utcnow(),
        turn_id=sender_id,
    )
    if seq is None:
        raise LookupError("a message without the provider's id is always appended")
    await tell(session, conversation_id)
    return seq


async def hold_chat(session: Session, conversation_id: UUID, by: str, now: datetime) -> None:
    """Give the chat to a person, also one that another has: the agent is silent from this commit on.

    The caller tells the dialog with HoldChanged.
    """
    await store.release(session, conversation_id)
    await store.hold(session, conversation_id, by, now)
    await store.note_quiet(session, conversation_id, now)
    await tell(session, conversation_id)


async def person_wrote(
    session: Session, conversation_id: UUID, by: str, now: datetime, *, stops: bool
) -> None:
    """A colleague wrote on our screen: if the workspace `stops` its agents then, the chat is theirs.

    The caller tells the dialog with HoldChanged.
    """
    if stops and await store.hold(session, conversation_id, by, now):
        await audit.record(session, Entry("conversation.taken_over", "conversation", str(conversation_id)))
    await store.note_quiet(session, conversation_id, now)
    await tell(session, conversation_id)


async def watch_delivery(session: Session, conversation_id: UUID) -> None:
    """Begin to look what becomes of what was sent."""
    await store.watch_delivery(session, conversation_id, FIRST_CHECK)
