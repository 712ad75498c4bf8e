"""Invitations: by e-mail or by link, for a week, used once, taken back at any time."""

from dataclasses import dataclass, field, replace
from uuid import UUID

from asyncpg import Record

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.identity import service as identity
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.identity.model import Links, normalise_email
from gptagent.features.identity.service import NewPerson, hash_token
from gptagent.features.mail import service as mail
from gptagent.features.mail.model import Letter
from gptagent.features.organizations import store
from gptagent.features.organizations.members import TOPIC
from gptagent.features.organizations.model import (
    GUEST_ROLES,
    INVITATION_LIFE,
    OPEN_INVITATIONS_MAX,
    Invitation,
    Offer,
    Role,
    Workspace,
)
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from gptagent.kernel.i18n import DEFAULT_LOCALE
from gptagent.kernel.ids import new_id, new_token
from gptagent.kernel.paging import Page
from gptagent.kernel.scope import Actor, Origin, Scope

INVITATION_ORDERS = store.INVITATION_ORDERS


@dataclass(frozen=True, slots=True)
class Made:
    """An invitation. `link` is None if a letter took it along; else it is nowhere but here."""

    invitation: Invitation
    link: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Post:
    """How an invitation leaves: by a link, or by a letter that is counted."""

    links: Links
    limits: LoginLimits

    async def count(self, email: str | None, org_id: UUID) -> None:
        """Count a letter, if this takes one. Raises RateLimited."""
        if email is not None and self.links.sends_letters:
            await self.limits.check_recipient(email, org_id)


async def send_invitation(db: Database, scope: Scope, email: str | None, role: str, post: Post) -> Made:
    """Invite as `invite` does. Raises RateLimited where too many letters were sent lately."""
    await post.count(email, scope.org_id)
    async with db.session(scope) as session:
        return await invite(session, email, role, links=post.links)


async def send_invitation_again(db: Database, scope: Scope, invitation_id: UUID, post: Post) -> Made:
    """Make a new link as `resend_invitation` does. Raises RateLimited as `send_invitation`."""
    async with db.session(scope) as session:
        found = await get_invitation(session, invitation_id)
    await post.count(found.email, scope.org_id)
    async with db.session(scope) as session:
        return await resend_invitation(session, invitation_id, links=post.links)


async def invite(session: Session, email: str | None, role: str, *, links: Links) -> Made:
    """Invite whoever reads this address, by letter if letters are sent; or whoever has the link.

    A new invitation to an address takes the older ones to it back; known and unknown addresses make no
    difference.

    Raises Forbidden until the inviter's own address is confirmed, where letters are sent; Invalid on `email`
    or `role`; Conflict for a member's address or too many open invitations.
    """
    actor = session.scope.actor
    if actor.kind == "person" and actor.id is not None:
        await identity.require_verified(session, actor.id, links)
    address = _check(email, role)
    await store.lock_organization(session)
    if address and await store.is_member_address(session, address):
        fault = FieldError("email", "This person belongs to the workspace already.")
        raise Conflict("already_member", fault.message, fields=(fault,))
    for old in await store.revoke_invitations_to(session, address) if address else ():
        await _record(session, "invitation.revoked", old)
    if len(await store.select_invitations(session)) >= OPEN_INVITATIONS_MAX:
        raise Conflict("too_many_invitations", "Too many invitations are open. Take some of them back first.")
    invitation_id, token, by_letter = new_id(), new_token(), links.sends_letters and address is not None
    await store.insert_invitation(
        session,
        invitation_id,
        email=address,
        role=role,
        token_hash=hash_token(token),
        by_letter=by_letter,
        invited_by=session.scope.actor.id if session.scope.actor.kind == "person" else None,
        life=INVITATION_LIFE,
    )
    await _record(
        session, "invitation.created", invitation_id, role=(None, role), by_link=(None, not address)
    )
    return await _deliver(session, invitation_id, links, token)


async def _deliver(session: Session, invitation_id: UUID, links: Links, token: str) -> Made:
    """Send the link, or hand it to whoever may see it: the token of a letter is shown to nobody."""
    invitation, link = await get_invitation(session, invitation_id), links.to("invitation", token)
    if invitation.email is None or not links.sends_letters:
        return Made(invitation, link)
    actor = session.scope.actor
    person = await identity.get_person(session, actor.id) if actor.kind == "person" and actor.id else None
    found = await store.select_settings(session)
    values = {
        "workspace": found["name"] if found else "",
        "invited_by": person.full_name if person else "",
        "role": invitation.role,
        "link": link,
        "days": str(INVITATION_LIFE.days),
    }
    locale = found["locale"] if found else DEFAULT_LOCALE
    await mail.send_letter(session, Letter("organizations/invitation", invitation.email, locale, values))
    return Made(invitation, None)


def _check(email: str | None, role: str) -> str | None:
    """Return the address as it is compared; None for an invitation by link."""
    address = normalise_email(email) if email is not None else None
    faults = []
    if email is not None and address is None:
        faults.append(FieldError("email", "Enter a valid e-mail address."))
    if role not in GUEST_ROLES:
        faults.append(FieldError("role", "Choose one of the offered values."))
    if faults:
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
    return address


async def list_invitations(session: Session) -> list[Invitation]:
    """Return the open ones, the newest first."""
    return [Invitation(**dict(row)) for row in await store.select_invitations(session)]


async def page_invitations(session: Session, page: Page) -> tuple[list[Invitation], str | None]:
    """Return a page of the open ones, and the cursor of the next one if there is more."""
    found = [Invitation(**dict(row)) for row in await store.page_of_invitations(session, page)]
    return page.cut(found, lambda one: (getattr(one, page.order.column), one.id))


async def get_invitation(session: Session, invitation_id: UUID) -> Invitation:
    """Raise NotFound if the workspace has no such open invitation."""
    row = await store.select_invitation(session, invitation_id)
    if row is None:
        raise NotFound
    return Invitation(**dict(row))


async def revoke_invitation(session: Session, invitation_id: UUID) -> None:
    """Make an open invitation's link worthless. Raises NotFound."""
    if not await store.revoke_invitation(session, invitation_id):
        raise NotFound
    await _record(session, "invitation.revoked", invitation_id)


async def resend_invitation(session: Session, invitation_id: UUID, *, links: Links) -> Made:
    """Give an open invitation a new token and a whole week; the old link is void. Raises NotFound."""
    token = new_token()
    found = await get_invitation(session, invitation_id)
    if not await store.renew_invitation(
        session,
        invitation_id,
        hash_token(token),
        INVITATION_LIFE,
        by_letter=links.sends_letters and found.email is not None,
    ):
        raise NotFound
    await _record(session, "invitation.resent", invitation_id)
    return await _deliver(session, invitation_id, links, token)


async def find_offer(session: Session, token: str) -> Offer:
    """Return what an open invitation offers. Raises NotFound, alike for unknown, used and expired ones."""
    row = await store.invitation_by_hash(session, hash_token(token))
    if row is None:
        raise _gone()
    return Offer(**dict(row))


async def accept_invitation(db: Database, token: str, origin: Origin) -> Workspace:
    """Let the acting person in, once. Returns the workspace.

    Raises NotFound for an invitation that is not open, Forbidden if it is for another address, Conflict for
    somebody who belongs to the workspace already.
    """
    person_id = _person(origin)
    async with db.session(await _scope(db, token, origin)) as session:
        person = await identity.get_person(session, person_id)
        await _enter(session, token, person_id, person.email)
        return await _workspace(session, person_id)


async def accept_as_newcomer(
    db: Database, token: str, person: NewPerson, origin: Origin, links: Links
) -> tuple[UUID, Workspace]:
    """Create a person and let them in, in one transaction. Returns the person's id and the workspace.

    An invitation to an address fixes the newcomer's, and proves it if it went out by letter only; else, where
    letters are sent, one asks for the proof.

    Raises Invalid naming every wrong field, Conflict for a known address, NotFound for an invitation that is
    not open.
    """
    async with db.installation() as session:
        offer = await find_offer(session, token)
    command = replace(person, email=offer.email or person.email)
    if faults := identity.check_person(command):
        raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(faults))
    password_hash = await identity.hash_password(command.password)
    person_id = new_id()
    scope = Scope(
        offer.org_id, Actor("person", person_id), request_id=origin.request_id, address=origin.address
    )
    async with db.session(scope) as session:
        await identity.create_person(session, command, person_id, password_hash)
        await _enter(session, token, person_id, normalise_email(command.email) or "")
        if offer.by_letter:
            await identity.confirm_email(session, person_id)
        await identity.offer_verification(session, await identity.get_person(session, person_id), links)
        return person_id, await _workspace(session, person_id)


async def _scope(db: Database, token: str, origin: Origin) -> Scope:
    """Return the ticket to the workspace of an open invitation, with no right in it."""
    async with db.installation() as session:
        offer = await find_offer(session, token)
    return Scope(offer.org_id, origin.actor, request_id=origin.request_id, address=origin.address)


async def enter_by_address(session: Session, person_id: UUID, email: str, role: Role | None) -> None:
    """Let a person in who is known to read this mailbox: by the invitation to it, or else with this role.

    Raises Forbidden if there is neither, Conflict for somebody who belongs to the workspace already.
    """
    await _hold_place(session, person_id)
    used = await store.use_invitation(session, person_id, email=email)
    if used is not None:
        await _let_in(session, person_id, used)
    elif role is not None:
        await store.insert_member(session, person_id, role)
        entry = Entry("member.joined", "person", str(person_id), changes={"role": (None, role)})
        await audit.record(session, entry)
        await session.publish(TOPIC, "changed", {"person_id": str(person_id)})
    else:
        raise Forbidden("not_invited", "You are not invited to this workspace. Ask its owner.")


async def _enter(session: Session, token: str, person_id: UUID, email: str) -> None:
    await _hold_place(session, person_id)
    used = await store.use_invitation(session, person_id, token_hash=hash_token(token))
    if used is None:
        raise _gone()
    if used["email"] not in {None, email}:
        raise Forbidden(
            "invitation_for_another",
            "This invitation is for another e-mail address. Log in with the account it was sent to.",
        )
    await _let_in(session, person_id, used)


async def _hold_place(session: Session, person_id: UUID) -> None:
    """Lock the workspace. Raises Conflict for somebody who belongs to it."""
    await store.lock_organization(session)
    known = await store.select_member(session, person_id)
    if known is not None and known["status"] == "suspended":
        raise Conflict("member_suspended", "Your access here is suspended. Ask the administrators.")
    if known is not None:
        raise Conflict("already_member", "You belong to this workspace already.")


async def _let_in(session: Session, person_id: UUID, used: Record) -> None:
    await store.insert_member(session, person_id, used["role"], invited_by=used["invited_by"])
    await _record(session, "invitation.accepted", used["id"], role=(None, used["role"]))
    await session.publish(TOPIC, "changed", {"person_id": str(person_id)})


async def _workspace(session: Session, person_id: UUID) -> Workspace:
    for row in await store.memberships_of(session, person_id):
        if row["org_id"] == session.scope.org_id:
            return Workspace(**dict(row))
    raise _gone()  # suspended by the platform in this very moment


def _person(origin: Origin) -> UUID:
    if origin.actor.kind != "person" or origin.actor.id is None:
        raise Forbidden
    return origin.actor.id


def _gone() -> NotFound:
    return NotFound(
        "invitation_closed", "This invitation was used, taken back or has expired. Ask for a new one."
    )


async def _record(
    session: Session, action: str, invitation_id: UUID, **changes: tuple[object, object]
) -> None:
    await audit.record(session, Entry(action, "invitation", str(invitation_id), changes))
    await session.publish(TOPIC, "changed", {"invitation_id": str(invitation_id)})
