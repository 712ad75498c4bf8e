"""Keys of programs that administer the platform."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from gptagent.features.admin import store
from gptagent.features.admin.model import KEY_LIVES, KEY_NAME_MAX_CHARS, PlatformKey
from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.identity.service import hash_token
from gptagent.features.organizations.model import API_KEY_PREFIX
from gptagent.features.organizations.policy import PLATFORM_IMPERSONATE, PLATFORM_PERMISSIONS
from gptagent.kernel.db import Session
from gptagent.kernel.errors import FieldError, Invalid, NotFound
from gptagent.kernel.ids import new_id, new_token

# Looking through a person's eyes takes a browser, so no key can be given that right.
SCOPES = tuple(sorted(PLATFORM_PERMISSIONS - {PLATFORM_IMPERSONATE}))
SHOWN_CHARS = 4


async def create_key(
    session: Session, name: str, scopes: Collection[str], days: int, *, now: datetime
) -> tuple[UUID, str]:
    """Return the key's id and the key, which is shown this once. Raises Invalid naming every wrong field."""
    clean = name.strip()
    _check(clean, scopes, days)
    key_id, key = new_id(), API_KEY_PREFIX + new_token()
    expires_at = now + timedelta(days=days)
    held = sorted(scopes)
    ends = key[: len(API_KEY_PREFIX) + SHOWN_CHARS], key[-SHOWN_CHARS:]
    await store.insert_key(
        session, key_id, clean, hash_token(key), ends=ends, scopes=held, expires_at=expires_at
    )
    changes = {"scopes": (None, held), "expires_at": (None, expires_at.isoformat())}
    await audit.record(session, Entry("platform_key.created", "platform_key", str(key_id), changes))
    return key_id, key


async def list_keys(session: Session) -> list[PlatformKey]:
    """Return all keys, the newest first, the revoked among them."""
    return [
        PlatformKey(**{**dict(row), "scopes": frozenset(row["scopes"])}) for row in await store.keys(session)
    ]


async def revoke_key(session: Session, key_id: UUID) -> None:
    """Make a key worth nothing from the next request on. Raises NotFound."""
    if await store.revoke_key(session, key_id) is None:
        raise NotFound
    await audit.record(session, Entry("platform_key.revoked", "platform_key", str(key_id)))


def _check(name: str, scopes: Collection[str], days: int) -> None:
    faults = []
    if not 1 <= len(name) <= KEY_NAME_MAX_CHARS:
        limits = {"low": 1, "high": KEY_NAME_MAX_CHARS}
        faults.append(FieldError("name", "From {low} to {high} characters.", limits))
    if not scopes or not set(scopes) <= set(SCOPES):
        faults.append(FieldError("scopes", "Choose at least one of the offered rights."))
    if days not in KEY_LIVES:
        faults.append(FieldError("days", "Choose one of the offered values."))
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
