"""Integrations, grants and what a token says of itself."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import NAMESPACE_URL, UUID, uuid5

from gptagent.features.crm.model import Brand
from gptagent.kernel.errors import FieldError, Invalid

BRANDS: tuple[Brand, ...] = get_args(Brand)
AccessKind = Literal["long_lived", "oauth"]
CONSENT_LIFE = timedelta(minutes=10)
RENEW_AT = (
    0.8  # of an access token's life: the vendor's is a day, so no grant ever nears its three idle months
)
SECRET_END_CHARS = 4
CLIENT_MAX_CHARS = 100
SECRET_MAX_CHARS = 500
INTEGRATIONS_MAX = 20
CALLBACK = "/oauth/kommo"
DISCONNECT_HOOK = "/oauth/kommo/disconnect"

# What to tick in the integration, by the vendor's code: what it is called there, and what it is for.
SCOPES: Mapping[str, tuple[str, str]] = {
    "crm": ("Access to account data", "to read deals, contacts and pipelines"),
    "notifications": ("Access to notifications", "to hear of new messages"),
    "files": ("Access to files", "to send and receive files"),
    "list_external_messages": ("Reading messages of external chats", "to read a chat back"),
    "send_external_messages": ("Sending to external chats", "to answer customers"),
}
# Why a connection does not work, by the code it was marked with, and what to do.
REASONS: Mapping[str, str] = {
    "crm_unauthorized": "The CRM no longer accepts the token. Connect the account again.",
    "crm_keys_missing": "The keys of the integration were removed here. Enter them and connect again.",
    "crm_removed": "The integration was removed in the CRM. Install it there and connect again.",
    "crm_scope": "The token lacks rights. Create one with access to chats, deals and notifications.",
    "crm_payment_required": "The plan of the CRM account does not allow webhooks. Change the plan there.",
    "crm_rejected": "The CRM refused our address for webhooks. It must be reachable from the internet.",
}
OTHER_REASON = "The CRM could not be asked to report messages. Connect again in a moment."


@dataclass(frozen=True, slots=True)
class Credentials:
    """What an integration proves itself with."""

    brand: Brand
    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """An answer of the token endpoint. `life` is the access token's."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    life: timedelta


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a token says of itself; nobody has verified it. None: it does not say."""

    client_id: str | None = None
    account_id: int | None = None
    expires_at: datetime | None = None
    scopes: tuple[str, ...] | None = None
    api_domain: str | None = None


@dataclass(frozen=True, slots=True)
class Integration:
    """An integration as its owners see it: of the secret only the last characters.

    `is_shared`: the installation's, which workspaces without one of their own use.
    """

    id: UUID
    brand: Brand
    client_id: str
    secret_end: str
    is_shared: bool = False
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewIntegration:
    """What a person enters. An empty secret keeps the one there is."""

    brand: str
    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Consent:
    """A consent that was asked for.

    `session_id`: the log-in it comes back to; None: any of the person's. `person_id`: who asked; None: a
    program with a key, and anybody comes back who has the right in the workspace.
    """

    org_id: UUID
    person_id: UUID | None
    session_id: UUID | None
    brand: Brand
    client_id: str


@dataclass(frozen=True, slots=True)
class Returned:
    """What the CRM sent the browser back with."""

    code: str = field(repr=False)
    referer: str
    client_id: str = ""


def shared_integration(keys: Credentials) -> Integration:
    """Return the installation's integration of a brand; its id is the same after every start."""
    id_ = uuid5(NAMESPACE_URL, f"{keys.brand}|{keys.client_id}")
    return Integration(id_, keys.brand, keys.client_id, keys.secret[-SECRET_END_CHARS:], is_shared=True)


def read_integration(new: NewIntegration, *, needs_secret: bool = True) -> Credentials:
    """Return what was entered. Raises Invalid naming every wrong field."""
    brand = next((known for known in BRANDS if known == new.brand), None)
    client_id, secret = new.client_id.strip(), new.secret.strip()
    faults = []
    if brand is None:
        faults.append(FieldError("brand", "Choose one of the offered values."))
    if not _is_word(client_id, CLIENT_MAX_CHARS):
        faults.append(FieldError("client_id", "Paste the integration ID exactly as the CRM shows it."))
    if (secret or needs_secret) and not _is_word(secret, SECRET_MAX_CHARS):
        faults.append(FieldError("client_secret", "Paste the secret key exactly as the CRM shows it."))
    if faults or brand is None:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
    return Credentials(brand, client_id, secret)


def _is_word(text: str, most: int) -> bool:
    return 0 < len(text) <= most and all("!" <= char <= "~" for char in text)


def disconnect_signature(keys: Credentials, account_id: int) -> str:
    """Return what the vendor signs a disconnect hook with (amocrm.ru/developers, oauth/step-by-step)."""
    message = f"{keys.client_id}|{account_id}".encode()
    return hmac.new(keys.secret.encode(), message, hashlib.sha256).hexdigest()


def lacking(scopes: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the scopes we need and the token does not have; none if it does not say."""
    return () if scopes is None else tuple(code for code in SCOPES if code not in scopes)
