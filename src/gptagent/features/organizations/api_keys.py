"""Verbs of the keys of a workspace's programs.

A key is 32 random bytes, so its hash is a plain SHA-256: hashes of passwords are slow because people choose
what can be guessed. A slow hash here would cost every request and win nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from asyncpg import Record

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.identity.service import hash_token
from gptagent.features.organizations import store
from gptagent.features.organizations.model import API_KEY_PREFIX, ApiKey, NewApiKey
from gptagent.features.organizations.policy import KEY_SCOPES
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, FieldError, Invalid, NotFound
from gptagent.kernel.ids import new_token
from gptagent.kernel.paging import Page, orders

NAME_MAX_CHARS = 100
DESCRIPTION_MAX_CHARS = 500
KEYS_MAX = 100  # in use at a time, of one workspace
LIFE_MAX_DAYS = 365
START_CHARS = len(API_KEY_PREFIX) + 6
END_CHARS = 4
ORDERS = orders(name="name")


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A key just made. `secret` is shown now and never again."""

    key: ApiKey
    secret: str


async def create_api_key(session: Session, key_id: UUID, new: NewApiKey, *, now: datetime) -> IssuedKey:
    """Make a key with some of the rights of whoever makes it.

    Raises Invalid naming every wrong field, Conflict if there are too many keys or this one was made already.
    """
    clean = _checked(session, new)
    if await store.count_api_keys(session, now) >= KEYS_MAX:
        raise Conflict(
            "api_keys_too_many", "There are {limit} keys already. Revoke some.", params={"limit": KEYS_MAX}
        )
    secret = API_KEY_PREFIX + new_token()
    expires_at = now + timedelta(days=clean.life_days) if clean.life_days else None
    made = await store.insert_api_key(
        session,
        key_id,
        clean.name,
        clean.description,
        hash_token(secret),
        secret[:START_CHARS],
        secret[-END_CHARS:],
        sorted(clean.scopes),
        session.scope.actor.id,
        now,
        expires_at,
    )
    if not made:
        raise Conflict("api_key_exists", "This key was made already.")
    changes = {"name": None, "scopes": (None, sorted(clean.scopes)), "expires_at": (None, expires_at)}
    await audit.record(session, Entry("api_key.created", "api_key", str(key_id), changes))
    return IssuedKey(await get_api_key(session, key_id), secret)


async def revoke_api_key(session: Session, key_id: UUID, *, now: datetime) -> None:
    """Make the key useless from this commit on; a second time changes nothing. Raises NotFound."""
    await get_api_key(session, key_id)
    if await store.revoke_api_key(session, key_id, now):
        await audit.record(
            session, Entry("api_key.revoked", "api_key", str(key_id), {"revoked_at": (None, now)})
        )


async def get_api_key(session: Session, key_id: UUID, *, lock: bool = False) -> ApiKey:
    """Raise NotFound if the workspace has no such key. `lock` keeps it from being changed."""
    row = await store.select_api_key(session, key_id, lock=lock)
    if row is None:
        raise NotFound
    return _key(row)


async def page_api_keys(
    session: Session, page: Page, *, in_use: bool | None = None
) -> tuple[list[ApiKey], str | None]:
    """Return a page of the keys, and the cursor of the next one if there is more."""
    found = [_key(row) for row in await store.select_api_keys(session, page, in_use)]
    return page.cut(found, lambda key: (getattr(key, page.order.column), key.id))


def _checked(session: Session, new: NewApiKey) -> NewApiKey:
    clean = NewApiKey(new.name.strip(), new.description.strip(), new.scopes, new.life_days)
    faults = []
    if not 1 <= len(clean.name) <= NAME_MAX_CHARS:
        limits = {"low": 1, "high": NAME_MAX_CHARS}
        faults.append(FieldError("name", "From {low} to {high} characters.", limits))
    if len(clean.description) > DESCRIPTION_MAX_CHARS:
        limits = {"low": 0, "high": DESCRIPTION_MAX_CHARS}
        faults.append(FieldError("description", "From {low} to {high} characters.", limits))
    if not clean.scopes:
        faults.append(FieldError("scopes", "Choose at least one right."))
    elif not clean.scopes <= KEY_SCOPES & session.scope.permissions:
        refusal = "A key may have rights you have yourself, and none over people or keys."
        faults.append(FieldError("scopes", refusal))
    if clean.life_days is not None and not 1 <= clean.life_days <= LIFE_MAX_DAYS:
        limits = {"low": 1, "high": LIFE_MAX_DAYS}
        faults.append(FieldError("expires_in_days", "A whole number from {low} to {high}.", limits))
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
    return clean


def _key(row: Record) -> ApiKey:
    values = dict(row)
    return ApiKey(**{**values, "scopes": tuple(sorted(set(values["scopes"]) & KEY_SCOPES))})
