"""Verbs of the CRM feature: connect, receive webhooks, keep the mirror, owe tasks."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from asyncpg import Record

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.crm import store
from gptagent.features.crm.deliveries.service import PROCESS as PROCESS_DELIVERY
from gptagent.features.crm.deliveries.service import get_health, receive_webhook
from gptagent.features.crm.model import (
    Connection,
    CrmAccount,
    CrmLink,
    Hook,
    Lead,
)
from gptagent.features.crm.ports import CrmPort
from gptagent.features.crm.promises import PERFORM_TASK, owe_task
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Forbidden, Invalid, Misconfigured, NotFound, UpstreamUnavailable
from gptagent.kernel.ids import new_id, new_token
from gptagent.kernel.paging import Page, orders
from gptagent.kernel.scope import Scope

__all__ = [
    "PERFORM_TASK",
    "PROCESS_DELIVERY",
    "Hook",
    "get_health",
    "owe_task",
    "receive_webhook",
]

TOKEN_PURPOSE = "crm-token"  # noqa: S105 - names what is sealed
HOOK_PURPOSE = "crm-hook"
_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_DOMAINS = ("kommo.com", "amocrm.ru", "amocrm.com", "kommo.test", "amocrm.test")
ORDERS = orders(name="name")
MAX_TOKEN_CHARS = 8_000


@dataclass(frozen=True, slots=True)
class ConnectCrm:
    """`address` is what a person types: a subdomain, a host or a URL of the account."""

    address: str
    token: str


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
        await store.upsert_pipelines(session, connection_id, pipelines)
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


async def open_hook(session: Session, connection_id: UUID, vault: Vault, public_url: str) -> str:
    """Return the address the CRM reports to, its secret opened. Raises NotFound."""
    row = await store.select_connection(session, connection_id)
    if row is None:
        raise NotFound
    secret = vault.open(row["hook_sealed"], org_id=session.scope.org_id, purpose=HOOK_PURPOSE)
    return _destination(public_url, secret)


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
    )


@dataclass(frozen=True, slots=True)
class MirroredPipeline:
    """A pipeline of the mirror with the names of its stages, in the CRM's order."""

    connection_id: UUID
    id: int
    name: str
    stages: tuple[str, ...]


async def list_pipelines(session: Session) -> list[MirroredPipeline]:
    """Return the pipelines of all connections, in the CRM's order."""
    return [MirroredPipeline(**dict(row)) for row in await store.select_pipelines(session)]
