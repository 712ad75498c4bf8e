"""Verbs of the record: append, read, erase a person's values."""

import base64
import json
import os
from collections.abc import Mapping, Sequence
from uuid import UUID

from asyncpg import Record

from gptagent.features.audit import store
from gptagent.features.audit.model import Entry, Named, Recorded, Wanted
from gptagent.features.audit.sentences import FIELDS, SENTENCES
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Session
from gptagent.kernel.scope import PLATFORM_ID, Origin
from gptagent.kernel.secret_keys import SECRET_KEY_BYTES

PURPOSE = "audit"
PAGE_SIZE = 50
EVERYTHING = Wanted()
__all__ = [
    "EVERYTHING",
    "FIELDS",
    "PAGE_SIZE",
    "SENTENCES",
    "erase_person",
    "list_about",
    "list_actions",
    "list_actors",
    "list_entries",
    "list_names",
    "record",
    "was_last",
]


async def record(
    session: Session, entry: Entry, *, origin: Origin | None = None, on_platform: bool = False
) -> int:
    """Append to the workspace's chain within the caller's transaction; returns the row's number in it.

    Without a workspace, or `on_platform`, it goes to the platform's chain. `origin` is needed where the
    transaction has no scope.
    """
    by = origin or session.scope.origin
    actor = by.actor
    address = personal = None
    if by.address and (who := actor.impersonator or actor.id):
        address = await _seal(session, who, by.address)
    if entry.personal and entry.personal_of is not None:
        personal = await _seal(session, entry.personal_of, json.dumps(dict(entry.personal)))
    return await store.append(
        session,
        actor.kind,
        actor.impersonator or actor.id,
        actor.id if actor.impersonator else None,
        entry.action,
        entry.target_kind,
        entry.target_id,
        json.dumps({name: list(pair) if pair else None for name, pair in entry.changes.items()}, default=str),
        address,
        personal,
        entry.personal_of if personal else None,
        by.request_id,
        on_platform,
    )


async def list_entries(
    session: Session, *, before: int | None = None, limit: int = PAGE_SIZE, wanted: Wanted = EVERYTHING
) -> list[Recorded]:
    """Return the record of the transaction's workspace, the newest first; `before` continues a page."""
    keys: dict[UUID, Vault | None] = {}
    rows = await store.page(
        session,
        before=before,
        limit=limit,
        action=wanted.action,
        person_id=wanted.person_id,
        since=wanted.since,
        until=wanted.until,
    )
    return [await _read(session, row, keys) for row in rows]


async def was_last(session: Session, action: str, target_id: str) -> bool:
    """Return whether who acts now has caused the newest entry of this action about this target."""
    actor = session.scope.origin.actor
    return await store.last_actor(session, action, target_id) == (actor.impersonator or actor.id)


async def list_about(session: Session, person_id: UUID, *, before: int | None, limit: int) -> list[Recorded]:
    """Return rows of the chain that the person caused or that are about them, the newest first."""
    keys: dict[UUID, Vault | None] = {}
    rows = await store.about(session, person_id, before, limit)
    return [await _read(session, row, keys) for row in rows]


async def list_names(session: Session, entries: Sequence[Recorded]) -> dict[UUID, Named]:
    """Return the people and keys whom these rows of the transaction's workspace name."""
    if not entries:
        return {}
    numbers = [entry.seq for entry in entries]
    people = await store.names(session, min(numbers), max(numbers))
    keys = {entry.actor_id for entry in entries if entry.actor_kind == "api_key" and entry.actor_id}
    found = [*people, *(await store.key_names(session, keys) if keys else ())]
    return {row["id"]: Named(row["name"], row["is_erased"]) for row in found}


async def list_actors(session: Session) -> dict[UUID, Named]:
    """Return the people who act in the record of the transaction's workspace."""
    return {row["id"]: Named(row["name"], row["is_erased"]) for row in await store.actors(session)}


async def list_actions(session: Session) -> list[str]:
    """Return the actions that occur in the record of the transaction's workspace."""
    return await store.actions(session)


async def erase_person(session: Session, person_id: UUID) -> None:
    """Make the person's values in every chain unreadable, for ever; the chains stay whole."""
    await store.destroy_person_key(session, person_id)


async def _seal(session: Session, person_id: UUID, text: str) -> bytes:
    sealed = await store.person_key(session, person_id)
    if sealed is None:
        fresh = base64.b64encode(os.urandom(SECRET_KEY_BYTES)).decode()
        made = session.vault.seal(fresh, org_id=PLATFORM_ID, purpose=_key_purpose(person_id))
        sealed = await store.keep_person_key(session, person_id, made)
    return _open_key(session, person_id, sealed).seal(text, org_id=PLATFORM_ID, purpose=PURPOSE)


async def _read(session: Session, row: Record, keys: dict[UUID, Vault | None]) -> Recorded:
    actor = row["actor_id"]
    values = await _unseal(session, row["personal"], row["personal_of"], keys)
    personal: Mapping[str, str] | None = json.loads(values) if values else None
    changes = {name: tuple(pair) if pair else None for name, pair in json.loads(row["changes"]).items()}
    return Recorded(
        **{
            **dict(row),
            "changes": changes,
            "address": await _unseal(session, row["address"], actor, keys),
            "personal": personal,
        }
    )


async def _unseal(
    session: Session, sealed: bytes | None, person_id: UUID | None, keys: dict[UUID, Vault | None]
) -> str | None:
    """Return the text, or None if there is none or its key was destroyed."""
    if sealed is None or person_id is None:
        return None
    if person_id not in keys:
        key = await store.person_key(session, person_id)
        keys[person_id] = _open_key(session, person_id, key) if key else None
    vault = keys[person_id]
    return vault.open(sealed, org_id=PLATFORM_ID, purpose=PURPOSE) if vault else None


def _open_key(session: Session, person_id: UUID, sealed: bytes) -> Vault:
    key = session.vault.open(sealed, org_id=PLATFORM_ID, purpose=_key_purpose(person_id))
    return Vault([base64.b64decode(key)])


def _key_purpose(person_id: UUID) -> str:
    return f"person-key:{person_id}"
