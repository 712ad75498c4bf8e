"""Looking through a person's eyes: in one workspace, for a reason, for an hour; both chains tell of it.

That it ended is recorded by a trigger of the table, whether a button, the person or its time ended it.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from gptagent.features.admin import service, store
from gptagent.features.admin.model import IMPERSONATION_LIFE, OrganizationRow
from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.identity import service as identity
from gptagent.features.organizations.policy import PERMISSIONS
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Forbidden, Invalid, NotFound
from gptagent.kernel.ids import new_id, new_token
from gptagent.kernel.scope import Actor, Scope


@dataclass(frozen=True, slots=True)
class Impersonate:
    """`number` is the workspace's. `device` is the administrator's, as the person will see it."""

    person_id: UUID
    number: int
    reason: str = field(repr=False)
    device: str = ""


@dataclass(frozen=True, slots=True)
class Begun:
    """The new log-in and the workspace it enters. `token` is for a browser's cookie."""

    session_id: UUID
    org_id: UUID
    token: str = field(repr=False)
    place: OrganizationRow


async def begin_impersonation(db: Database, scope: Scope, command: Impersonate, *, now: datetime) -> Begun:
    """Log an administrator in as a person.

    Raises Invalid on `reason`, NotFound, Forbidden for oneself and for another administrator.
    """
    reason = service.check_reason(command.reason)
    admin_id = _acting(scope)
    async with db.session(scope) as session:
        await check_target(session, command.person_id)
        org_id = await _entered(session, command)
        place = await service.get_organization(session, command.number)
    session_id, token = new_id(), new_token()
    actor = Actor("person", command.person_id, impersonator=admin_id)
    inside = Scope(org_id, actor, PERMISSIONS["viewer"], scope.request_id, scope.address)
    entry = Entry(
        "impersonation.started",
        "person",
        str(command.person_id),
        {"reason": None, "workspace": (None, command.number)},
        personal={"reason": reason},
        personal_of=command.person_id,
    )
    async with db.session(inside) as session:
        await store.insert_impersonation(
            session,
            session_id,
            identity.hash_token(token),
            now + IMPERSONATION_LIFE,
            device=command.device,
            impersonator=admin_id,
            reason=reason,
        )
        await audit.record(session, entry)
        await audit.record(session, entry, on_platform=True)
    return Begun(session_id, org_id, token, place)


def _acting(scope: Scope) -> UUID:
    """Return the administrator. Raises Forbidden for a program: nobody would answer for it."""
    if scope.actor.kind != "person" or scope.actor.id is None:
        raise Forbidden
    return scope.actor.id


async def end_impersonation(db: Database, scope: Scope, person_id: UUID) -> None:
    """End whatever the acting administrator has begun with this person's eyes. Raises NotFound for nobody."""
    async with db.session(scope) as session:
        await service.get_person(session, person_id)
    async with db.installation(person_id) as session:
        await store.end_impersonations(session, scope.actor.id)


async def check_target(session: Session, person_id: UUID) -> None:
    """Raise Forbidden for an administrator, so for oneself, NotFound for who cannot log in."""
    person = await service.get_person(session, person_id)
    if person_id == session.scope.actor.id or person.is_platform_admin:
        raise Forbidden("administrator_protected", "Nobody enters the account of an administrator.")
    if person.suspended_at is not None or person.erased_at is not None:
        raise NotFound


async def _entered(session: Session, command: Impersonate) -> UUID:
    for one in await service.list_memberships(session, command.person_id):
        if one.number == command.number and one.is_open:
            return one.org_id
    raise Invalid.field("workspace", "The person cannot enter this workspace.")
