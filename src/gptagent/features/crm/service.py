"""Verbs of the CRM feature: connect, receive webhooks, keep the mirror, owe tasks."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.crm import store
from gptagent.features.crm.entities.service import (
    contacts_of_leads,
    erase_contacts,
    forget_contacts,
)
from gptagent.features.crm.events import DeliveryOpened, LeadMoved, MessageArrived, TalkSeen
from gptagent.features.crm.mirror import store as mirror
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
    CrmAccount,
    CrmEvent,
    CrmLink,
    InboundMessage,
    Lead,
    LeadChanged,
    NewTask,
    OtherEvent,
    TalkChanged,
    Webhook,
)
from gptagent.features.crm.ports import CrmPort
from gptagent.features.crm.values import FieldValue, unpack
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Forbidden, Invalid, Misconfigured, NotFound, UpstreamUnavailable
from gptagent.kernel.events import Subscribers
from gptagent.kernel.ids import new_id, new_token
from gptagent.kernel.paging import Page, orders
from gptagent.kernel.scope import Scope

__all__ = [
    "CHANNELS",
    "contacts_of_leads",
    "erase_contacts",
    "forget_contacts",
    "list_channels",
    "list_fields",
    "list_pipelines",
    "list_salesbots",
    "list_tags",
    "list_users",
]

TOKEN_PURPOSE = "crm-token"  # noqa: S105 - names what is sealed
HOOK_PURPOSE = "crm-hook"
PERFORM_TASK = "crm.perform_task"
_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_DOMAINS = ("kommo.com", "amocrm.ru", "amocrm.com", "kommo.test", "amocrm.test")
ORDERS = orders(name="name")
MAX_TOKEN_CHARS = 8_000


@dataclass(frozen=True, slots=True)
class ConnectCrm:
    """`address` is what a person types: a subdomain, a host or a URL of the account."""

    address: str
    token: str


@dataclass(frozen=True, slots=True)
class Hook:
    """Where a webhook belongs, found by the secret of its path."""

    org_id: UUID
    connection_id: UUID
    account_id: int


def read_host(address: str) -> str:
    """Return the account's host from what a person typed. Raises Invalid on the field `address`."""
    text = address.strip().lower().removeprefix("https://").removeprefix("http://").split("/")[0]
    label, _, domain = text.partition(".")
    if not _LABEL.fullmatch(label) or (domain or "kommo.com") not in _DOMAINS:
        raise Invalid.field("address", "Enter the address of your account, like company.kommo.com.")
    return f"{label}.{domain or 'kommo.com'}"


async def connect_crm(
    db: Database, scope: Scope, command: ConnectCrm, *, crm: CrmPort, vault: Vault, public_url: str
) -> Connection:
    """Check the token against the CRM, store it sealed, mirror the pipelines, register the webhook.

    Raises Invalid on `address` or `token`, or what the CRM answered. Connecting an account again renews it.
    """
    link = CrmLink(scope.org_id, new_id(), read_host(command.address), _read_token(command.token))
    try:
        account = await crm.fetch_account(link)
    except Forbidden as error:
        raise Invalid.field(
            "token", "The CRM does not accept this token. Create a new one and paste it whole."
        ) from error
    except (NotFound, UpstreamUnavailable) as error:
        raise Invalid.field(
            "address", "No CRM account answers at this address. Check its spelling."
        ) from error
    pipelines = await crm.fetch_pipelines(link)
    async with db.session(scope) as session:
        connection_id, secret = await _store_connection(session, link, account, vault)
        await mirror.upsert_pipelines(session, connection_id, pipelines)
    stored = CrmLink(scope.org_id, connection_id, link.host, link.token, account.id)
    reason = await _register_webhook(crm, stored, _destination(public_url, secret))
    async with db.session(scope) as session:
        await store.update_status(session, connection_id, "broken" if reason else "connected", reason)
        await session.publish("connections", "changed", {"connection_id": str(connection_id)})
        is_new = connection_id == link.connection_id
        entry = Entry("connection.made" if is_new else "connection.renewed", "connection", str(connection_id))
        await audit.record(session, entry)
        return await get_connection(session, connection_id)


def _read_token(text: str) -> str:
    token = text.strip()
    if not token or len(token) > MAX_TOKEN_CHARS or not token.isascii() or any(c.isspace() for c in token):
        raise Invalid.field("token", "Paste the long-lived token exactly as the CRM shows it.")
    return token


async def _store_connection(
    session: Session, link: CrmLink, account: CrmAccount, vault: Vault
) -> tuple[UUID, str]:
    secret = new_token()
    org_id = session.scope.org_id
    connection_id = await store.insert_connection(
        session,
        {
            "id": link.connection_id,
            "provider": "kommo",
            "host": link.host,
            "account_id": account.id,
            "name": account.name,
            "token_sealed": vault.seal(link.token, org_id=org_id, purpose=TOKEN_PURPOSE),
            "hook_hash": hash_secret(secret),
            "hook_sealed": vault.seal(secret, org_id=org_id, purpose=HOOK_PURPOSE),
            "can_send_messages": account.can_send_messages,
        },
    )
    if connection_id is None or connection_id == link.connection_id:
        return link.connection_id, secret
    row = await store.select_connection(session, connection_id)  # renewed: its hook stays what it was
    if row is None:
        raise NotFound
    return connection_id, vault.open(row["hook_sealed"], org_id=org_id, purpose=HOOK_PURPOSE)


async def _register_webhook(crm: CrmPort, link: CrmLink, destination: str) -> str | None:
    """Return None, or the code of why the CRM will not tell us about messages."""
    try:
        await crm.register_webhook(link, destination)
    except AppError as error:  # too many calls and an answer that never came as well: the row stands already
        return error.code
    return None


def _destination(public_url: str, secret: str) -> str:
    return f"{public_url}/hooks/kommo/{secret}/"


async def unhook_crm(
    db: Database, scope: Scope, connection_id: UUID, *, crm: CrmPort, vault: Vault, public_url: str
) -> AppError | None:
    """Have the CRM forget our webhook, before the connection is forgotten here.

    Returns None, or why the CRM may go on calling: then nobody listens there. Secrets that do not open any
    more are such a reason: they keep nobody from disconnecting. Raises NotFound.
    """
    async with db.session(scope) as session:
        row = await store.select_connection(session, connection_id)
        if row is None:
            raise NotFound
        try:
            link = await open_link(session, connection_id, vault)
            secret = vault.open(row["hook_sealed"], org_id=scope.org_id, purpose=HOOK_PURPOSE)
        except Misconfigured as error:
            return error
    try:
        await crm.unregister_webhook(link, _destination(public_url, secret))
    except AppError as error:
        return error
    return None


def hash_secret(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


async def list_connections(session: Session) -> list[Connection]:
    return [_connection(row) for row in await store.select_connections(session)]


async def page_connections(
    session: Session, page: Page, *, status: str | None = None
) -> tuple[list[Connection], str | None]:
    """Return a page of the connections, and the cursor of the next one if there is more."""
    found = [_connection(row) for row in await store.select_page(session, page, status)]
    return page.cut(found, lambda one: (getattr(one, page.order.column), one.id))


async def get_connection(session: Session, connection_id: UUID, *, lock: bool = False) -> Connection:
    """Raise NotFound if the workspace has no such connection. `lock` keeps it from being changed."""
    find = store.lock_connection if lock else store.select_connection
    row = await find(session, connection_id)
    if row is None:
        raise NotFound
    return _connection(row)


def _connection(row: Record) -> Connection:
    return Connection(**{name: row[name] for name in Connection.__dataclass_fields__})


async def hold_connection(session: Session, connection_id: UUID) -> None:
    """Keep it from being disconnected until the commit. Comes before all other locks; raises NotFound."""
    if not await store.hold_connection(session, connection_id):
        raise NotFound


async def disconnect_crm(session: Session, connection_id: UUID) -> None:
    """Forget the connection, its token, mirror and conversations. Raises NotFound."""
    if not await store.delete_connection(session, connection_id):
        raise NotFound
    await session.publish("connections", "changed", {"connection_id": str(connection_id)})
    await audit.record(session, Entry("connection.removed", "connection", str(connection_id)))


async def open_link(session: Session, connection_id: UUID, vault: Vault) -> CrmLink:
    """Return what a call needs, with the token opened. Raises NotFound."""
    row = await store.select_connection(session, connection_id)
    if row is None:
        raise NotFound
    org_id = session.scope.org_id
    token = vault.open(row["token_sealed"], org_id=org_id, purpose=TOKEN_PURPOSE)
    return CrmLink(org_id, connection_id, row["host"], token, row["account_id"])


async def mark_broken(session: Session, link: CrmLink, vault: Vault, reason: str) -> None:
    """Note that the CRM refuses this link's token; the queue waits until the owner connects again.

    A token that was renewed since the link was opened is another one, and not refused.
    """
    row = await store.lock_connection(session, link.connection_id)
    if row is None:
        return
    token = vault.open(row["token_sealed"], org_id=session.scope.org_id, purpose=TOKEN_PURPOSE)
    if token == link.token and await store.update_status(session, link.connection_id, "broken", reason):
        await session.publish("connections", "changed", {"connection_id": str(link.connection_id)})


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
