"""A forgotten password: a link that works once, for an hour, and what setting a new password ends.

The link never goes around the second factor: afterwards the person logs in as always.
"""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.identity import store
from gptagent.features.identity.hashes import hash_token
from gptagent.features.identity.model import RESET_LIFE, Links, Person, normalise_email
from gptagent.features.identity.passwords import hash_password, password_fault
from gptagent.features.identity.persons import get_person
from gptagent.features.mail.model import Letter
from gptagent.features.mail.service import send_letter
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict, Invalid, NotFound
from gptagent.kernel.ids import new_token
from gptagent.kernel.scope import Actor, Origin

# Longer than writing a letter takes: the time of an answer does not tell whether there is an account.
ANSWER_SECONDS = 0.4
BY_LETTER, BY_HAND = b"letter", b"hand"


@dataclass(frozen=True, slots=True)
class NewPassword:
    token: str = field(repr=False)
    password: str = field(repr=False)


async def ask_reset(db: Database, email: str, links: Links) -> None:
    """Send a link if there is such an account; nothing tells the caller whether there is.

    Raises Conflict where no letters are sent.
    """
    _require_letters(links)
    await asyncio.gather(_send_link(db, email, links), asyncio.sleep(ANSWER_SECONDS))


async def _send_link(db: Database, email: str, links: Links) -> None:
    async with db.installation() as session:
        person_id = await store.person_by_email(session, normalise_email(email) or "")
    if person_id is None:
        return
    async with db.installation(person_id) as session:
        await _write(session, person_id, links)


async def _write(session: Session, person_id: UUID, links: Links) -> None:
    person = await get_person(session, person_id)
    token = await _offer(session, person_id, BY_LETTER)
    shown = {"email": person.email, "link": links.to("reset-password", token)}
    await send_letter(session, Letter("identity/reset_password", person.email, person.locale, shown))


async def make_reset_link(db: Database, email: str, links: Links, *, origin: Origin) -> str:
    """Return a link for an administrator to hand over. It makes older ones void. Raises NotFound."""
    async with db.installation() as session:
        person_id = await store.person_by_email(session, normalise_email(email) or "")
    if person_id is None:
        raise NotFound("person_not_found", "There is no active account with this address.")
    async with db.installation(person_id) as session:
        return await offer_reset(session, person_id, links, origin=origin)


async def offer_reset(session: Session, person_id: UUID, links: Links, *, origin: Origin) -> str:
    """Return a link for an administrator to hand over. Needs a transaction opened for the person."""
    token = await _offer(session, person_id, BY_HAND)
    await _record_offer(session, person_id, "hand", origin)
    return links.to("reset-password", token)


async def send_reset(session: Session, person_id: UUID, links: Links, *, origin: Origin) -> None:
    """Send the person a link because an administrator wants it. Needs a transaction opened for the person.

    Raises Conflict where no letters are sent.
    """
    _require_letters(links)
    await _write(session, person_id, links)
    await _record_offer(session, person_id, "letter", origin)


def _require_letters(links: Links) -> None:
    if not links.sends_letters:
        raise Conflict(
            "letters_not_sent",
            "This installation sends no letters. Ask its administrator for a link to a new password.",
        )


async def _record_offer(session: Session, person_id: UUID, how: str, origin: Origin) -> None:
    entry = Entry("password.reset_offered", "person", str(person_id), changes={"by": (None, how)})
    await audit.record(session, entry, origin=origin, on_platform=True)


async def _offer(session: Session, person_id: UUID, how: bytes) -> str:
    token = new_token()
    await store.offer_token(
        session, hash_token(token), "reset_password", person_id, payload=how, life=RESET_LIFE
    )
    return token


async def reset_is_open(session: Session, token: str) -> bool:
    return await store.peek_token(session, hash_token(token), "reset_password") is not None


async def reset_password(db: Database, command: NewPassword, *, links: Links, origin: Origin) -> None:
    """Set the password, end every log-in of the person and tell them by letter.

    Raises NotFound for a link that is used, void or too old, Invalid on `password`.
    """
    async with db.installation() as session:
        found = await store.peek_token(session, hash_token(command.token), "reset_password")
    if found is None:
        raise _closed()
    if fault := password_fault("password", command.password):
        raise Invalid("invalid", "Please correct the marked fields.", fields=(fault,))
    password_hash = await hash_password(command.password)
    person_id: UUID = found["person_id"]
    async with db.installation(person_id) as session:
        used = await store.use_token(session, hash_token(command.token), "reset_password")
        if used is None:  # somebody was faster with the same link
            raise _closed()
        person = await get_person(session, person_id)
        await store.put_credential(session, person_id, password_hash)
        if bytes(used["payload"]) == BY_LETTER:
            await store.confirm_email(session, person_id)  # whoever has the link reads the mailbox
        if not person.is_verified:  # whoever made the account need not be who reads the mailbox
            await store.forget_identities(session)
        await _put_out(session, person_id)
        by = Origin(Actor("person", person_id), origin.request_id, origin.address)
        entry = Entry("password.reset", "person", str(person_id), changes={"password": None})
        await audit.record(session, entry, origin=by, on_platform=True)
        if links.sends_letters:
            await tell_password_changed(session, person, links)


async def _put_out(session: Session, person_id: UUID) -> None:
    await store.end_entries(session, person_id)
    await store.void_links(session, person_id)


async def tell_password_changed(session: Session, person: Person, links: Links) -> None:
    """Tell a person by letter, so that a stranger's change does not go unnoticed."""
    shown = {"email": person.email, "link": links.to("reset-password", "request")}
    await send_letter(session, Letter("identity/password_changed", person.email, person.locale, shown))


def _closed() -> NotFound:
    return NotFound("reset_link_closed", "The link was used already or is too old. Ask for a new one.")
