"""Verbs of the CRM feature: receive webhooks, keep the mirror, owe tasks; and those of its areas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gptagent.features.crm import store
from gptagent.features.crm.connecting.service import (
    HOOK_PURPOSE,
    TOKEN_PURPOSE,
    BrokenConnection,
    ConnectCrm,
    connect_crm,
    disconnect_crm,
    list_broken,
    mark_broken,
    open_link,
    read_host,
    to_connection,
    unhook_crm,
)
from gptagent.features.crm.entities.service import (
    contacts_of_leads,
    erase_contacts,
    forget_contacts,
)
from gptagent.features.crm.events import DeliveryOpened, LeadMoved, MessageArrived, TalkSeen
from gptagent.features.crm.mirror.model import CHANNELS
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
    CrmEvent,
    InboundMessage,
    Lead,
    LeadChanged,
    NewTask,
    OtherEvent,
    TalkChanged,
    Webhook,
)
from gptagent.features.crm.store import hash_secret
from gptagent.features.crm.values import FieldValue, unpack
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Forbidden, NotFound
from gptagent.kernel.events import Subscribers
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page, orders

PERFORM_TASK = "crm.perform_task"
ORDERS = orders(name="name")
__all__ = [
    "CHANNELS",
    "HOOK_PURPOSE",
    "ORDERS",
    "PERFORM_TASK",
    "TOKEN_PURPOSE",
    "BrokenConnection",
    "ConnectCrm",
    "Hook",
    "LeadCard",
    "connect_crm",
    "contacts_of_leads",
    "disconnect_crm",
    "erase_contacts",
    "find_hook",
    "forget_contacts",
    "get_connection",
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
    "open_link",
    "owe_task",
    "page_connections",
    "read_host",
    "receive_webhook",
    "save_lead",
    "unhook_crm",
]


@dataclass(frozen=True, slots=True)
class Hook:
    """Where a webhook belongs, found by the secret of its path."""

    org_id: UUID
    connection_id: UUID
    account_id: int


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


async def receive_webhook(
    session: Session, hook: Hook, webhook: Webhook, subscribers: Subscribers, *, now: datetime
) -> None:
    """Store what a delivery says and tell who listens. Raises Forbidden if it names another account."""
    if webhook.account_id is not None and webhook.account_id != hook.account_id:
        raise Forbidden("crm_wrong_account", "This address belongs to another account.")
    await hold_connection(session, hook.connection_id)
    others: list[tuple[str, Mapping[str, object]]] = []
    events = sorted(webhook.events, key=_lock_place)
    await subscribers.publish(session, _opened(hook.connection_id, events))
    for event in events:
        match event:
            case InboundMessage():
                await subscribers.publish(session, MessageArrived(hook.connection_id, event))
            case LeadChanged():
                if await store.merge_lead(session, hook.connection_id, event):
                    await subscribers.publish(session, LeadMoved(hook.connection_id, event.lead_id))
            case TalkChanged(chat_id=str(chat_id)):
                seen = TalkSeen(hook.connection_id, chat_id, event.talk_id, event.lead_id, event.is_open)
                await subscribers.publish(session, seen)
            case TalkChanged():
                others.append(("talk", {"talk_id": event.talk_id}))
            case OtherEvent():
                others.append((event.kind, event.payload))
    if others:
        await store.insert_events(session, hook.connection_id, others)
    await store.touch_webhook(session, hook.connection_id, now)


def _lock_place(event: CrmEvent) -> tuple[int, int, str]:
    """Leads first, then chat by chat, each in the body's order: all deliveries lock in one order."""
    match event:
        case LeadChanged():
            return 0, event.lead_id, ""
        case InboundMessage(chat_id=str(chat_id)) | TalkChanged(chat_id=str(chat_id)):
            return 1, 0, chat_id
    return 2, 0, ""


def _opened(connection_id: UUID, events: Sequence[CrmEvent]) -> DeliveryOpened:
    chats = {e.chat_id for e in events if isinstance(e, InboundMessage | TalkChanged) and e.chat_id}
    leads = {e.lead_id for e in events if isinstance(e, LeadChanged)}
    return DeliveryOpened(connection_id, tuple(chats), tuple(leads))


async def save_lead(session: Session, connection_id: UUID, lead: Lead, *, now: datetime) -> None:
    await store.upsert_lead(session, connection_id, lead, now)


@dataclass(frozen=True, slots=True)
class LeadCard:
    """A lead as the mirror knows it, with the names of its pipeline and stage."""

    id: int
    name: str | None
    price: int | None
    pipeline: str | None
    stage: str | None
    responsible_user_id: int | None
    is_fresh: bool
    fields: tuple[FieldValue, ...] = ()

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
    )


async def owe_task(session: Session, connection_id: UUID, task: NewTask) -> None:
    """Promise a task on a deal: its job leaves with this transaction and makes it exactly once."""
    task_id = new_id()
    await store.insert_task(session, task_id, connection_id, task)
    await session.enqueue(PERFORM_TASK, {"task_id": str(task_id)})
