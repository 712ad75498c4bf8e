"""Acting on a delivery: what is new in it is told to those who listen, all of it or nothing."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from gptagent.features.crm.deliveries import store
from gptagent.features.crm.deliveries.calls import owe_call_back
from gptagent.features.crm.deliveries.model import (
    CatalogItemChanged,
    ContactChanged,
    CustomerChanged,
    DeliveryState,
    IncomingLeadChanged,
    LeadTriggered,
    NoteAdded,
    TaskChanged,
)
from gptagent.features.crm.events import (
    CatalogItemReported,
    ContactReported,
    CustomerReported,
    DeliveryOpened,
    IncomingLeadReported,
    LeadMoved,
    LeadReported,
    MessageArrived,
    NoteReported,
    TalkSeen,
    TaskReported,
    TriggerFired,
)
from gptagent.features.crm.letters import is_answerable
from gptagent.features.crm.model import (
    CrmEvent,
    InboundMessage,
    LeadChanged,
    Letter,
    TalkChanged,
    Webhook,
)
from gptagent.kernel.db import CONNECTION_LOST, Session
from gptagent.kernel.errors import AppError
from gptagent.kernel.events import Event, Subscribers

log = structlog.get_logger(__name__)

# The CRM waits 2 s for its answer. What is not acted on within this time of its arrival is left to a job.
ACT_SECONDS = 1.0
KEY_BYTES = 16
MAX_REFS = 100
# Another transaction was in the way: nothing is wrong with the delivery.
_IN_THE_WAY = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
    asyncpg.UniqueViolationError,  # the same message, recorded by its sender at this very moment
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an attempt; `error` is a code for lists and logs."""

    state: DeliveryState
    error: str | None = None


async def attempt(
    session: Session,
    connection_id: UUID,
    webhook: Webhook,
    subscribers: Subscribers,
    *,
    seconds: float,
) -> Outcome:
    """Act on a delivery; whatever fails leaves no trace but the outcome. Raises if the database is gone."""
    try:
        async with asyncio.timeout(seconds), session.savepoint():
            return await _act(session, connection_id, webhook, subscribers)
    except TimeoutError:
        return Outcome("received", "slow")
    except _IN_THE_WAY:
        return Outcome("received", "busy")
    except CONNECTION_LOST:
        raise
    except AppError as error:
        log.warning("delivery_failed", error=error.code, kind=webhook.kind)
        return Outcome("failed", error.code)
    except Exception as error:
        log.exception("delivery_broke", error=type(error).__name__, kind=webhook.kind)
        return Outcome("failed", type(error).__name__)


def key_of(event: CrmEvent, key: bytes | None) -> bytes | None:
    """Return what is the same in every copy of an event. A message has an id, however it comes to us."""
    if isinstance(event, InboundMessage):
        return message_key(event.provider_id)
    return key


def message_key(provider_id: str) -> bytes:
    return hashlib.sha256(f"message {provider_id}".encode()).digest()[:KEY_BYTES]


def letter_key(note_id: int) -> bytes:
    """Return what is the same whenever the log tells of the note of a letter."""
    return hashlib.sha256(f"letter {note_id}".encode()).digest()[:KEY_BYTES]


def refs_of(webhook: Webhook) -> list[str]:
    """Return what a delivery speaks of: ids a person may search for."""
    found: dict[str, None] = {}
    for event in webhook.events:
        for one in _named_in(event):
            if one:
                found[str(one)] = None
    return list(found)[:MAX_REFS]


def chats_of(events: Sequence[CrmEvent]) -> list[str]:
    chats = {e.chat_id for e in events if isinstance(e, InboundMessage | TalkChanged) and e.chat_id}
    return sorted(chats)


def _named_in(event: CrmEvent) -> tuple[object, ...]:
    name = _REFS.get(type(event))
    return name(event) if name else ()


_REFS: Mapping[type, Callable[[Any], tuple[object, ...]]] = {
    InboundMessage: lambda e: (e.provider_id, e.chat_id, e.talk_id, e.contact_id, e.lead_id),
    TalkChanged: lambda e: (e.chat_id, e.talk_id, e.contact_id, e.lead_id),
    LeadChanged: lambda e: (e.lead_id,),
    LeadTriggered: lambda e: (e.lead_id,),
    ContactChanged: lambda e: (e.record.id, *e.linked_lead_ids, e.company_id),
    CustomerChanged: lambda e: (e.customer_id,),
    NoteAdded: lambda e: (e.note_id, e.record.id),
    TaskChanged: lambda e: (e.task_id, e.record.id if e.record else None),
    IncomingLeadChanged: lambda e: (e.uid, *e.lead_ids, *e.contact_ids),
    CatalogItemChanged: lambda e: (e.item_id,),
}
# What is published as it came; messages, talks and leads have rules of their own.
_FACTS: Mapping[type, Callable[[UUID, Any], Event]] = {
    ContactChanged: ContactReported,
    CustomerChanged: CustomerReported,
    NoteAdded: NoteReported,
    TaskChanged: TaskReported,
    IncomingLeadChanged: IncomingLeadReported,
    CatalogItemChanged: CatalogItemReported,
    LeadTriggered: TriggerFired,
}


async def _act(session: Session, connection_id: UUID, webhook: Webhook, subscribers: Subscribers) -> Outcome:
    """Everything is noted as seen before anything is locked: all deliveries take their locks in one order."""
    keyed = [(event, key_of(event, key)) for event, key in zip_longest(webhook.events, webhook.keys) if event]
    fresh = await store.remember(session, connection_id, sorted({key for _, key in keyed if key}))
    events = []
    for event, key in keyed:
        if key is None or key in fresh:
            events.append(event)
            fresh.discard(key or b"")
    if not events:
        return Outcome("ignored", "duplicate" if keyed else "empty")
    events.sort(key=_lock_place)
    await subscribers.publish(session, _opened(connection_id, events))
    told = [await _tell(session, connection_id, event, subscribers) for event in events]
    return Outcome("processed") if any(told) else Outcome("ignored", "nothing_new")


def _lock_place(event: CrmEvent) -> tuple[int, int, str]:
    """Leads first, then chat by chat, each in the body's order, and contacts: all lock in one order."""
    match event:
        case LeadChanged() | LeadTriggered():
            return 0, event.lead_id, ""
        case InboundMessage(chat_id=str(chat_id)) | TalkChanged(chat_id=str(chat_id)):
            return 1, 0, chat_id
        case ContactChanged():
            return 2, event.record.id, ""
    return 3, 0, ""


def _opened(connection_id: UUID, events: Sequence[CrmEvent]) -> DeliveryOpened:
    leads = {e.lead_id for e in events if isinstance(e, LeadChanged | LeadTriggered)}
    return DeliveryOpened(connection_id, tuple(chats_of(events)), tuple(leads))


async def _tell(session: Session, connection_id: UUID, event: CrmEvent, subscribers: Subscribers) -> bool:
    """Publish what an event means. False: it is nothing new, or nobody's business."""
    match event:
        case InboundMessage(letter=Letter() as letter) if not is_answerable(letter):
            return False
        case InboundMessage():
            await subscribers.publish(session, MessageArrived(connection_id, event))
        case TalkChanged(chat_id=str(chat_id)):
            seen = TalkSeen(connection_id, chat_id, event.talk_id, event.lead_id, event.is_open)
            await subscribers.publish(session, seen)
        case LeadChanged():
            return await _tell_lead(session, connection_id, event, subscribers)
        case _ if type(event) in _FACTS:
            await _tell_fact(session, connection_id, event, subscribers)
        case _:
            return False
    return True


async def _tell_fact(
    session: Session, connection_id: UUID, event: CrmEvent, subscribers: Subscribers
) -> None:
    if isinstance(event, LeadTriggered):  # it says as well where the lead stands
        thin = LeadChanged(event.lead_id, "updated", event.pipeline_id, event.stage_id)
        await _tell_lead(session, connection_id, thin, subscribers)
    await subscribers.publish(session, _FACTS[type(event)](connection_id, event))
    if isinstance(event, NoteAdded) and event.call is not None and event.call.is_missed:
        await owe_call_back(session, connection_id, event)


async def _tell_lead(
    session: Session, connection_id: UUID, change: LeadChanged, subscribers: Subscribers
) -> bool:
    merged = await store.merge_lead(session, connection_id, change)
    if merged.is_news:
        await subscribers.publish(session, LeadReported(connection_id, change))
    if merged.has_moved:
        await subscribers.publish(session, LeadMoved(connection_id, change.lead_id))
    return merged.is_news
