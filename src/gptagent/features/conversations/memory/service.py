"""Verbs of memory: what is remembered of a customer, over all their conversations and nobody else's."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from gptagent.features.agents.model import Agent
from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.memory import store
from gptagent.features.conversations.memory.model import (
    KEPT_MAX,
    KINDS,
    TEXT_MAX_CHARS,
    Found,
    Memory,
    MemoryAuthor,
    NewMemory,
    Reading,
    known_as,
    told,
    topic_of_text,
)
from gptagent.features.conversations.model import Conversation, topic_of
from gptagent.features.conversations.speaking import service as speaking
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, FieldError, Invalid, NotFound

READ = "conversations.remember"
# So long after a turn its messages are read: several turns of one talk are read at once.
READ_AFTER = timedelta(seconds=30)
LOST_AFTER = timedelta(minutes=15)  # longer than all attempts of the job


async def wake_reader(
    session: Session, conversation: Conversation, asked: Agent | None, active: Sequence[Agent], last_seq: int
) -> None:
    """Have the messages of a turn of the agent `asked`, up to `last_seq`, read in a while.

    What is said to an agent that does not remember, or while the one of all `active` that speaks now does
    not, is not remembered later either. The conversation is locked or pinned before, its lane is after.
    """
    if asked is not None and not asked.settings.remembers_customers:
        await store.pass_over(session, conversation.id, last_seq)
        return
    agent = await speaking.choose_speaker(session, active, conversation)
    if agent is None:
        return
    if not agent.settings.remembers_customers:
        await store.pass_over(session, conversation.id)
    elif await store.note_due(session, conversation.id, READ_AFTER, LOST_AFTER):
        await session.enqueue(READ, {"conversation_id": str(conversation.id)}, delay=READ_AFTER)


async def list_memories(session: Session, conversation_id: UUID) -> list[Memory]:
    """Return what is remembered of this conversation's customer, the newest first. Raises NotFound."""
    await conversations.get_conversation(session, conversation_id)
    return await known_of(session, conversation_id)


async def known_of(session: Session, conversation_id: UUID) -> list[Memory]:
    """Return the same for a conversation that is known to be there."""
    return [Memory(**dict(row)) for row in await store.select_memories(session, conversation_id)]


async def get_memory(session: Session, conversation_id: UUID, memory_id: UUID) -> Memory:
    """Raise NotFound if nothing such is remembered of this conversation's customer."""
    await conversations.get_conversation(session, conversation_id)
    row = await store.select_memory(session, conversation_id, memory_id)
    if row is None:
        raise NotFound
    return Memory(**dict(row))


async def get_reading(session: Session, conversation_id: UUID) -> Reading:
    """Return how far the conversation has been read."""
    row = await store.select_reading(session, conversation_id)
    return Reading(**dict(row)) if row else Reading()


async def recall(session: Session, conversation_id: UUID, question: str) -> tuple[Memory, ...]:
    """Return what a turn is told of its customer: bounded, what fits the question first."""
    return told(await known_of(session, conversation_id), question)


async def add_memory(session: Session, conversation_id: UUID, new: NewMemory, *, now: datetime) -> Memory:
    """Remember what a person writes. Raises NotFound, Invalid, Conflict if too much is remembered already."""
    known = await list_memories(session, conversation_id)
    text = _checked(new, now)
    if len(known) >= KEPT_MAX:
        raise Conflict("memory_full", "Too much is remembered of this customer. Erase something first.")
    found = Found(new.kind, topic_of_text(text), text, "", 1.0, 0, now, new.expires_on)
    old = known_as(found, [one for one in known if one.topic == found.topic])
    if old is not None:
        await store.update_memory(session, old.id, replace(new, text=text), now)
    memory_id = old.id if old else await store.insert_memory(session, conversation_id, found, "person", None)
    await _record(session, "memory.added", conversation_id, {"text": None})
    return await get_memory(session, conversation_id, memory_id)


async def change_memory(
    session: Session, conversation_id: UUID, memory_id: UUID, new: NewMemory, *, now: datetime
) -> Memory:
    """Write what a person makes of it. Raises NotFound and Invalid."""
    old = await get_memory(session, conversation_id, memory_id)
    text = _checked(new, now)
    if (new.kind, text, new.expires_on) == (old.kind, old.text, old.expires_on):
        return old
    keeps = new.expires_on == old.expires_on  # it may be the workspace's period that shows: not its own then
    await store.update_memory(session, memory_id, replace(new, text=text), now, keeps_day=keeps)
    await _record(session, "memory.changed", conversation_id, {"text": None})
    return await get_memory(session, conversation_id, memory_id)


async def erase_memory(session: Session, conversation_id: UUID, memory_id: UUID) -> None:
    """Forget one thing. What the customer says of it later is remembered again. Raises NotFound."""
    await get_memory(session, conversation_id, memory_id)
    await store.delete_memory(session, conversation_id, memory_id)
    await _record(session, "memory.erased", conversation_id, {"memories": (1, 0)})


async def erase_memories(session: Session, conversation_id: UUID) -> None:
    """Forget all of the customer. Raises NotFound."""
    await conversations.get_conversation(session, conversation_id)
    count = await store.delete_memories(session, conversation_id)
    if count:
        await _record(session, "memory.erased", conversation_id, {"memories": (count, 0)})


async def keep_found(
    session: Session, conversation_id: UUID, found: Sequence[Found], author: MemoryAuthor
) -> None:
    """Keep what messages say: what is known already is renewed, and what is newer takes the older's place."""
    known = await known_of(session, conversation_id)
    for one in found:
        old = known_as(one, known)
        if old is None:
            await store.insert_memory(session, conversation_id, one, author, one.seq)
        else:
            await store.replace_memory(session, old.id, conversation_id, one, author)
        known = await known_of(session, conversation_id)
    await store.trim_memories(session, conversation_id, KEPT_MAX)


async def tell(session: Session, conversation_id: UUID) -> None:
    """Let open pages show what has changed."""
    await session.publish(topic_of(conversation_id), "changed", {"conversation_id": str(conversation_id)})


async def _record(
    session: Session, action: str, conversation_id: UUID, changes: dict[str, tuple[int, int] | None]
) -> None:
    await audit.record(session, Entry(action, "conversation", str(conversation_id), changes))
    await tell(session, conversation_id)


def _checked(new: NewMemory, now: datetime) -> str:
    """Return the text in one line. Raises Invalid naming every wrong field."""
    text = " ".join("".join(char if char.isprintable() else " " for char in new.text).split())
    faults = []
    if new.kind not in KINDS:
        faults.append(FieldError("kind", "Choose one of the offered values."))
    if not 1 <= len(text) <= TEXT_MAX_CHARS:
        limits = {"low": 1, "high": TEXT_MAX_CHARS}
        faults.append(FieldError("text", "From {low} to {high} characters.", limits))
    if new.expires_on is not None and new.expires_on < now.astimezone(UTC).date():
        faults.append(FieldError("expires_on", "This day is over already."))
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
    return text
