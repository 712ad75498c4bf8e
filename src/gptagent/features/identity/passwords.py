"""Passwords: hashed and checked. A hash takes tens of milliseconds on purpose, never inside a transaction."""

import asyncio
from functools import cache
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from gptagent.features.identity import store
from gptagent.features.identity.model import PASSWORD_MIN_CHARS, is_weak_password, normalise_email
from gptagent.kernel.db import Database
from gptagent.kernel.errors import FieldError, Unauthenticated
from gptagent.kernel.ids import new_token


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


async def verify_password(db: Database, email: str, password: str) -> UUID:
    """Return whose password this is. Raises Unauthenticated, alike and as slowly for an unknown address."""
    async with db.installation() as session:
        row = await store.credential_by_email(session, normalise_email(email) or "")
    known = row["password_hash"] if row else _decoy()
    try:
        await asyncio.to_thread(_hasher().verify, known, password)
    except (VerificationError, InvalidHashError) as error:
        raise Unauthenticated("wrong_credentials", "The e-mail or the password is wrong.") from error
    if row is None:
        raise Unauthenticated("wrong_credentials", "The e-mail or the password is wrong.")
    person_id: UUID = row["person_id"]
    return person_id
