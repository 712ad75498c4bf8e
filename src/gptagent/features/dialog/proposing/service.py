"""The verbs of proposing: watch holds, read what a person answered, hand it to the knowledge base."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.model import Conversation, Message
from gptagent.features.conversations.speaking import service as speaking
from gptagent.features.crm import service as crm
from gptagent.features.dialog import store as turns
from gptagent.features.dialog.context import place_asked, stage_of
from gptagent.features.dialog.proposing import store
from gptagent.features.dialog.proposing.model import SILENT_FOR, exchanges_of, wait_for
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.model import At, DraftText, Material
from gptagent.features.knowledge.service import Within
from gptagent.features.organizations import service as organizations
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import NotFound
from gptagent.kernel.scope import SYSTEM, Scope

PROPOSE = "dialog.propose_article"
BEHIND_REPLIES = -1
SETTLES_IN = timedelta(minutes=1)  # after the agent has the conversation again
SILENCED_FOR = timedelta(hours=1)  # until a suspended workspace is asked about again
TURNS_READ = 200
MOST_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Taken:
    """What is to be made into a draft, and which messages it was: (read before, the last one)."""

    conversation_id: UUID
    read: tuple[int, int]
    held_since: datetime | None
    material: Material
    may_ask_model: bool
    model: str | None


async def note_hold(session: Session, conversation_id: UUID, *, is_given_back: bool) -> None:
    """A person took a conversation, wrote in it, or gave it back: look later whether they are done.

    One who writes beside an agent that goes on may have more to say as well. Call it after locking the
    conversation's lane.
    """
    await store.note_hold(session, conversation_id, SETTLES_IN if is_given_back else SILENT_FOR)


async def queue_due(db: Database) -> int:
    """Have conversations read that people may be done with. Returns how many."""
    async with db.installation() as session:
        due = await store.due(session, MOST_AT_ONCE)
    queued = 0
    for org_id, conversation_id in due:
        async with db.session(Scope(org_id, SYSTEM)) as session:
            if await store.take_due(session, conversation_id):
                await queue(session, conversation_id)
                queued += 1
    return queued


async def queue(session: Session, conversation_id: UUID, *, delay: timedelta = timedelta(0)) -> None:
    """Have a conversation read; leaves with the transaction."""
    payload = {"conversation_id": str(conversation_id)}
    await session.enqueue(PROPOSE, payload, delay=delay, priority=BEHIND_REPLIES)


async def take(session: Session, conversation_id: UUID, *, now: datetime) -> Taken | None:
    """Return what is to be made into a draft; None if nothing is, or the person is not done yet."""
    try:
        conversation = await conversations.get_conversation(session, conversation_id)
    except NotFound:  # erased meanwhile
        return None
    await conversations.pin_conversation(session, conversation_id)
    watch = await store.fetch_watch(session, conversation_id)
    held_since = conversation.taken_over_at
    if watch is None or (watch.proposed_for is not None and held_since in {None, watch.proposed_for}):
        return None
    messages = await conversations.list_messages(session, conversation_id, from_seq=watch.read_seq + 1)
    if not messages or await _has_to_wait(session, conversation, messages, now):
        return None
    read = (watch.read_seq, messages[-1].seq)
    material = await _material(session, conversation, messages)
    if material is None:
        await store.advance(session, conversation_id, read, None)
        return None
    agent = await speaking.find_speaker(session, conversation_id)
    may_ask = await knowledge.may_ask_model(session)
    return Taken(
        conversation_id, read, held_since, material, may_ask, agent.settings.model if agent else None
    )


async def _has_to_wait(
    session: Session, conversation: Conversation, messages: list[Message], now: datetime
) -> bool:
    """Have it looked at later if the workspace is suspended or the person may have more to say."""
    wait = wait_for(messages, is_held=conversation.held_by_person, now=now)
    if await organizations.find_silence(session) is not None:
        wait = SILENCED_FOR
    if wait is not None:
        await store.set_due(session, conversation.id, wait)
    return wait is not None


async def keep(session: Session, taken: Taken, text: DraftText, *, now: datetime) -> None:
    """Keep the draft, unless another has read the same or the customer was erased meanwhile."""
    await conversations.pin_conversation(session, taken.conversation_id)
    if await store.advance(session, taken.conversation_id, taken.read, taken.held_since):
        await knowledge.propose_draft(session, taken.conversation_id, taken.material, text, now=now)


async def _material(session: Session, conversation: Conversation, messages: list[Message]) -> Material | None:
    seqs = (messages[0].seq, messages[-1].seq)
    tried = await turns.select_turns(session, conversation.id, TURNS_READ, seqs)
    rules = await organizations.get_stopping(session)
    said = [one for one in messages if not (one.author == "human" and rules.is_command(one.text))]
    writers = {one.author_name for one in messages if one.author in {"customer", "human"}}
    names = sorted(filter(None, {conversation.customer_name, *writers}))
    agent = await speaking.find_speaker(session, conversation.id)
    categories = agent.settings.knowledge.part if agent else None
    at = await _place(session, conversation)
    part = Within(None if categories is None else tuple(categories), at, agent.id if agent else None)
    return await knowledge.read_talk(session, exchanges_of(said, tried), names, within=part)


async def _place(session: Session, conversation: Conversation) -> At | None:
    """Return where the deal is now, as the mirror knows it; None if it does not."""
    place, lead = conversation.connection_id, None
    if conversation.lead_id is not None:
        lead = await crm.get_lead_card(session, place, conversation.lead_id)
    return place_asked(conversation, stage_of(place, lead))
