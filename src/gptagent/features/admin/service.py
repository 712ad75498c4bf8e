"""Verbs of administration. All need a transaction of the platform itself, but for impersonation."""

from dataclasses import replace
from uuid import UUID

from asyncpg import Record

from gptagent.features.admin import store
from gptagent.features.admin.model import (
    PAGE_SIZE,
    REASON_MAX_CHARS,
    REASON_MIN_CHARS,
    Figures,
    MemberRow,
    MembershipRow,
    OrganizationRow,
    PersonRow,
)
from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, Forbidden, Invalid, NotFound


async def list_organizations(
    session: Session, search: str = "", *, before: int | None = None, limit: int = PAGE_SIZE
) -> list[OrganizationRow]:
    """Return workspaces by a part of the name or by the number, the newest first."""
    rows = await store.organizations(session, search=search.strip(), before=before, limit=limit)
    return [OrganizationRow(**dict(row)) for row in rows]


async def get_organization(session: Session, number: int) -> OrganizationRow:
    """Raise NotFound."""
    for row in await store.organizations(session, number=number):
        return OrganizationRow(**dict(row))
    raise NotFound


async def list_members(session: Session, org_id: UUID) -> list[MemberRow]:
    return [MemberRow(**dict(row)) for row in await store.members(session, org_id)]


async def suspend_organization(session: Session, number: int, reason: str) -> None:
    """Nobody enters the workspace from now on, and its agents are silent. Raises Invalid, NotFound."""
    told = check_reason(reason)
    found = await get_organization(session, number)
    if await store.suspend_organization(session, found.org_id, suspended=True):
        await _record(session, "workspace.suspended", "workspace", found.org_id, told)


async def resume_organization(session: Session, number: int) -> None:
    """Raise NotFound."""
    found = await get_organization(session, number)
    if await store.suspend_organization(session, found.org_id, suspended=False):
        await _record(session, "workspace.resumed", "workspace", found.org_id)


async def list_people(
    session: Session, search: str = "", *, before: UUID | None = None, limit: int = PAGE_SIZE
) -> list[PersonRow]:
    """Return people by the exact address or the beginning of the name, the newest first."""
    rows = await store.people(session, search=search.strip(), before=before, limit=limit)
    return [PersonRow(**dict(row)) for row in rows]


async def get_person(session: Session, person_id: UUID) -> PersonRow:
    """Raise NotFound."""
    for row in await store.people(session, person_id=person_id):
        return PersonRow(**dict(row))
    raise NotFound


async def list_memberships(session: Session, person_id: UUID) -> list[MembershipRow]:
    return [MembershipRow(**dict(row)) for row in await store.memberships(session, person_id)]


async def suspend_person(session: Session, person_id: UUID, reason: str) -> None:
    """Put a person out: log-ins, tokens and open streams end at once, and no new log-in succeeds.

    Raises Invalid, NotFound, Forbidden for oneself, Conflict for the last administrator.
    """
    told = check_reason(reason)
    if person_id == session.scope.actor.id:
        raise Forbidden("own_account", "Not your own account: ask another administrator.")
    if _changed(await store.suspend_person(session, person_id, suspended=True)):
        await _record(session, "person.suspended", "person", person_id, told)


async def resume_person(session: Session, person_id: UUID) -> None:
    """Let a person log in again. Raises NotFound."""
    if _changed(await store.suspend_person(session, person_id, suspended=False)):
        await _record(session, "person.resumed", "person", person_id)


async def appoint_administrator(session: Session, person_id: UUID) -> None:
    """Raise NotFound."""
    if _changed(await store.appoint(session, person_id, appointed=True)):
        await _record(session, "administrator.appointed", "person", person_id)


async def dismiss_administrator(session: Session, person_id: UUID) -> None:
    """Take the right, and keys and impersonations with it. Raises NotFound, Conflict for the last one."""
    if _changed(await store.appoint(session, person_id, appointed=False)):
        await _record(session, "administrator.dismissed", "person", person_id)


async def get_figures(session: Session) -> Figures:
    row: Record | None = await store.figures(session)
    if row is None:
        raise NotFound
    return Figures(**dict(row))


def check_reason(reason: str) -> str:
    """Return the reason trimmed. Raises Invalid unless it says something."""
    told = " ".join(reason.split())
    if not REASON_MIN_CHARS <= len(told) <= REASON_MAX_CHARS:
        raise Invalid.field(
            "reason", "Say why in {low} to {high} characters.", low=REASON_MIN_CHARS, high=REASON_MAX_CHARS
        )
    return told


def _changed(outcome: str) -> bool:
    if outcome == "missing":
        raise NotFound
    if outcome == "last":
        raise Conflict("last_administrator", "The last administrator stays: appoint another one first.")
    return outcome == "done"


async def _record(session: Session, action: str, kind: str, target: UUID, reason: str = "") -> None:
    """Record in the platform's chain. A reason is free text, so it is kept under the actor's own key."""
    entry = Entry(action, kind, str(target), {"reason": None} if reason else {})
    actor = session.scope.actor
    if reason and actor.kind == "person" and actor.id is not None:
        entry = replace(entry, personal={"reason": reason}, personal_of=actor.id)
    await audit.record(session, entry)
