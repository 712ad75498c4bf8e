"""Verbs of conversations: receive, list, take over, resume."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from asyncpg import Record

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.conversations import store
from gptagent.features.conversations.attaching.service import note_attachment
from gptagent.features.conversations.events import CustomerWrote, HoldChanged, StageChanged
from gptagent.features.conversations.model import (
    Conversation,
    DeliveryStatus,
    Message,
    conversation_of,
    topic_of,
)
from gptagent.features.crm.events import CustomerSaid, DeliveryOpened, LeadMoved, MessageArrived, TalkSeen
from gptagent.features.crm.model import InboundMessage, same_words
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Session
from gptagent.kernel.errors import NotFound
from gptagent.kernel.events import Subscribers
from gptagent.kernel.paging import Order, Page, orders

PAGE_SIZE = 50
THREAD_SIZE = 200
MESSAGE_MAX_CHARS = 20_000  # longer ones are cut: no chat sends them, and every turn reads them
CLOCK_SKEW = timedelta(minutes=1)  # the CRM's clock against ours
FIRST_CHECK = timedelta(seconds=20)  # of a reply's delivery
FOLLOWED_FOR = timedelta(hours=24)
SAID_PREFIX = "widget:"  # ids of messages that a bot of the CRM has passed on without theirs
SAID_WITHIN = timedelta(minutes=15)
ORDERS = {
    **orders(),
    "-last_message_at": Order("-last_message_at", "last_message_at", descending=True),
}
MESSAGE_ORDERS = {
    "seq": Order("seq", "seq", "number", id_column="seq", id_type="bigint"),
    "-seq": Order("-seq", "seq", "number", descending=True, id_column="seq", id_type="bigint"),
}


class OwnMessages(Protocol):
    """Asked about outgoing messages the CRM reports: did we send this one?"""

    async def claim(self, session: Session, conversation_id: UUID, message: InboundMessage) -> bool: ...


@dataclass(slots=True)
class Inbox:
    """In-transaction subscriber of CRM events. `own` and `subscribers` are wired by bootstrap."""

    own: OwnMessages
    subscribers: Subscribers

    async def on_delivery(self, session: Session, event: DeliveryOpened) -> None:
        """Lock the conversations a delivery speaks of before anything else, in the order of their ids."""
        await store.lock_conversations(session, event)

    async def on_message(self, session: Session, event: MessageArrived) -> None:
        """Store a reported message once, whatever how often or in which order it comes."""
        message = event.message
        if await store.was_erased(session, event.connection_id, message.provider_id):
            return  # the CRM repeats itself: the customer has not written again
        row = await store.open_conversation(session, event.connection_id, message)
        conversation_id: UUID = row["id"]
        if message.letter is not None and not row["known"]:
            is_theirs = message.author == "customer"
            await store.set_letter(session, conversation_id, message.letter, is_theirs=is_theirs)
        if row["has_said"] and not row["known"] and await _adopt_said(session, conversation_id, message):
            return
        is_theirs = message.author == "customer"
        if row["known"] or (not is_theirs and await self.own.claim(session, conversation_id, message)):
            if not is_theirs:
                await note_left(session, conversation_id, message.provider_id)
            return
        seq = await _append(session, conversation_id, message)
        if seq is None:
            return
        await note_attachment(session, conversation_id, seq, message)
        if message.author == "customer":
            wrote = CustomerWrote(conversation_id, seq, message.text, message.attachment_type is not None)
            await self.subscribers.publish(session, wrote)
        elif message.author == "human":
            await self._person_wrote(session, conversation_id, message)
        await tell(session, conversation_id)

    async def _person_wrote(self, session: Session, conversation_id: UUID, message: InboundMessage) -> None:
        """What the customer has asked is the person's to answer; whether the agent stops is a setting."""
        rules = await organizations.get_stopping(session)
        is_given_back, outdates = rules.is_command(message.text), True
        if is_given_back:
            outdates = await store.release(session, conversation_id)
            if outdates:
                await _record(session, "conversation.resumed", conversation_id)
        else:
            if rules.stop_on_human:
                await store.hold(session, conversation_id, message.author_name, message.sent_at)
            await store.note_quiet(session, conversation_id, utcnow())
        await self.subscribers.publish(session, HoldChanged(conversation_id, is_given_back, outdates))

    async def on_said(self, session: Session, event: CustomerSaid) -> None:
        """Store what only a bot of the CRM has told, once; should the message come, it is the same one."""
        place = await store.find_place(session, event, event.chat.chat_id if event.chat else None)
        if place is None and event.chat is None:
            return  # nothing is known of the chat: the message comes by itself
        recent = await store.recent_words(session, event.connection_id, event.lead_id, SAID_WITHIN)
        if any(same_words(text, event.text) for text in recent):
            return
        await self.on_message(session, MessageArrived(event.connection_id, _said(event, place)))

    async def on_talk(self, session: Session, event: TalkSeen) -> None:
        """Keep the current talk: replies go into it."""
        await store.update_talk(session, event)

    async def on_lead_moved(self, session: Session, event: LeadMoved) -> None:
        """Tell that the deal's stage is another one."""
        for conversation_id in await store.conversations_of_lead(session, event.connection_id, event.lead_id):
            await self.subscribers.publish(session, StageChanged(conversation_id))

    async def take_over(self, session: Session, conversation_id: UUID, *, by: str, now: datetime) -> None:
        """Give the chat to a person: the agent is silent from this commit on. Raises NotFound."""
        await get_conversation(session, conversation_id)
        if await store.hold(session, conversation_id, by, now):
            await store.note_quiet(session, conversation_id, now)
            await self.subscribers.publish(session, HoldChanged(conversation_id))
            await tell(session, conversation_id)
            await _record(session, "conversation.taken_over", conversation_id)

    async def resume(self, session: Session, conversation_id: UUID) -> None:
        """Give the chat back to the agent: it answers from the next message on. Raises NotFound."""
        await get_conversation(session, conversation_id)
        if await store.release(session, conversation_id):
            await self.subscribers.publish(session, HoldChanged(conversation_id, is_given_back=True))
            await tell(session, conversation_id)
            await _record(session, "conversation.resumed", conversation_id)


def _said(event: CustomerSaid, place: Record | None) -> InboundMessage:
    chat = event.chat
    return InboundMessage(
        provider_id=f"{SAID_PREFIX}{event.slot_id}",
        chat_id=place["chat_id"] if place else (chat.chat_id if chat else ""),
        talk_id=event.talk_id,
        contact_id=chat.contact_id if chat else None,
        lead_id=event.lead_id,
        author="customer",
        author_name="",
        text=event.text,
        sent_at=event.said_at,
        origin=place["channel"] if place else (chat.origin if chat else ""),
    )


async def _adopt_said(session: Session, conversation_id: UUID, message: InboundMessage) -> bool:
    """Whether this is the message whose words a bot has passed on before: it gets its own id."""
    if message.author != "customer":
        return False
    for row in await store.said_messages(session, conversation_id):
        if same_words(row["text"], message.text):
            await store.rename_message(session, conversation_id, row["seq"], message.provider_id)
            return True
    return False


async def _record(session: Session, action: str, conversation_id: UUID) -> None:
    await audit.record(session, Entry(action, "conversation", str(conversation_id)))


async def _append(session: Session, conversation_id: UUID, message: InboundMessage) -> int | None:
    return await store.append_message(
        session,
        conversation_id,
        author=message.author,
        author_name=message.author_name,
        text=message.text[:MESSAGE_MAX_CHARS],
        provider_id=message.provider_id,
        sent_at=message.sent_at,
        attachment_type=message.attachment_type,
    )


async def tell(session: Session, conversation_id: UUID) -> None:
    """Let open pages show what changed in a conversation."""
    await session.publish(topic_of(conversation_id), "changed", {"conversation_id": str(conversation_id)})


async def record_reply(
    session: Session,
    conversation_id: UUID,
    *,
    turn_id: UUID,
    agent_name: str,
    text: str,
    provider_id: str | None,
    now: datetime,
) -> None:
    """Append what the agent sent. Locks the conversation, so it comes first in its transaction.

    The lock is a statement of its own: one that waits for it while the CRM's report of this very message is
    stored would go on with what it saw before, and store it once more.
    """
    await store.lock_conversation(session, conversation_id)
    seq = await store.append_message(
        session,
        conversation_id,
        author="agent",
        author_name=agent_name,
        text=text,
        provider_id=provider_id,
        sent_at=now,
        turn_id=turn_id,
    )
    if seq is None and provider_id is not None:
        await store.adopt_message(session, conversation_id, provider_id, turn_id, agent_name)
    if provider_id is not None:
        await store.watch_delivery(session, conversation_id, FIRST_CHECK)
    await tell(session, conversation_id)


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A reply of which it is not known yet whether the customer has read it."""

    seq: int
    provider_id: str
    turn_id: UUID
    text: str
    sent_at: datetime
    status: DeliveryStatus | None


async def list_undelivered(session: Session, conversation_id: UUID) -> list[Undelivered]:
    rows = await store.select_undelivered(session, conversation_id, FOLLOWED_FOR)
    return [Undelivered(**dict(row)) for row in rows]


async def note_delivery(session: Session, conversation_id: UUID, seq: int, status: DeliveryStatus) -> bool:
    """Record what became of a message. Returns whether that is news."""
    is_new = await store.update_delivery(session, conversation_id, seq, status)
    if is_new:
        await tell(session, conversation_id)
    return is_new


async def note_left(session: Session, conversation_id: UUID, provider_id: str) -> None:
    """The CRM itself has told of our message: it is sent at least."""
    if await store.note_left(session, conversation_id, provider_id):
        await tell(session, conversation_id)


async def watch_again(session: Session, conversation_id: UUID, due_in: timedelta) -> bool:
    """Look at its replies again later. False if nobody looks at them any more."""
    return await store.watch_again(session, conversation_id, due_in)


async def stop_watching(session: Session, conversation_id: UUID) -> None:
    await store.stop_watching(session, conversation_id)


async def name_customer(session: Session, conversation_id: UUID, name: str) -> None:
    """Give the customer the name the CRM knows, where the messages brought none."""
    await store.set_customer_name(session, conversation_id, name)


async def move_to_talk(session: Session, conversation_id: UUID, talk_id: int) -> None:
    await store.set_talk(session, conversation_id, talk_id)


async def pin_conversation(session: Session, conversation_id: UUID) -> None:
    """Keep it from being deleted until the commit: what is locked below it comes after it."""
    await store.pin_conversation(session, conversation_id)


async def get_conversation(session: Session, conversation_id: UUID, *, lock: bool = False) -> Conversation:
    """Raise NotFound if the workspace has no such conversation. `lock` keeps it from being changed."""
    row = await store.select_conversation(session, conversation_id, lock=lock)
    if row is None:
        raise NotFound
    return conversation_of(dict(row))


async def list_conversations(
    session: Session, *, before: datetime | None = None, limit: int = PAGE_SIZE
) -> list[Conversation]:
    """Return conversations, latest message first, older than `before`."""
    return [conversation_of(dict(row)) for row in await store.select_conversations(session, before, limit)]


async def page_conversations(
    session: Session, page: Page, *, connection_id: UUID | None = None, taken_over: bool | None = None
) -> tuple[list[Conversation], str | None]:
    """Return a page of the conversations, and the cursor of the next one if there is more."""
    rows = await store.select_conversation_page(session, page, connection_id, taken_over)
    found = [conversation_of(dict(row)) for row in rows]
    return page.cut(found, lambda one: (getattr(one, page.order.column), one.id))


async def page_messages(
    session: Session, conversation_id: UUID, page: Page
) -> tuple[list[Message], str | None]:
    """Return a page of a conversation's messages, and the cursor of the next one if there is more."""
    rows = await store.select_message_page(session, conversation_id, page)
    return page.cut([Message(**dict(row)) for row in rows], lambda message: (message.seq, message.seq))


async def list_messages(
    session: Session,
    conversation_id: UUID,
    *,
    from_seq: int = 0,
    to_seq: int | None = None,
    limit: int = THREAD_SIZE,
) -> list[Message]:
    """Return the last messages from `from_seq` on, and up to `to_seq`, oldest first."""
    rows = await store.select_messages(session, conversation_id, from_seq, limit, to_seq)
    return [Message(**dict(row)) for row in rows]


async def last_said_at(session: Session, conversation_id: UUID) -> datetime | None:
    """Return when the customer wrote last, by the CRM's clock; None if never."""
    return await store.last_said_at(session, conversation_id)


async def asked_at(session: Session, conversation_id: UUID, first_seq: int, last_seq: int) -> datetime | None:
    """Return when the customer wrote the last of these messages: as we heard of it, or earlier by the CRM."""
    return await store.asked_at(session, conversation_id, first_seq, last_seq, CLOCK_SKEW)


async def count_replies(session: Session, periods: Sequence[tuple[datetime, datetime]]) -> list[int]:
    """Return how many replies of agents were sent in each period [from, to)."""
    return await store.count_replies(session, periods)


async def has_replies(session: Session) -> bool:
    """Whether an agent has ever answered anybody in this workspace."""
    return await store.has_replies(session)


async def has_spoken(session: Session, conversation_id: UUID) -> bool:
    """Whether anybody but the customer has ever written in this conversation."""
    return await store.has_spoken(session, conversation_id)
