"""A person's e-mail address: shown to be theirs by a link, and changed by one."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.identity import store
from gptagent.features.identity.hashes import hash_token
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.identity.model import CurrentLogIn, Links, Person, normalise_email
from gptagent.features.identity.passwords import password_is_right
from gptagent.features.identity.persons import get_person
from gptagent.features.identity.sessions import require_all_factors
from gptagent.features.mail.model import Letter
from gptagent.features.mail.service import send_letter
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from gptagent.kernel.ids import new_token
from gptagent.kernel.scope import PLATFORM_ID, Actor, Origin

VERIFICATION_LIFE = timedelta(hours=24)  # AUTH-11
CHANGE_LIFE = timedelta(hours=24)
Kind = Literal["verify_email", "change_email"]
PATHS: dict[Kind, str] = {"verify_email": "verify-email", "change_email": "change-email"}


@dataclass(frozen=True, slots=True)
class ChangeEmail:
    email: str = field(repr=False)
    password: str = field(repr=False)


async def offer_verification(session: Session, person: Person, links: Links) -> None:
    """Send the link that shows the address to be the person's, unless it is known or no letters are sent.

    Older links become void. Needs a transaction opened for the person.
    """
    if person.is_verified or not links.sends_letters:
        return
    token = new_token()
    # Bound to the address: a link sent to a former one shows nothing about the next.
    await store.offer_token(
        session,
        hash_token(token),
        "verify_email",
        person.id,
        payload=_seal(session, person.id, person.email),
        life=VERIFICATION_LIFE,
    )
    shown = {"email": person.email, "link": links.to(PATHS["verify_email"], token)}
    await send_letter(session, Letter("identity/verify_email", person.email, person.locale, shown))


async def send_verification(
    db: Database, person_id: UUID, links: Links, limits: LoginLimits, *, org_id: UUID
) -> None:
    """Send the link again, counted for its reader and for the workspace it is asked for from.

    Raises RateLimited.
    """
    async with db.installation(person_id) as session:
        person = await get_person(session, person_id)
    if person.is_verified or not links.sends_letters:
        return
    await limits.check_recipient(person.email, org_id)
    async with db.installation(person_id) as session:
        await offer_verification(session, person, links)


async def require_verified(session: Session, person_id: UUID, links: Links) -> None:
    """Raise Forbidden if the person's address may be somebody else's. Without letters nobody can show it."""
    if links.sends_letters and not (await get_person(session, person_id)).is_verified:
        raise Forbidden(
            "email_not_verified", "Confirm your e-mail address first: follow the link in our letter."
        )


async def ask_change(
    db: Database,
    person_id: UUID,
    command: ChangeEmail,
    *,
    links: Links,
    current: CurrentLogIn,
    origin: Origin,
) -> bool:
    """Begin to change the address; True if it is changed at once, because no letters are sent.

    With letters the new address gets a link and the old one a notice; only the link changes anything. Raises
    Invalid on `email` or `password`; Conflict for a known address, where it is changed at once; Forbidden
    where more than a password is asked for.
    """
    email = normalise_email(command.email)
    if email is None:
        raise Invalid.field("email", "Enter a valid e-mail address.")
    async with db.installation(person_id) as session:
        await require_all_factors(session, person_id, current, now=utcnow())
        person = await get_person(session, person_id)
    if not await password_is_right(db, person_id, command.password):
        raise Invalid.field("password", "This is not your password.")
    async with db.installation(person_id) as session:
        if not links.sends_letters:
            await _change(session, person, email, origin, is_verified=False)
            return True
        token = new_token()
        held = _seal(session, person_id, email)
        await store.offer_token(
            session, hash_token(token), "change_email", person_id, payload=held, life=CHANGE_LIFE
        )
        shown = {"email": email, "link": links.to(PATHS["change_email"], token)}
        await send_letter(session, Letter("identity/change_email", email, person.locale, shown))
        notice = {"email": person.email, "link": links.to("reset-password", "request")}
        await send_letter(session, Letter("identity/email_changing", person.email, person.locale, notice))
        entry = Entry("email.change_asked", "person", str(person_id), changes={"email": None})
        await audit.record(session, entry, origin=origin, on_platform=True)
    return False


async def link_is_open(session: Session, kind: Kind, token: str) -> bool:
    return await store.peek_token(session, hash_token(token), kind) is not None


async def use_link(db: Database, kind: Kind, token: str, *, origin: Origin) -> None:
    """Confirm or change the address. Raises NotFound for a link that does not work (any more), Conflict for
    an address that somebody else has by now.
    """
    async with db.installation() as session:
        found = await store.peek_token(session, hash_token(token), kind)
    if found is None:
        raise _closed()
    person_id: UUID = found["person_id"]
    by = Origin(Actor("person", person_id), origin.request_id, origin.address)
    async with db.installation(person_id) as session:
        used = await store.use_token(session, hash_token(token), kind)
        if used is None:
            raise _closed()
        person = await get_person(session, person_id)
        email = _open(session, person_id, used["payload"])
        if kind == "change_email":
            await _change(session, person, email, by, is_verified=True)
        elif email != person.email:
            raise _closed()
        else:
            await store.confirm_email(session, person_id)
            entry = Entry("email.verified", "person", str(person_id))
            await audit.record(session, entry, origin=by, on_platform=True)


async def _change(session: Session, person: Person, email: str, origin: Origin, *, is_verified: bool) -> None:
    if not await store.update_email(session, person.id, email, is_verified=is_verified):
        fault = FieldError("email", "There is an account with this address already. Log in instead.")
        raise Conflict("email_taken", fault.message, fields=(fault,))
    await store.void_links(session, person.id)  # letters to the old mailbox open nothing any more
    entry = Entry(
        "email.changed",
        "person",
        str(person.id),
        changes={"email": None},
        personal={"before": person.email, "after": email},
        personal_of=person.id,
    )
    await audit.record(session, entry, origin=origin, on_platform=True)


def _closed() -> NotFound:
    return NotFound("email_link_closed", "The link was used already or is too old. Ask for a new one.")


def _seal(session: Session, person_id: UUID, email: str) -> bytes:
    return session.vault.seal(email, org_id=PLATFORM_ID, purpose=f"email:{person_id}")


def _open(session: Session, person_id: UUID, sealed: bytes) -> str:
    return session.vault.open(bytes(sealed), org_id=PLATFORM_ID, purpose=f"email:{person_id}")
