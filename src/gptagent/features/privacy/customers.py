"""A customer's data: found, handed out, erased."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from uuid import UUID

from asyncpg import Record

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.conversations.model import topic_of
from gptagent.features.crm import service as crm
from gptagent.features.privacy import store
from gptagent.features.privacy.exports import pages_of, written
from gptagent.features.privacy.keeping import store as keeping
from gptagent.features.privacy.model import Customer
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import NotFound
from gptagent.kernel.scope import Scope

CUSTOMERS_SHOWN = 20


async def find_customers(
    session: Session, *, conversation_id: UUID | None = None, text: str = ""
) -> list[Customer]:
    """Return customers by a conversation, a contact's or deal's number, or a part of the name."""
    if conversation_id is None and not text.strip():
        return []
    rows = await store.find_customers(
        session, conversation_id=conversation_id, text=text.strip(), limit=CUSTOMERS_SHOWN
    )
    return [Customer(**dict(row)) for row in rows]


async def export_customer(db: Database, scope: Scope, conversation_id: UUID) -> AsyncIterator[bytes]:
    """Return the pieces of a JSON file with everything kept about the customer who has this conversation.

    That it was exported is recorded first. Raises NotFound.
    """
    async with db.session(scope) as session:
        found = await _of(session, conversation_id)
        connection_id, ids, leads, numbers = _named(found)
        contacts = await _contacts(session, found, leads)
        kept = keeping.kept_of_customer(
            connection_id, ids, (leads, contacts), numbers
        ) | keeping.kept_of_contacts(connection_id, contacts)
        kept |= keeping.kept_of_actions(connection_id, leads, contacts, ids)
        kept |= keeping.kept_of_test_chats(connection_id, leads, contacts)
        counts = {kind: (None, await keeping.count(session, queries)) for kind, queries in kept.items()}
        await audit.record(session, Entry("customer.exported", "conversation", str(conversation_id), counts))
    opened = partial(db.session, scope)
    return written({kind: pages_of(opened, queries) for kind, queries in kept.items()})


async def erase_customer(session: Session, conversation_id: UUID) -> None:
    """Delete everything kept about the customer who has this conversation. Raises NotFound.

    The conversations are locked first, so that a reply in the making finds its lane gone and is not sent.
    What the customer writes afterwards begins a new conversation.
    """
    found = await _of(session, conversation_id)
    await crm.hold_connection(session, found[0]["connection_id"])
    await store.lock_conversations(session, [row["id"] for row in found])
    found = await _of(session, conversation_id)
    connection_id, ids, leads, numbers = _named(found)
    contacts = await _contacts(session, found, leads)
    messages = await store.erase_customer(session, connection_id, ids, (leads, contacts), numbers)
    await crm.erase_contacts(session, connection_id, contacts)
    await store.erase_actions(session, connection_id, [], contacts)
    changes = {"conversations": (len(found), 0), "messages": (messages, 0)}
    await audit.record(session, Entry("customer.erased", "conversation", str(conversation_id), changes))
    await session.publish(topic_of(conversation_id), "changed", {"conversation_id": str(conversation_id)})


async def _of(session: Session, conversation_id: UUID) -> list[Record]:
    found = await store.conversations_of(session, conversation_id)
    if not found:
        raise NotFound
    return found


async def _contacts(session: Session, found: Sequence[Record], leads: Sequence[int]) -> list[int]:
    """Return the customer's numbers as a contact; a chat that names none has its deal's."""
    named = {row["contact_id"] for row in found if row["contact_id"] is not None}
    if not named:
        named = set(await crm.contacts_of_leads(session, found[0]["connection_id"], leads))
    return sorted(named)


def _named(found: Sequence[Record]) -> tuple[UUID, list[UUID], list[int], list[str]]:
    """Return connection, conversations, deals, and every number or text the CRM names the customer by."""
    leads = sorted({row["lead_id"] for row in found if row["lead_id"] is not None})
    names = {row[column] for row in found for column in ("chat_id", "talk_id", "contact_id", "lead_id")}
    return (
        found[0]["connection_id"],
        [row["id"] for row in found],
        leads,
        sorted(str(name) for name in names if name not in {None, ""}),
    )
