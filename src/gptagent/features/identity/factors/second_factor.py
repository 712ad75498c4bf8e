"""The second step of a log-in: codes of an authenticator app (TOTP, RFC 6238), and recovery codes.

A pending log-in is what a right password gets where a second factor is set: a single-use token that opens
nothing until the code is given.
"""

import hmac
import json
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

import pyotp

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.identity import store as people
from gptagent.features.identity.factors import store
from gptagent.features.identity.hashes import hash_token
from gptagent.features.identity.model import (
    RECOVERY_CODES,
    SECOND_STEP_LIFE,
    TOTP_STEP_SECONDS,
    CurrentLogIn,
    Person,
    Proof,
    Renewed,
    normalise_email,
)
from gptagent.features.identity.passwords import password_is_right
from gptagent.features.identity.sessions import renew_session, second_factor_required
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict, Invalid, NotFound, Unauthenticated
from gptagent.kernel.ids import new_token
from gptagent.kernel.scope import PLATFORM_ID, Origin

ISSUER = "GPT Agent"
KIND = "second_factor"
Factor = Literal["totp", "recovery_code"]
# Crockford's: no letter that looks like a digit. 24 of 32 are 120 bits, so a fast hash is enough.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_GROUPS, _GROUP_CHARS = 6, 4


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A secret that counts from its first right code on. `uri` is what the QR code says."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SecondFactor:
    is_on: bool
    since: datetime | None
    recovery_codes_left: int


@dataclass(frozen=True, slots=True)
class PendingLogIn:
    """The password was right. `remember` and `target` are what the person chose with it."""

    person_id: UUID
    remember: bool
    target: str


async def has_second_factor(session: Session, person_id: UUID) -> bool:
    """Whether a right password is not enough for this person; may be asked before they are known."""
    return await store.has_second_factor(session, person_id)


async def get_second_factor(session: Session, person_id: UUID) -> SecondFactor:
    row = await store.select_totp(session, person_id)
    since = row["confirmed_at"] if row else None
    return SecondFactor(since is not None, since, await store.count_recovery_codes(session, person_id))


async def begin_totp(session: Session, person: Person) -> Enrolment:
    """Offer a new secret. Raises Conflict if one is in use."""
    secret = pyotp.random_base32()
    sealed = session.vault.seal(secret, org_id=PLATFORM_ID, purpose=_purpose(person.id))
    if not await store.offer_totp(session, person.id, sealed):
        raise _is_on()
    return _enrolment(secret, person)


async def offered_totp(session: Session, person: Person) -> Enrolment | None:
    """Return the secret that waits for its first code, if one does."""
    row = await store.select_totp(session, person.id)
    if row is None or row["confirmed_at"] is not None:
        return None
    return _enrolment(_open(session, person.id, row["secret_sealed"]), person)


async def confirm_totp(
    session: Session, person_id: UUID, code: str, *, origin: Origin, now: datetime
) -> list[str]:
    """Switch the second factor on by its first right code. Returns the recovery codes, this once.

    Raises Invalid on `code`, Conflict if the factor is on.
    """
    if await store.has_second_factor(session, person_id):
        raise _is_on()
    if not await _accept_totp(session, person_id, code, now):
        raise Invalid.field("code", "The code is wrong or was used before. Take the one shown now.")
    await store.confirm_totp(session, person_id)
    await _record(session, "totp.enabled", person_id, origin)
    return await _new_codes(session, person_id)


async def renew_recovery_codes(session: Session, person_id: UUID, *, origin: Origin) -> list[str]:
    """Return new recovery codes, this once; the old ones are void. Raises NotFound if it is off."""
    if not await store.has_second_factor(session, person_id):
        raise NotFound
    await _record(session, "recovery_codes.renewed", person_id, origin)
    return await _new_codes(session, person_id)


async def disable_totp(session: Session, person_id: UUID, *, origin: Origin) -> None:
    """Switch the second factor off and forget its recovery codes. Raises NotFound if it is off."""
    was_on = await store.has_second_factor(session, person_id)
    if not await store.delete_totp(session, person_id) or not was_on:
        raise NotFound
    await store.weaken_log_ins(session)
    await _record(session, "totp.disabled", person_id, origin)


async def accept_code(session: Session, person_id: UUID, code: str, *, now: datetime) -> Factor | None:
    """Use up a code of the app or a recovery code; None if it is neither, or was used before."""
    if not await store.has_second_factor(session, person_id):
        return None
    if await _accept_totp(session, person_id, code, now):
        return "totp"
    if await store.use_recovery_code(session, person_id, hash_token(_normal(code))):
        return "recovery_code"
    return None


async def begin_second_step(session: Session, person_id: UUID, *, remember: bool, target: str) -> str:
    """Return the token of a log-in that waits for its code; the person's earlier one is void."""
    token = new_token()
    held = json.dumps({"remember": remember, "target": target}).encode()
    await people.offer_token(session, hash_token(token), KIND, person_id, payload=held, life=SECOND_STEP_LIFE)
    return token


async def find_pending(session: Session, token: str) -> PendingLogIn | None:
    row = await people.peek_token(session, hash_token(token), KIND)
    return PendingLogIn(row["person_id"], **json.loads(row["payload"])) if row else None


async def finish_second_step(
    session: Session, token: str, pending: PendingLogIn, code: str, *, now: datetime
) -> Factor:
    """Use up the token and the code. Raises Unauthenticated, and then the token still waits."""
    factor = await accept_code(session, pending.person_id, code, now=now)
    if factor is None:
        raise wrong_code()
    if await people.use_token(session, hash_token(token), KIND) is None:
        raise Unauthenticated("log_in_expired", "This took too long. Log in again.")
    return factor


def wrong_code() -> Unauthenticated:
    return Unauthenticated("wrong_code", "The code is wrong or was used before.")


async def confirm_person(
    db: Database, person_id: UUID, proof: Proof, *, current: CurrentLogIn, now: datetime
) -> Renewed | None:
    """Note on the current log-in that its person was asked who they are; a browser gets a new token.

    Where a second step is set, both are asked for. Raises Invalid on `password`, before a code is looked at,
    or on `code`; Forbidden where a second factor is demanded and the person has a passkey only.
    """
    async with db.installation(person_id) as session:
        has_code = await store.has_second_factor(session, person_id)
        if not has_code and await store.must_show_factor(session, person_id):
            raise second_factor_required()
    if not await password_is_right(db, person_id, proof.password):
        raise Invalid.field("password", "This is not your password.")
    async with db.installation(person_id) as session:
        if has_code and await accept_code(session, person_id, proof.code, now=now) is None:
            raise Invalid.field("code", "The code is wrong or was used before.")
        return await note_confirmation(session, current, is_strong=has_code)


async def note_confirmation(
    session: Session, current: CurrentLogIn, *, is_strong: bool = False
) -> Renewed | None:
    """Note that the person behind the current log-in has just shown who they are.

    `is_strong`: by two factors.
    """
    if current.grant_id is not None:
        await people.confirm_grant(session, current.grant_id, is_strong=is_strong)
    if current.session_id is None:
        return None
    return await renew_session(session, current.session_id, is_strong=is_strong)


async def has_any_factor(session: Session, person_id: UUID) -> bool:
    """Whether the person has an authenticator app or a passkey."""
    return await store.has_any_factor(session, person_id)


async def must_show_factor(session: Session, person_id: UUID) -> bool:
    """Whether a workspace of theirs, or being an administrator, demands a second factor that they have."""
    return await store.must_show_factor(session, person_id)


async def forget_factors(db: Database, email: str, *, origin: Origin) -> None:
    """Take the second step and all passkeys from somebody who has lost them, and end their log-ins.

    For an operator who has made sure who asks. Raises NotFound for an unknown address or nothing to forget.
    """
    async with db.installation() as session:
        person_id = await people.person_by_email(session, normalise_email(email) or "")
    if person_id is None:
        raise NotFound("person_not_found", "There is no active account with this address.")
    async with db.installation(person_id) as session:
        if not await store.has_any_factor(session, person_id):
            raise NotFound("no_second_factor", "This account has neither a second step nor a passkey.")
        await store.delete_totp(session, person_id)
        await store.delete_passkeys(session, person_id)
        await people.end_entries(session, person_id)
        await _record(session, "second_factor.forgotten", person_id, origin)


async def _accept_totp(session: Session, person_id: UUID, code: str, now: datetime) -> bool:
    """A code of the step before counts as well, for the time it takes to type and send it (RFC 6238, section
    5.2); one of the next step does not. So a code lives for 60 s at most. Each step counts once.
    """
    row = await store.select_totp(session, person_id)
    digits = "".join(code.split())
    if row is None or not (digits.isascii() and digits.isdecimal()):
        return False
    totp = pyotp.TOTP(_open(session, person_id, row["secret_sealed"]), interval=TOTP_STEP_SECONDS)
    present = int(now.timestamp()) // TOTP_STEP_SECONDS
    for step in (present, present - 1):
        if hmac.compare_digest(totp.generate_otp(step), digits):
            return await store.take_totp_step(session, person_id, step)
    return False


async def _new_codes(session: Session, person_id: UUID) -> list[str]:
    codes = [_new_code() for _ in range(RECOVERY_CODES)]
    await store.replace_recovery_codes(session, person_id, [hash_token(_normal(code)) for code in codes])
    return codes


def _new_code() -> str:
    groups = ("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_CHARS)) for _ in range(_GROUPS))
    return "-".join(groups)


def _normal(code: str) -> str:
    return "".join(char for char in code.lower() if char.isalnum())


def _enrolment(secret: str, person: Person) -> Enrolment:
    return Enrolment(secret, pyotp.TOTP(secret).provisioning_uri(name=person.email, issuer_name=ISSUER))


def _open(session: Session, person_id: UUID, sealed: bytes) -> str:
    return session.vault.open(sealed, org_id=PLATFORM_ID, purpose=_purpose(person_id))


def _purpose(person_id: UUID) -> str:
    return f"totp:{person_id}"


def _is_on() -> Conflict:
    return Conflict("second_factor_on", "The second step is on already. Switch it off first.")


async def _record(session: Session, action: str, person_id: UUID, origin: Origin) -> None:
    entry = Entry(action, "person", str(person_id))
    await audit.record(session, entry, origin=origin, on_platform=True)
