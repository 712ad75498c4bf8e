"""A person's own data: handed out, erased."""

from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.identity import service as identity
from gptagent.features.organizations import service as organizations
from gptagent.features.privacy import store
from gptagent.features.privacy.model import Kept
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict, Forbidden, Invalid, Unauthenticated
from gptagent.kernel.files import FileStore
from gptagent.kernel.scope import PLATFORM_ID, Origin, Scope

AUDIT_ROWS = 10_000


async def export_person(db: Database, person_id: UUID, origin: Origin) -> Kept:
    """Return everything kept about a person: their own rows, memberships, and what audits say of them.

    Raises Forbidden for an administrator who looks through their eyes.
    """
    _refuse_borrowed(origin)
    async with db.installation(person_id) as session:
        kept = await store.kept_of_person(session)
        workspaces = await organizations.list_workspaces(session, person_id)
        await audit.record(session, Entry("person.exported", "person", str(person_id)), origin=origin)
    kept["memberships"] = [{"workspace": one.name, "role": one.role} for one in workspaces]
    kept["audit"] = []
    for org_id in (PLATFORM_ID, *(one.org_id for one in workspaces)):
        async with db.session(Scope(org_id, origin.actor)) as session:
            rows = await store.audit_about(session, person_id, AUDIT_ROWS)
        kept["audit"] += [{"workspace": str(org_id), **row} for row in rows]
    return kept


async def obstacles_to_erasure(session: Session, person_id: UUID) -> list[str]:
    """Return the workspaces that need another owner first; an empty name stands for the platform itself."""
    return await store.obstacles_to_erasure(session, person_id)


async def erase_person(db: Database, files: FileStore, person_id: UUID, proof: str, origin: Origin) -> None:
    """Erase a person for ever. `proof` is their password, or their e-mail address if they have none.

    Raises Invalid on `proof` if it is wrong, Conflict while a workspace or the platform would have no owner.
    """
    _refuse_borrowed(origin)
    await _check_proof(db, person_id, proof)
    async with db.installation(person_id) as session:
        await store.hold_workspaces(session, person_id)
        obstacles = await store.obstacles_to_erasure(session, person_id)
        if obstacles:
            raise _needed(obstacles)
        await audit.record(session, Entry("person.erased", "person", str(person_id)), origin=origin)
        avatar = await store.erase_person(session, person_id, origin.request_id)
    if avatar:
        await files.delete(avatar)


def _refuse_borrowed(origin: Origin) -> None:
    if origin.actor.impersonator is not None:
        raise Forbidden


async def _check_proof(db: Database, person_id: UUID, proof: str) -> None:
    async with db.installation(person_id) as session:
        person = await identity.get_person(session, person_id)
        has_password = bool((await store.kept_of_person(session))["password"])
    if not has_password:
        if proof.strip().lower() != person.email:
            raise Invalid.field("proof", "This is not your e-mail address.")
        return
    try:
        await identity.verify_password(db, person.email, proof)
    except Unauthenticated as error:
        raise Invalid.field("proof", "This is not your password.") from error


def _needed(obstacles: list[str]) -> Conflict:
    names = [name for name in obstacles if name]
    if names:
        return Conflict(
            "last_owner",
            "You are the only owner of: {workspaces}. Hand each of them over, or delete it, first.",
            params={"workspaces": ", ".join(names)},
        )
    return Conflict(
        "last_administrator",
        "You are the only administrator of the platform. Make somebody else one first.",
    )
