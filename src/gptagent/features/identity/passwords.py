"""Passwords: hashed, checked, changed. A hash is slow on purpose, so none is made inside a transaction."""

import asyncio
import time
from dataclasses import dataclass, field
from functools import cache
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.identity import store
from gptagent.features.identity.model import (
    PASSWORD_MIN_CHARS,
    CurrentLogIn,
    Renewed,
    is_weak_password,
    normalise_email,
)
from gptagent.features.identity.sessions import renew_session, require_all_factors
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import FieldError, Invalid, Unauthenticated
from gptagent.kernel.ids import new_token
from gptagent.kernel.scope import Actor, Origin

# A refused log-in takes at least so long: whether the try was recorded, and so whether the account exists,
# does not show in the time.
REFUSAL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class ChangePassword:
    current: str = field(repr=False)
    new: str = field(repr=False)


@cache
def _hasher() -> PasswordHasher:
    return PasswordHasher()  # argon2id, 64 MiB, RFC 9106's second recommendation


@cache
def _decoy() -> str:
    """A hash nobody's password has: unknown addresses cost as much time as known ones."""
    return _hasher().hash(new_token())


async def hash_password(password: str) -> str:
    """Hash off the event loop: it takes tens of milliseconds on purpose."""
    return await asyncio.to_thread(_hasher().hash, password)


def password_fault(pointer: str, password: str) -> FieldError | None:
    """Return what is wrong with a new password, wherever it is set."""
    if not is_weak_password(password):
        return None
    return FieldError(
        pointer,
        "At least {limit} characters, and not one of the passwords everybody tries.",
        {"limit": PASSWORD_MIN_CHARS},
    )


async def verify_password(db: Database, email: str, password: str, *, origin: Origin | None = None) -> UUID:
    """Return whose password this is. Raises Unauthenticated, alike and as slowly for an unknown address.

    A refused try at a known account is recorded with where it came from.
    """
    began = time.monotonic()
    async with db.installation() as session:
        row = await store.credential_by_email(session, normalise_email(email) or "")
    is_right = await _matches(row["password_hash"] if row else None, password)
    if row and is_right:
        person_id: UUID = row["person_id"]
        return person_id
    if row:
        await record_refusal(db, row["person_id"], origin or Origin())
    await asyncio.sleep(max(0.0, REFUSAL_SECONDS - (time.monotonic() - began)))
    raise Unauthenticated("wrong_credentials", "The e-mail or the password is wrong.")


async def record_refusal(db: Database, person_id: UUID, origin: Origin) -> None:
    """Record a refused log-in, as of somebody who says they are this person."""
    claimed = Origin(Actor("person", person_id), origin.request_id, origin.address)
    async with db.installation(person_id) as session:
        await audit.record(session, Entry("login.failed", "person", str(person_id)), origin=claimed)


async def password_is_right(db: Database, person_id: UUID, password: str) -> bool:
    """Whether this is the person's password; a person without one is as wrong."""
    async with db.installation(person_id) as session:
        known = await store.select_password(session, person_id)
    return await _matches(known, password)


async def change_password(
    db: Database, person_id: UUID, command: ChangePassword, *, current: CurrentLogIn, origin: Origin
) -> Renewed | None:
    """Set a new password and end every other log-in. Returns the new token of the browser's session.

    Raises Invalid on `current_password` or `new_password`, Forbidden where more than a password is asked for.
    """
    if fault := password_fault("new_password", command.new):
        raise Invalid("invalid", "Please correct the marked fields.", fields=(fault,))
    async with db.installation(person_id) as session:
        await require_all_factors(session, person_id, current, now=utcnow())
        known = await store.select_password(session, person_id)
    if known is None or not await _matches(known, command.current):
        raise Invalid.field("current_password", "This is not your password.")
    new_hash = await hash_password(command.new)
    async with db.installation(person_id) as session:
        if not await store.replace_password(session, person_id, known, new_hash):
            raise Invalid.field("current_password", "This is not your password.")
        ended = await store.end_others(session, current.session_id, current.grant_id)
        await store.void_links(session, person_id)
        changes = {"password": None, "other_log_ins": (ended, 0)}
        entry = Entry("password.changed", "person", str(person_id), changes=changes)
        await audit.record(session, entry, origin=origin, on_platform=True)
        if current.session_id is None:
            return None
        return await renew_session(session, current.session_id, confirms=False)


async def _matches(known: str | None, password: str) -> bool:
    try:
        await asyncio.to_thread(_hasher().verify, known or _decoy(), password)
    except (VerificationError, InvalidHashError):
        return False
    return known is not None
