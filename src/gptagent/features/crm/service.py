"""Verbs of the CRM feature: connections and the mirror; and those of its areas."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gptagent.features.crm import store
from gptagent.features.crm.connecting.accounts import destination
from gptagent.features.crm.connecting.service import (
    HOOK_PURPOSE,
    OFF,
    TOKEN_PURPOSE,
    BrokenConnection,
    ConnectCrm,
    change_connection,
    check_works,
    connect_crm,
    disconnect_crm,
    list_broken,
    mark_broken,
    open_link,
    read_host,
    to_connection,
    unhook_crm,
)
from gptagent.features.crm.deliveries.service import get_health, receive_webhook
from gptagent.features.crm.entities.model import ContactCard
from gptagent.features.crm.entities.service import (
    contacts_of_leads,
    erase_contacts,
    find_reach,
    find_stages,
    forget_contacts,
    get_contact_card,
)
from gptagent.features.crm.mirror.model import CHANNELS, MirroredField, MirroredPipeline, MirroredUser
from gptagent.features.crm.mirror.service import (
    list_channels,
    list_fields,
    list_pipelines,
    list_salesbots,
    list_tags,
    list_users,
)
from gptagent.features.crm.model import (
    Connection,
    Hook,
    Lead,
)
from gptagent.features.crm.promises import PERFORM_TASK, owe_task
from gptagent.features.crm.store import hash_secret
from gptagent.features.crm.values import FieldValue, unpack
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Session
from gptagent.kernel.errors import NotFound
from gptagent.kernel.paging import Page, orders

ORDERS = orders(name="name")
__all__ = [
    "CHANNELS",
    "HOOK_PURPOSE",
    "OFF",
    "ORDERS",
    "PERFORM_TASK",
    "TOKEN_PURPOSE",
    "BrokenConnection",
    "ConnectCrm",
    "ContactCard",
    "FieldValue",
    "Hook",
    "LeadCard",
    "MirroredField",
    "MirroredPipeline",
    "MirroredUser",
    "change_connection",
    "check_works",
    "connect_crm",
    "contacts_of_leads",
    "disconnect_crm",
    "erase_contacts",
    "find_hook",
    "find_reach",
    "find_stages",
    "forget_contacts",
    "get_connection",
    "get_contact_card",
    "get_health",
    "get_lead_card",
    "hash_secret",
    "hold_connection",
    "list_broken",
    "list_channels",
    "list_connections",
    "list_fields",
    "list_pipelines",
    "list_salesbots",
    "list_tags",
    "list_users",
    "mark_broken",
    "open_hook",
    "open_link",
    "owe_task",
    "page_connections",
    "read_host",
    "receive_webhook",
    "save_lead",
    "unhook_crm",
]


async def list_connections(session: Session) -> list[Connection]:
    return [to_connection(row) for row in await store.select_connections(session)]


async def page_connections(
    session: Session, page: Page, *, status: str | None = None
) -> tuple[list[Connection], str | None]:
    """Return a page of the connections, and the cursor of the next one if there is more."""
    found = [to_connection(row) for row in await store.select_page(session, page, status)]
    return page.cut(found, lambda one: (getattr(one, page.order.column), one.id))


async def get_connection(session: Session, connection_id: UUID, *, lock: bool = False) -> Connection:
    """Raise NotFound if the workspace has no such connection. `lock` keeps it from being changed."""
    find = store.lock_connection if lock else store.select_connection
    row = await find(session, connection_id)
    if row is None:
        raise NotFound
    return to_connection(row)


async def hold_connection(session: Session, connection_id: UUID) -> None:
    """Keep it from being disconnected until the commit. Comes before all other locks; raises NotFound."""
    if not await store.hold_connection(session, connection_id):
        raise NotFound


async def find_hook(session: Session, secret: str) -> Hook | None:
    """Find whose webhook path this is; None for an unknown one."""
    row = await store.connection_by_hook(session, hash_secret(secret))
    return Hook(row["org_id"], row["connection_id"], row["account_id"]) if row else None


async def open_hook(session: Session, connection_id: UUID, vault: Vault, public_url: str) -> str:
    """Return the address the CRM reports to, its secret opened. Raises NotFound."""
    row = await store.select_connection(session, connection_id)
    if row is None:
        raise NotFound
    secret = vault.open(row["hook_sealed"], org_id=session.scope.org_id, purpose=HOOK_PURPOSE)
    return destination(public_url, secret)


async def save_lead(session: Session, connection_id: UUID, lead: Lead, *, now: datetime) -> None:
    await store.upsert_lead(session, connection_id, lead, now)


@dataclass(frozen=True, slots=True)
class LeadCard:
    """A lead as the mirror knows it, with the names of its pipeline and stage.

    `price` is in whole units of `currency` (ISO 4217), which is None if the account has not told it.
    """

    id: int
    name: str | None
    price: int | None
    pipeline: str | None
    stage: str | None
    responsible_user_id: int | None
    is_fresh: bool
    fields: tuple[FieldValue, ...] = ()
    pipeline_id: int | None = None
    stage_id: int | None = None
    responsible: str = ""
    tags: tuple[str, ...] = ()
    has_contact: bool = False
    currency: str | None = None

    @property
    def facts(self) -> list[tuple[str, str]]:
        """Return name and value of each field that has something to show."""
        return [(one.name, one.text) for one in self.fields if one.text]


async def get_lead_card(session: Session, connection_id: UUID, lead_id: int) -> LeadCard | None:
    row = await store.select_lead(session, connection_id, lead_id)
    if row is None:
        return None
    return LeadCard(
        row["external_id"],
        row["name"],
        row["price"],
        row["pipeline"],
        row["stage"],
        row["responsible_user_id"],
        row["fetched_at"] is not None,
        unpack(row["fields"]),
        row["pipeline_id"],
        row["stage_id"],
        row["responsible"] or "",
        tuple(row["tags"]),
        row["has_contact"],
        row["currency"],
    )
