"""Verbs of connected accounts: connect by a token or a grant, disconnect, be removed in the CRM."""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from asyncpg import Record

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.crm import store as crm_store
from gptagent.features.crm.connecting import store
from gptagent.features.crm.connecting.keys import Keys
from gptagent.features.crm.connecting.links import TOKEN_PURPOSE, break_connection, open_link
from gptagent.features.crm.connecting.model import (
    CALLBACK,
    DISCONNECT_HOOK,
    RENEW_AT,
    Credentials,
    TokenPair,
    disconnect_signature,
)
from gptagent.features.crm.events import AccountConnected
from gptagent.features.crm.mirror import store as mirror
from gptagent.features.crm.model import Brand, Connection, CrmAccount, CrmLink, brand_of
from gptagent.features.crm.ports import CrmPort
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import (
    AppError,
    Conflict,
    Forbidden,
    Invalid,
    Misconfigured,
    NotFound,
    UpstreamUnavailable,
)
from gptagent.kernel.events import Subscribers
from gptagent.kernel.ids import new_id, new_token
from gptagent.kernel.scope import Actor, Scope

HOOK_PURPOSE = "crm-hook"
REFRESH_PURPOSE = "crm-refresh"
MAX_TOKEN_CHARS = 8_000
_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_DOMAINS = ("kommo.com", "amocrm.ru", "amocrm.com", "kommo.test", "amocrm.test")


@dataclass(frozen=True, slots=True)
class ConnectCrm:
    """`address` is what a person types: a subdomain, a host or a URL of the account."""

    address: str
    token: str


@dataclass(frozen=True, slots=True)
class Connecting:
    """What connecting needs. `shared` are the installation's own integrations, by brand."""

    db: Database
    crm: CrmPort
    vault: Vault
    public_url: str
    subscribers: Subscribers = field(default_factory=Subscribers)
    shared: Mapping[Brand, Credentials] = field(default_factory=dict)

    @property
    def keys(self) -> Keys:
        return Keys(self.vault, self.shared)

    @property
    def redirect_uri(self) -> str:
        return self.public_url + CALLBACK

    @property
    def disconnect_hook(self) -> str:
        return self.public_url + DISCONNECT_HOOK


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
    """Connect where nobody listens: see `connect_account`."""
    return await connect_account(Connecting(db, crm, vault, public_url), scope, command)


async def connect_account(door: Connecting, scope: Scope, command: ConnectCrm) -> Connection:
    """Check a long-lived token against the CRM, store it sealed, mirror the pipelines, register the webhook.

    Raises Invalid on `address` or `token`, Conflict for another workspace's account, or what the CRM
    answered. Connecting an account again renews it.
    """
    link = CrmLink(scope.org_id, new_id(), read_host(command.address), _read_token(command.token))
    try:
        account = await door.crm.fetch_account(link)
    except Forbidden as error:
        raise Invalid.field(
            "token", "The CRM does not accept this token. Create a new one and paste it whole."
        ) from error
    except (NotFound, UpstreamUnavailable) as error:
        raise Invalid.field(
            "address", "No CRM account answers at this address. Check its spelling."
        ) from error
    return await keep_account(door, scope, link, account)


def _read_token(text: str) -> str:
    token = text.strip()
    if not token or len(token) > MAX_TOKEN_CHARS or not token.isascii() or any(c.isspace() for c in token):
        raise Invalid.field("token", "Paste the long-lived token exactly as the CRM shows it.")
    return token


@dataclass(frozen=True, slots=True)
class Granted:
    """What a consent gave, and the integration it was given to."""

    keys: Credentials
    pair: TokenPair


@dataclass(frozen=True, slots=True)
class _Kept:
    """A stored connection. `secret` is of its webhook's address."""

    id: UUID
    secret: str
    is_new: bool


async def keep_account(
    door: Connecting,
    scope: Scope,
    link: CrmLink,
    account: CrmAccount,
    granted: Granted | None = None,
) -> Connection:
    """Store an account whose token works, tell who listens, register the webhook.

    `granted` is what renews the token. Raises Conflict if another workspace has the account.
    """
    pipelines = await door.crm.fetch_pipelines(link)
    async with door.db.session(scope) as session:
        kept = await _keep(session, door, link, account, granted)
        await mirror.upsert_pipelines(session, kept.id, pipelines)
        await door.subscribers.publish(session, AccountConnected(kept.id))
    stored = CrmLink(scope.org_id, kept.id, link.host, link.token, account.id)
    reason = await _register_webhook(door.crm, stored, destination(door.public_url, kept.secret))
    async with door.db.session(scope) as session:
        if reason:
            await crm_store.update_status(session, kept.id, "broken", reason)
        await session.publish("connections/health", "changed", {"connection_id": str(kept.id)})
        entry = Entry("connection.made" if kept.is_new else "connection.renewed", "connection", str(kept.id))
        await audit.record(session, entry)
        row = await crm_store.select_connection(session, kept.id)
        if row is None:  # disconnected meanwhile
            raise NotFound
        return to_connection(row)


async def _keep(
    session: Session, door: Connecting, link: CrmLink, account: CrmAccount, granted: Granted | None
) -> _Kept:
    brand = brand_of(link.host)
    if await store.hold_account(session, brand, account.id):
        raise Conflict(
            "crm_account_taken",
            "This CRM account is connected elsewhere already. Disconnect it there first.",
        )
    await store.lock_grant_of_account(session, brand, account.id)
    kept = await _store_connection(session, door, link, account, granted)
    if granted is None:
        await store.delete_grant(session, kept.id)
    else:
        await keep_pair(session, kept.id, granted.pair, door.vault)
    return kept


async def keep_pair(session: Session, connection_id: UUID, pair: TokenPair, vault: Vault) -> None:
    """Store what renews a connection's token, and when that is due."""
    sealed = vault.seal(pair.refresh, org_id=session.scope.org_id, purpose=REFRESH_PURPOSE)
    now = utcnow()
    await store.upsert_grant(session, connection_id, sealed, now, now + RENEW_AT * pair.life)


async def _store_connection(
    session: Session, door: Connecting, link: CrmLink, account: CrmAccount, granted: Granted | None
) -> _Kept:
    secret, facts, org_id = new_token(), door.crm.read_token(link.token), session.scope.org_id
    expires_at, client_id = facts.expires_at, facts.client_id
    if granted is not None:
        expires_at, client_id = utcnow() + granted.pair.life, granted.keys.client_id
    connection_id = await crm_store.insert_connection(
        session,
        {
            "id": link.connection_id,
            "provider": "kommo",
            "host": link.host,
            "account_id": account.id,
            "name": account.name,
            "token_sealed": door.vault.seal(link.token, org_id=org_id, purpose=TOKEN_PURPOSE),
            "hook_hash": crm_store.hash_secret(secret),
            "hook_sealed": door.vault.seal(secret, org_id=org_id, purpose=HOOK_PURPOSE),
            "can_send_messages": account.can_send_messages,
            "client_id": client_id,
            "access_kind": "oauth" if granted else "long_lived",
            "access_expires_at": expires_at,
            "scopes": list(facts.scopes) if facts.scopes is not None else None,
            "currency": account.currency,
        },
    )
    if connection_id is None or connection_id == link.connection_id:
        return _Kept(link.connection_id, secret, is_new=True)
    row = await crm_store.select_connection(session, connection_id)  # renewed: its hook stays what it was
    if row is None:
        raise NotFound
    held = door.vault.open(row["hook_sealed"], org_id=org_id, purpose=HOOK_PURPOSE)
    return _Kept(connection_id, held, is_new=False)


async def _register_webhook(crm: CrmPort, link: CrmLink, address: str) -> str | None:
    """Return None, or the code of why the CRM will not tell us about messages."""
    try:
        await crm.register_webhook(link, address)
    except AppError as error:  # too many calls and an answer that never came as well: the row stands already
        return error.code
    return None


def destination(public_url: str, secret: str) -> str:
    """Return where the CRM reports a connection's events."""
    return f"{public_url}/hooks/kommo/{secret}/"


def to_connection(row: Record) -> Connection:
    return Connection(**{name: row[name] for name in Connection.__dataclass_fields__})


async def unhook_crm(
    db: Database, scope: Scope, connection_id: UUID, *, crm: CrmPort, vault: Vault, public_url: str
) -> AppError | None:
    """Have the CRM forget our webhook, before the connection is forgotten here.

    Returns None, or why the CRM may go on calling: then nobody listens there. Secrets that do not open any
    more are such a reason: they keep nobody from disconnecting. Raises NotFound.
    """
    async with db.session(scope) as session:
        row = await crm_store.select_connection(session, connection_id)
        if row is None:
            raise NotFound
        try:
            link = await open_link(session, connection_id, vault, while_off=True)
            secret = vault.open(row["hook_sealed"], org_id=scope.org_id, purpose=HOOK_PURPOSE)
        except Misconfigured as error:
            return error
    try:
        await crm.unregister_webhook(link, destination(public_url, secret))
    except AppError as error:
        return error
    return None


async def disconnect_crm(session: Session, connection_id: UUID) -> None:
    """Forget the connection, its tokens, mirror and conversations. Raises NotFound."""
    await store.lock_grant(session, connection_id)
    if not await crm_store.delete_connection(session, connection_id):
        raise NotFound
    await session.publish("connections/health", "changed", {"connection_id": str(connection_id)})
    await audit.record(session, Entry("connection.removed", "connection", str(connection_id)))


async def remove_in_crm(door: Connecting, client_id: str, account_id: int, signature: str) -> bool:
    """The CRM says that an account has removed our integration: forget its tokens.

    Returns False, and does nothing, unless the integration's own secret has signed it.
    """
    async with door.db.installation() as session:
        found = await store.connections_of(session, client_id, account_id)
    done = False
    for row in found:
        async with door.db.session(Scope(row["org_id"], Actor("crm"))) as session:
            keys = await door.keys.find(session, row["brand"], client_id)
            if keys is None or not _same(disconnect_signature(keys, account_id), signature):
                continue
            await _forget_token(session, row["connection_id"], door.vault)
            done = True
    return done


def _same(expected: str, given: str) -> bool:
    return hmac.compare_digest(expected.encode(), given.lower().encode())


async def _forget_token(session: Session, connection_id: UUID, vault: Vault) -> None:
    await store.lock_grant(session, connection_id)
    await store.delete_grant(session, connection_id)
    row = await crm_store.lock_connection(session, connection_id)
    if row is None:
        return
    nothing = vault.seal("", org_id=session.scope.org_id, purpose=TOKEN_PURPOSE)
    await store.update_token(
        session, connection_id, host=row["host"], sealed=nothing, expires_at=None, scopes=None
    )
    await break_connection(session, connection_id, "crm_removed")
