"""Verbs of identity: people, their log-ins and what they log in with."""

from dataclasses import dataclass, field
from uuid import UUID

from gptagent.features.identity import store
from gptagent.features.identity.addresses import (
    ChangeEmail,
    ask_change,
    link_is_open,
    offer_verification,
    require_verified,
    use_link,
)
from gptagent.features.identity.factors.passkeys import (
    Credential,
    add_passkey,
    ask_for_passkey,
    begin_passkey,
    confirm_by_passkey,
    list_passkeys,
    log_in_with_passkey,
    remove_passkey,
)
from gptagent.features.identity.factors.second_factor import (
    Enrolment,
    PendingLogIn,
    SecondFactor,
    accept_code,
    begin_second_step,
    begin_totp,
    confirm_person,
    confirm_totp,
    disable_totp,
    find_pending,
    finish_second_step,
    forget_factors,
    get_second_factor,
    has_any_factor,
    has_second_factor,
    must_show_factor,
    note_confirmation,
    offered_totp,
    renew_recovery_codes,
    wrong_code,
)
from gptagent.features.identity.hashes import hash_token
from gptagent.features.identity.model import (
    REFRESH_TOKEN_LIFE,
    Device,
    name_faults,
    normalise_email,
)
from gptagent.features.identity.passwords import (
    ChangePassword,
    change_password,
    hash_password,
    password_fault,
    record_refusal,
    verify_password,
)
from gptagent.features.identity.persons import get_person
from gptagent.features.identity.profile import ProfileChanges, remove_avatar, set_avatar, update_profile
from gptagent.features.identity.recovery import (
    NewPassword,
    ask_reset,
    make_reset_link,
    offer_reset,
    reset_is_open,
    reset_password,
    send_reset,
)
from gptagent.features.identity.sessions import (
    UNKNOWN_DEVICE,
    confirmation_needed,
    end_other_log_ins,
    find_session,
    list_log_ins,
    open_session,
    record_log_in,
    renew_session,
    require_confirmed_grant,
    revoke_grant,
    revoke_session,
    second_factor_required,
)
from gptagent.features.identity.tokens import AccessClaims
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, FieldError, Invalid, NotFound
from gptagent.kernel.ids import new_id, new_token

__all__ = [
    "UNKNOWN_DEVICE",
    "ChangeEmail",
    "ChangePassword",
    "Credential",
    "Enrolment",
    "NewPassword",
    "NewPerson",
    "PendingLogIn",
    "ProfileChanges",
    "SecondFactor",
    "accept_code",
    "add_passkey",
    "ask_change",
    "ask_for_passkey",
    "ask_reset",
    "begin_passkey",
    "begin_second_step",
    "begin_totp",
    "change_password",
    "check_person",
    "confirm_by_passkey",
    "confirm_person",
    "confirm_totp",
    "confirmation_needed",
    "create_person",
    "create_vouched_person",
    "disable_totp",
    "end_other_log_ins",
    "end_session",
    "find_pending",
    "find_person",
    "find_session",
    "finish_second_step",
    "forget_factors",
    "get_person",
    "get_second_factor",
    "grant_strength",
    "has_any_factor",
    "has_people",
    "has_second_factor",
    "hash_password",
    "hash_token",
    "link_is_open",
    "list_log_ins",
    "list_passkeys",
    "log_in_with_passkey",
    "make_reset_link",
    "must_show_factor",
    "note_confirmation",
    "offer_reset",
    "offer_setup",
    "offer_verification",
    "offered_totp",
    "open_grant",
    "open_session",
    "password_fault",
    "record_log_in",
    "record_refusal",
    "remove_avatar",
    "remove_passkey",
    "renew_recovery_codes",
    "renew_session",
    "require_confirmed_grant",
    "require_verified",
    "reset_is_open",
    "reset_password",
    "revoke_grant",
    "revoke_session",
    "second_factor_required",
    "send_reset",
    "set_avatar",
    "set_locale",
    "setup_is_open",
    "update_profile",
    "use_link",
    "use_refresh_token",
    "use_setup",
    "verify_password",
    "wrong_code",
]


@dataclass(frozen=True, slots=True)
class NewPerson:
    email: str = field(repr=False)
    given_name: str = field(repr=False)
    password: str = field(repr=False)
    locale: str = "ru"
    is_platform_admin: bool = False
    family_name: str = field(default="", repr=False)


def check_person(command: NewPerson) -> list[FieldError]:
    """Return what is wrong with the command, field by field."""
    faults = []
    if normalise_email(command.email) is None:
        faults.append(FieldError("email", "Enter a valid e-mail address."))
    faults += name_faults(command.given_name, command.family_name)
    if fault := password_fault("password", command.password):
        faults.append(fault)
    return faults


async def create_person(session: Session, command: NewPerson, person_id: UUID, password_hash: str) -> UUID:
    """Create within a transaction opened for `person_id`. Raises Invalid, or Conflict for a known address."""
    if faults := check_person(command):
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
    email = normalise_email(command.email) or ""
    if not await store.insert_person(
        session,
        person_id,
        email,
        (command.given_name.strip(), command.family_name.strip()),
        command.locale,
        admin=command.is_platform_admin,
    ):
        fault = FieldError("email", "There is an account with this address already. Log in instead.")
        raise Conflict("email_taken", fault.message, fields=(fault,))
    await store.insert_credential(session, person_id, password_hash)
    return person_id


async def create_vouched_person(
    session: Session, person_id: UUID, email: str, names: tuple[str, str], *, is_verified: bool
) -> None:
    """Create somebody who comes from a sign-in provider, without a password. `names`: given, family.

    `is_verified`: the provider is one whose word about addresses counts in the whole installation. Needs a
    transaction opened for the person. Raises Invalid for no address, Conflict for a known one.
    """
    address = normalise_email(email)
    if address is None:
        raise Invalid.field("email", "Enter a valid e-mail address.")
    if not await store.insert_person(session, person_id, address, names, "ru", admin=False):
        raise Conflict("email_taken", "There is an account with this address already. Log in instead.")
    if is_verified:
        await store.confirm_email(session, person_id)


async def find_person(session: Session, email: str) -> UUID | None:
    """Return who has this address; nobody who is suspended or gone."""
    return await store.person_by_email(session, normalise_email(email) or "")


async def open_grant(
    session: Session,
    person_id: UUID,
    workspace_id: UUID,
    *,
    device: Device = UNKNOWN_DEVICE,
    is_strong: bool = False,
) -> tuple[UUID, str]:
    """Log in over the API: return the grant's id, for access tokens, and its first refresh token.

    Needs a transaction opened for the person. `is_strong`: two factors were shown.
    """
    grant_id, token = new_id(), new_token()
    await store.insert_grant(
        session,
        grant_id,
        person_id,
        workspace_id,
        device=device.name,
        address=device.address,
        is_strong=is_strong,
    )
    await store.begin_refresh(session, grant_id, hash_token(token), REFRESH_TOKEN_LIFE)
    return grant_id, token


async def use_refresh_token(session: Session, token: str) -> tuple[AccessClaims, str] | None:
    """Exchange a refresh token: return what an access token may say, and the next refresh token.

    None for a token that is unknown, has ended or was used before; the last revokes the whole grant
    (RFC 9700, section 4.14.2), so the caller commits and then refuses.
    """
    following = new_token()
    row = await store.use_refresh_token(session, hash_token(token), hash_token(following), REFRESH_TOKEN_LIFE)
    if row is None or row["outcome"] != "next":
        return None
    return AccessClaims(row["person_id"], row["workspace_id"], row["grant_id"]), following


async def grant_strength(session: Session, claims: AccessClaims) -> bool | None:
    """Whether the log-in behind an access token has shown a second factor; None if it was revoked."""
    return await store.grant_strength(session, claims.person_id, claims.grant_id, claims.impersonator_id)


async def end_session(session: Session, session_id: UUID) -> None:
    """Log out on the server: the cookie's token is worth nothing afterwards."""
    await store.delete_session(session, session_id)


async def confirm_email(session: Session, person_id: UUID) -> None:
    """Note that the person reads the mailbox of their address. Needs a transaction opened for the person."""
    await store.confirm_email(session, person_id)


async def set_locale(session: Session, person_id: UUID, locale: str) -> None:
    await store.update_locale(session, person_id, locale)


async def has_people(session: Session) -> bool:
    return await store.has_people(session)


async def offer_setup(session: Session) -> str | None:
    """Return a fresh one-time token for the first account, or None if there are people already."""
    if await store.has_people(session):
        return None
    token = new_token()
    await store.offer_setup(session, hash_token(token))
    return token


async def setup_is_open(session: Session, token: str) -> bool:
    return await store.setup_is_open(session, hash_token(token)) and not await store.has_people(session)


async def use_setup(session: Session, token: str) -> None:
    """Raise NotFound if the link was used already or never given."""
    if await store.has_people(session) or not await store.use_setup(session, hash_token(token)):
        raise NotFound(
            "setup_closed", "This link was used already. Log in, or ask the operator for a new one."
        )
