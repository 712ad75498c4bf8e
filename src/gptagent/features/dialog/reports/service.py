"""Verbs of reported messages: did we send this one, and which turn?"""

from uuid import UUID

from gptagent.features.crm.events import RobotsWrote
from gptagent.features.crm.model import InboundMessage, same_words
from gptagent.features.dialog.reports import store
from gptagent.kernel.db import Session


async def claim(session: Session, conversation_id: UUID, message: InboundMessage) -> str | None:
    """Settle the turn of this conversation that sent the message; return its state, None: we did not."""
    waiting = await store.awaited_of_deal(session, conversation_id) if message.author == "bot" else []
    await store.lock_lanes(session, [conversation_id, *(row["conversation_id"] for row in waiting)])
    return await store.claim_own_message(session, conversation_id, message)


async def is_known(session: Session, conversation_id: UUID, message: InboundMessage) -> bool:
    """Whether a turn of this conversation has the message's id already."""
    return await store.is_known(session, conversation_id, message.provider_id)


async def claim_elsewhere(session: Session, conversation_id: UUID, message: InboundMessage) -> UUID | None:
    """Settle the turn of the deal's other chats whose words a bot has said here: it chooses by its own rules.

    Returns its conversation. Comes after `claim`, which has locked the lanes.
    """
    if message.author != "bot" or not message.text.strip():
        return None
    for row in await store.awaited_of_deal(session, conversation_id):
        fits = row["since"] <= message.sent_at and same_words(row["text"] or "", message.text)
        if fits and await store.settle_awaited(session, row["id"], message.provider_id):
            conversation: UUID = row["conversation_id"]
            return conversation
    return None


async def settle_seen(session: Session, event: RobotsWrote) -> list[UUID]:
    """Settle the turns whose messages the CRM's log shows; return their conversations.

    The log has no words: a robot's message on the deal since the reply was put there is the reply, as it is
    where a turn looks for itself. The deal is claimed until then, so that no other reply is under way on it.
    """
    lead_ids = sorted({one.lead_id for one in event.messages})
    waiting = await store.awaited_of_leads(session, event.connection_id, lead_ids)
    if not waiting:
        return []
    await store.lock_lanes(session, [row["conversation_id"] for row in waiting])
    ids = [one.id for one in event.messages]
    taken = await store.known_ids(session, event.connection_id, lead_ids, ids)
    settled = []
    for row in await store.awaited_of_leads(session, event.connection_id, lead_ids):
        for one in event.messages:
            if one.lead_id == row["lead_id"] and one.id not in taken and one.sent_at >= row["since"]:
                if await store.settle_awaited(session, row["id"], one.id):
                    settled.append(row["conversation_id"])
                    taken.add(one.id)
                break
    return settled
