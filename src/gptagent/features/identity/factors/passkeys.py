"""Passkeys (WebAuthn, level 2): added, listed, removed, and used in place of password and code.

A challenge is a single-use token of five minutes. For a new passkey and for a confirmation it belongs to a
person; at log-in nobody is known yet.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal
from uuid import UUID

from asyncpg import Record
from webauthn import (
    base64url_to_bytes,
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from webauthn.registration.verify_registration_response import VerifiedRegistration

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.identity import store as people
from gptagent.features.identity.factors import store
from gptagent.features.identity.factors.second_factor import note_confirmation
from gptagent.features.identity.hashes import hash_token
from gptagent.features.identity.model import (
    PASSKEY_CHALLENGE_LIFE,
    PASSKEY_NAME_MAX_CHARS,
    PASSKEYS_MAX,
    CurrentLogIn,
    Passkey,
    Person,
    RelyingParty,
    Renewed,
)
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict, Invalid, NotFound, Unauthenticated
from gptagent.kernel.ids import new_id, new_token
from gptagent.kernel.scope import Origin

KIND = "passkey"
Purpose = Literal["add", "log_in", "confirm"]
Credential = Mapping[str, Any]  # what the browser's PublicKeyCredential.toJSON() gives; the library checks it
# What the library may stumble over in what a client made up.
_MALFORMED = (WebAuthnException, ValueError, LookupError, TypeError, AttributeError, OverflowError)
TIMEOUT_MS = int(PASSKEY_CHALLENGE_LIFE.total_seconds() * 1000)


async def begin_passkey(session: Session, person: Person, party: RelyingParty) -> dict[str, Any]:
    """Return what the browser needs to make a passkey. Raises Conflict if the person has too many."""
    known = await store.select_passkeys(session, person.id)
    if len(known) >= PASSKEYS_MAX:
        raise Conflict("too_many_passkeys", "You have as many passkeys as there can be. Remove one first.")
    options = generate_registration_options(
        rp_id=party.id,
        rp_name=party.name,
        user_id=person.id.bytes,
        user_name=person.email,
        user_display_name=person.full_name,
        challenge=await _challenge(session, "add", person.id),
        timeout=TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=row["credential_id"]) for row in known],
    )
    return _plain(options_to_json(options))


async def add_passkey(
    session: Session,
    person_id: UUID,
    name: str,
    credential: Credential,
    party: RelyingParty,
    *,
    origin: Origin,
) -> Passkey:
    """Keep a passkey the browser has made. Raises Invalid on `name` or `credential`."""
    clean = name.strip()
    if not 1 <= len(clean) <= PASSKEY_NAME_MAX_CHARS:
        raise Invalid.field("name", "From 1 to {limit} characters.", limit=PASSKEY_NAME_MAX_CHARS)
    made = await _verified(session, person_id, credential, party)
    passkey_id = new_id()
    if not await store.insert_passkey(
        session,
        passkey_id,
        person_id,
        made.credential_id,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        name=clean,
    ):
        raise _refused()
    await _record(session, "passkey.added", passkey_id, origin)
    return next(one for one in await list_passkeys(session, person_id) if one.id == passkey_id)


async def list_passkeys(session: Session, person_id: UUID) -> list[Passkey]:
    """Return the person's passkeys, the oldest first."""
    rows = await store.select_passkeys(session, person_id)
    return [Passkey(row["id"], row["name"], row["created_at"], row["last_used_at"]) for row in rows]


async def remove_passkey(session: Session, passkey_id: UUID, *, origin: Origin) -> None:
    """Forget a passkey of the transaction's person. Raises NotFound."""
    if not await store.delete_passkey(session, passkey_id):
        raise NotFound
    await store.weaken_log_ins(session)
    await _record(session, "passkey.removed", passkey_id, origin)


async def ask_for_passkey(
    session: Session, party: RelyingParty, *, person_id: UUID | None = None
) -> dict[str, Any]:
    """Return what the browser needs to use a passkey: any, to log in, or one of the person's, to confirm."""
    known = await store.select_passkeys(session, person_id) if person_id else []
    options = generate_authentication_options(
        rp_id=party.id,
        challenge=await _challenge(session, "confirm" if person_id else "log_in", person_id),
        timeout=TIMEOUT_MS,
        allow_credentials=[PublicKeyCredentialDescriptor(id=row["credential_id"]) for row in known],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return _plain(options_to_json(options))


async def log_in_with_passkey(db: Database, credential: Credential, party: RelyingParty) -> UUID:
    """Return who answered the question for any passkey. Raises Unauthenticated."""
    return await _use_passkey(db, credential, party, None)


async def confirm_by_passkey(
    db: Database, person_id: UUID, credential: Credential, party: RelyingParty, *, current: CurrentLogIn
) -> Renewed | None:
    """Note on the current log-in that its person was asked who they are; a browser gets a new token.

    Raises Unauthenticated unless the person has answered the question for one of their passkeys.
    """
    await _use_passkey(db, credential, party, person_id)
    async with db.installation(person_id) as session:
        return await note_confirmation(session, current, is_strong=True)


async def _use_passkey(
    db: Database, credential: Credential, party: RelyingParty, person_id: UUID | None
) -> UUID:
    """The device has verified the person, so a passkey stands for both factors."""
    async with db.installation() as session:  # used up whatever comes of the rest
        purpose: Purpose = "confirm" if person_id else "log_in"
        challenge = await _use_challenge(session, credential, purpose, person_id)
    async with db.installation() as session:
        passkey = await _find(session, credential)
    owner: UUID = passkey["person_id"]
    if person_id not in {None, owner}:
        raise passkey_refused()
    sign_count = _verified_use(passkey, credential, challenge, party)
    async with db.installation(owner) as session:
        if not await store.note_passkey_use(session, passkey["passkey_id"], sign_count):
            raise passkey_refused()
    return owner


async def _find(session: Session, credential: Credential) -> Record:
    with suppress(*_MALFORMED):
        row = await store.passkey_by_credential(session, base64url_to_bytes(credential["rawId"]))
        if row is not None:
            return row
    raise passkey_refused()


def _verified_use(passkey: Record, credential: Credential, challenge: bytes, party: RelyingParty) -> int:
    """Return the new count of uses. One that is not higher than the last means there is a copy of the key
    (WebAuthn, section 6.1.1): refused like a wrong signature.
    """
    try:
        verified = verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=passkey["public_key"],
            credential_current_sign_count=passkey["sign_count"],
            require_user_verification=True,
        )
    except _MALFORMED as error:
        raise passkey_refused() from error
    return verified.new_sign_count


def passkey_refused() -> Unauthenticated:
    return Unauthenticated(
        "passkey_refused", "This passkey was not accepted. Try again, or log in otherwise."
    )


async def _challenge(session: Session, purpose: Purpose, person_id: UUID | None) -> bytes:
    challenge = new_token()
    await people.offer_token(
        session,
        hash_token(challenge),
        KIND,
        person_id,
        payload=purpose.encode(),
        life=PASSKEY_CHALLENGE_LIFE,
    )
    return challenge.encode()


async def _use_challenge(
    session: Session, credential: Credential, purpose: Purpose, person_id: UUID | None
) -> bytes:
    try:
        said = base64url_to_bytes(credential["response"]["clientDataJSON"])
        challenge = parse_client_data_json(said).challenge
        token_hash = hash_token(challenge.decode("ascii"))
    except _MALFORMED as error:
        raise passkey_refused() from error
    row = await people.use_token(session, token_hash, KIND)
    if row is None or (row["payload"], row["person_id"]) != (purpose.encode(), person_id):
        raise passkey_refused()
    return challenge


async def _verified(
    session: Session, person_id: UUID, credential: Credential, party: RelyingParty
) -> VerifiedRegistration:
    try:
        challenge = await _use_challenge(session, credential, "add", person_id)
        return verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except (Unauthenticated, *_MALFORMED) as error:
        raise _refused() from error


def _refused() -> Invalid:
    return Invalid.field("credential", "The passkey could not be added. Try again.")


def _plain(options: str) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(options)
    return plain


async def _record(session: Session, action: str, passkey_id: UUID, origin: Origin) -> None:
    entry = Entry(action, "passkey", str(passkey_id))
    await audit.record(session, entry, origin=origin, on_platform=True)
