"""Verbs of identity: create people, check passwords, open and end sessions."""

from dataclasses import dataclass, field
from datetime import datetime
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
from gptagent.features.identity.hashes import hash_token
from gptagent.features.identity.model import (
    NAME_MAX_CHARS,
    REFRESH_TOKEN_LIFE,
    REMEMBERED_SESSION_LIFE,
    SESSION_LIFE,
    Device,
    WebSession,
    normalise_email,
)
from gptagent.features.identity.passwords import hash_password, password_fault, verify_password
from gptagent.features.identity.persons import get_person
from gptagent.features.identity.recovery import (
    NewPassword,
    ask_reset,
    make_reset_link,
    offer_reset,
    reset_is_open,
    reset_password,
)
from gptagent.features.identity.tokens import AccessClaims
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, FieldError, Invalid, NotFound
from gptagent.kernel.ids import new_id, new_token

UNKNOWN_DEVICE = Device()
__all__ = [
    "UNKNOWN_DEVICE",
    "ChangeEmail",
    "NewPassword",
    "NewPerson",
    "ask_change",
    "ask_reset",
    "check_person",
    "create_person",
    "end_session",
    "find_session",
    "get_person",
    "grant_is_live",
    "has_people",
    "hash_password",
    "hash_token",
    "link_is_open",
    "make_reset_link",
    "offer_reset",
    "offer_setup",
    "offer_verification",
    "open_grant",
    "open_session",
    "password_fault",
    "require_verified",
    "reset_is_open",
    "reset_password",
    "set_locale",
    "setup_is_open",
    "use_link",
    "use_refresh_token",
    "use_setup",
    "verify_password",
]


@dataclass(frozen=True, slots=True)
class NewPerson:
    email: str = field(repr=False)
    full_name: str = field(repr=False)
    password: str = field(repr=False)
    locale: str = "ru"
    is_platform_admin: bool = False


def check_person(command: NewPerson) -> list[FieldError]:
    """Return what is wrong with the command, field by field."""
    faults = []
    if normalise_email(command.email) is None:
        faults.append(FieldError("email", "Enter a valid e-mail address."))
    if not 1 <= len(command.full_name.strip()) <= NAME_MAX_CHARS:
        faults.append(FieldError("full_name", "Enter your name."))
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
        command.full_name.strip(),
        command.locale,
        admin=command.is_platform_admin,
    ):
        fault = FieldError("email", "There is an account with this address already. Log in instead.")
        raise Conflict("email_taken", fault.message, fields=(fault,))
    await store.insert_credential(session, person_id, password_hash)
    return person_id


async def open_session(
    session: Session,
    person_id: UUID,
    *,
    remember: bool,
    now: datetime,
    device: Device = UNKNOWN_DEVICE,
    workspace_id: UUID | None = None,
) -> tuple[str, datetime]:
    """Return the cookie's token and when it ends. Needs a transaction opened for the person."""
    token = new_token()
    expires_at = now + (REMEMBERED_SESSION_LIFE if remember else SESSION_LIFE)
    await store.insert_session(
        session,
        new_id(),
        person_id,
        hash_token(token),
        expires_at,
        remembered=remember,
        device=device.name,
        address=device.address,
        workspace_id=workspace_id,
    )
    return token, expires_at


async def find_session(session: Session, token: str) -> WebSession | None:
    row = await store.session_by_hash(session, hash_token(token))
    return WebSession(**dict(row)) if row else None


async def open_grant(
    session: Session, person_id: UUID, workspace_id: UUID, *, device: Device = UNKNOWN_DEVICE
) -> tuple[UUID, str]:
    """Log in over the API: return the grant's id, for access tokens, and its first refresh token.

    Needs a transaction opened for the person.
    """
    grant_id, token = new_id(), new_token()
    await store.insert_grant(
        session, grant_id, person_id, workspace_id, device=device.name, address=device.address
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


async def grant_is_live(session: Session, claims: AccessClaims) -> bool:
    """Whether the log-in behind an access token has not been revoked."""
    return await store.grant_is_live(session, claims.person_id, claims.grant_id)


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
