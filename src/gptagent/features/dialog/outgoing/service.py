"""Verbs of messages owed outside of a turn: write one, owe one, recognise the CRM's reports of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations import writing
from gptagent.features.conversations.events import HoldChanged
from gptagent.features.conversations.model import Conversation
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.events import RobotsWrote
from gptagent.features.crm.model import InboundMessage, same_words
from gptagent.features.crm.replying import service as replying
from gptagent.features.dialog.outgoing import store
from gptagent.features.dialog.outgoing.model import OVERDUE_AFTER, TEXT_MAX_CHARS, Kind, Outgoing
from gptagent.features.dialog.reports import store as reports
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import Scope

SEND = "dialog.send_outgoing"
SWEEP_BATCH = 200


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: `id` is an agent's, None a colleague's."""

    name: str
    agent_id: UUID | None = None


async def write(
    session: Session,
    conversation_id: UUID,
    text: str,
    *,
    by: str,
    now: datetime,
    reply_id: UUID | None = None,
) -> tuple[Outgoing, HoldChanged | None]:
    """Owe the customer a colleague's words. Whoever calls passes HoldChanged on: a person has written.

    `reply_id` makes a repeated form one reply: the first one counts, and nothing is to be passed on. With
    other words it is a form that somebody went back to: Conflict, or these would be lost in silence.
    Raises NotFound; Invalid on `text`; Conflict where nothing can be sent now.
    """
    conversation = await conversations.get_conversation(session, conversation_id, lock=True)
    words = checked(text)
    if reply_id is not None and await store.is_known(session, reply_id):
        first = await get_outgoing(session, conversation_id, reply_id)
        if first.text != words:
            raise Conflict(
                "reply_sent_before",
                "This form has sent other words before. If these are meant too, send them once more.",
            )
        return first, None
    rules = await organizations.get_stopping(session)
    if rules.is_command(words):
        raise Invalid.field("text", "This command gives the chat back to the agent. Use the button for that.")
    await check_sendable(session, conversation)
    owed = await owe(session, conversation, "reply", words, Writer(by), outgoing_id=reply_id)
    await writing.person_wrote(session, conversation_id, by, now, stops=rules.stop_on_human)
    await audit.record(session, Entry("conversation.replied", "conversation", str(conversation_id)))
    return await get_outgoing(session, conversation_id, owed), HoldChanged(conversation_id)


async def owe(
    session: Session,
    conversation: Conversation,
    kind: Kind,
    text: str,
    writer: Writer,
    *,
    outgoing_id: UUID | None = None,
) -> UUID:
    """Append the words to the chat and have them sent; the job leaves with this transaction."""
    await store.hasten_follow_ups(session, conversation.id)
    one = outgoing_id or new_id()
    seq = await writing.append_ours(
        session,
        conversation.id,
        author="agent" if writer.agent_id else "human",
        author_name=writer.name,
        text=text,
        sender_id=one,
    )
    await store.insert(session, one, (conversation.id, seq), kind, writer.agent_id)
    await session.enqueue(SEND, {"conversation_id": str(conversation.id)})
    return one


async def sweep_outgoing(db: Database, *, late: timedelta = OVERDUE_AFTER) -> int:
    """Wake what is owed and due for so long and reached by no queued job. Returns in how many chats."""
    async with db.installation() as session:
        found = await store.overdue(session, late, SWEEP_BATCH)
    woken = 0
    for org_id, conversation_id in found:
        async with db.session(Scope(org_id)) as session:
            if await store.mark_woken(session, conversation_id, late):
                await session.enqueue(SEND, {"conversation_id": str(conversation_id)})
                woken += 1
    return woken


def checked(text: str) -> str:
    """Return the words as they are sent. Raises Invalid on `text`."""
    words = text.replace("\r\n", "\n").replace("\0", "").strip()
    if not words:
        raise Invalid.field("text", "Write the reply.")
    if len(words) > TEXT_MAX_CHARS:
        raise Invalid.field("text", "At most {limit} characters.", limit=TEXT_MAX_CHARS)
    return words


async def check_sendable(session: Session, conversation: Conversation) -> None:
    """Raise Conflict where a message could not leave now."""
    if await organizations.find_silence(session) is not None:
        raise Conflict("workspace_silent", "The workspace is suspended or about to be deleted.")
    crm_service.check_works(await crm_service.get_connection(session, conversation.connection_id))
    if await window_is_closed(session, conversation):
        raise Conflict(
            "reply_window_closed",
            "The channel takes messages only within 24 hours of the customer's last one. "
            "Write with a template in the CRM.",
        )


async def window_is_closed(session: Session, conversation: Conversation) -> bool:
    said_at = await conversations.last_said_at(session, conversation.id)
    return said_at is not None and replying.window_is_closed(conversation.channel, said_at, utcnow())


async def get_outgoing(session: Session, conversation_id: UUID, outgoing_id: UUID) -> Outgoing:
    """Raise NotFound if the conversation has no such message."""
    found = await store.select_one(session, conversation_id, outgoing_id)
    if found is None:
        raise NotFound
    return found


async def outgoing_by_seq(session: Session, conversation_id: UUID, from_seq: int) -> Mapping[int, Outgoing]:
    """Return those from a message's number on, by the numbers of their messages."""
    return {one.seq: one for one in await store.select_of(session, conversation_id, from_seq)}


async def claim(session: Session, conversation_id: UUID, message: InboundMessage) -> bool:
    """Tell whether a reported message is one of ours that is on its way, and note that it left.

    By a way of a bot, a person with the same words is a person. A message the CRM tells of without its words
    is ours if a robot sent it since our send by such a way began.
    """
    return await _claim(session, message, await store.under_way(session, conversation_id))


async def claim_settled(session: Session, conversation_id: UUID, message: InboundMessage) -> bool:
    """Tell the same of those that have ended without the message's id: their report is late."""
    return await _claim(session, message, await store.without_id(session, conversation_id))


async def settle_seen(session: Session, event: RobotsWrote) -> list[UUID]:
    """Note what has left by a bot as the CRM's log shows it, without words; return the conversations.

    A deal is claimed from before the send until it is settled, so that no other reply is under way on it.
    """
    lead_ids = sorted({one.lead_id for one in event.messages})
    awaited = await store.awaited_of_leads(session, event.connection_id, lead_ids)
    if not awaited:
        return []
    for conversation_id in sorted({row["conversation_id"] for row in awaited}):
        await conversations.get_conversation(session, conversation_id, lock=True)
    ids = [one.id for one in event.messages]
    taken = await reports.known_ids(session, event.connection_id, lead_ids, ids)
    settled = []
    for row in awaited:
        for one in event.messages:
            if one.lead_id == row["lead_id"] and one.id not in taken and one.sent_at >= row["since"]:
                if await _left(session, row["id"], row["conversation_id"], one.id):
                    settled.append(row["conversation_id"])
                    taken.add(one.id)
                break
    return settled


async def _claim(session: Session, message: InboundMessage, rows: Sequence[Record]) -> bool:
    for row in rows:
        if (
            row["is_taken"]
            and row["by_bot"]
            and not (message.author == "bot" and row["since"] <= message.sent_at)
        ):
            continue
        is_ours = same_words(row["text"], message.text) or (
            row["by_bot"] and _is_wordless(message) and row["since"] <= message.sent_at
        )
        if is_ours and await _left(session, row["id"], row["conversation_id"], message.provider_id):
            return True
    return False


async def _left(session: Session, outgoing_id: UUID, conversation_id: UUID, message_id: str) -> bool:
    """Note under which id it left. False if that is no news."""
    if not await store.settle_sent(session, outgoing_id, message_id):
        return False
    await replying.release(session, outgoing_id)
    await writing.watch_delivery(session, conversation_id)
    await conversations.tell(session, conversation_id)
    return True


def _is_wordless(message: InboundMessage) -> bool:
    is_bare = not message.text.strip() and message.attachment_type in {None, "unreadable"}
    return is_bare and message.author == "bot"
