"""Verbs on the mirror's contacts and deals: listed, handed out, forgotten."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

from gptagent.features.crm.entities import store
from gptagent.features.crm.entities.model import ContactCard
from gptagent.features.crm.events import MessageArrived
from gptagent.features.crm.mirror.model import MirroredContact, MirroredLead
from gptagent.features.crm.values import unpack
from gptagent.kernel.db import Session
from gptagent.kernel.paging import Order, Page

BY_ID = Order("id", "external_id", "number", id_column="external_id", id_type="bigint")
NEWEST = Order("-id", "external_id", "number", descending=True, id_column="external_id", id_type="bigint")
ORDERS = {"id": BY_ID, "-id": NEWEST}


async def page_contacts(
    session: Session, connection_id: UUID, page: Page, *, search: str = ""
) -> tuple[list[MirroredContact], str | None]:
    found = await store.select_contacts(session, connection_id, page, search)
    return page.cut(found, lambda one: (one.id, one.id))


async def page_leads(
    session: Session, connection_id: UUID, page: Page, *, search: str = ""
) -> tuple[list[MirroredLead], str | None]:
    found = await store.select_leads(session, connection_id, page, search)
    return page.cut(found, lambda one: (one.id, one.id))


async def contacts_of_leads(session: Session, connection_id: UUID, lead_ids: Sequence[int]) -> list[int]:
    """Return whose deals these are, as far as the mirror knows."""
    return await store.select_contacts_of_leads(session, connection_id, lead_ids)


async def find_stages(
    session: Session, deals: Iterable[tuple[UUID, int]]
) -> dict[tuple[UUID, int], tuple[int | None, int | None]]:
    """Return pipeline and stage of each deal (connection, number) that the mirror knows."""
    wanted = list(deals)
    return await store.select_stages(session, wanted) if wanted else {}


async def get_contact_card(session: Session, connection_id: UUID, contact_id: int) -> ContactCard | None:
    """Return what the mirror knows of a contact; None if it has none, or one that was to be forgotten."""
    row = await store.select_contact(session, connection_id, contact_id)
    if row is None:
        return None
    return ContactCard(
        row["name"],
        tuple(row["phones"]),
        tuple(row["emails"]),
        row["responsible"] or "",
        tuple(row["tags"]),
        unpack(row["fields"]),
    )


async def find_reach(session: Session, connection_id: UUID, contact_id: int) -> tuple[str, str]:
    """Return a contact's first e-mail address and phone, empty where the mirror has none."""
    return await store.select_reach(session, connection_id, contact_id)


async def erase_contacts(session: Session, connection_id: UUID, contact_ids: Sequence[int]) -> None:
    """Forget who these contacts are. Their numbers stay, so that no run copies them or their deals again."""
    for contact_id in sorted(contact_ids):
        await store.erase_contact(session, connection_id, contact_id)


async def forget_contacts(session: Session, age: timedelta, limit: int) -> int:
    """Delete copies of contacts that no run has renewed for so long. Returns how many went."""
    return await store.forget_contacts(session, age, limit)


async def welcome_back(session: Session, event: MessageArrived) -> None:
    """A customer who was forgotten and writes again is known again."""
    message = event.message
    if message.author == "customer" and message.contact_id is not None:
        await store.lift_erasure(session, event.connection_id, message.contact_id)
