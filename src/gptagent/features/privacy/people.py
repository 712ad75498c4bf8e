"""A person's own data: handed out, erased."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import partial
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry, Recorded
from gptagent.features.identity import service as identity
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.model import Workspace
from gptagent.features.privacy import store
from gptagent.features.privacy.exports import Rows, pages_of, written
from gptagent.features.privacy.keeping import store as keeping
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Unauthenticated
from gptagent.kernel.files import FileStore
from gptagent.kernel.scope import PLATFORM_ID, Origin, Scope

AUDIT_ROWS = 200  # of one transaction


async def export_person(
    db: Database, files: FileStore, person_id: UUID, origin: Origin
) -> AsyncIterator[bytes]:
    """Return the pieces of a JSON file with everything kept about a person: their own rows, picture and
    memberships, and what audits say of them. That it was exported is recorded first.

    Raises Forbidden for an administrator who looks through their eyes.
    """
    _refuse_borrowed(origin)
    async with db.installation(person_id) as session:
        person = await identity.get_person(session, person_id)
        workspaces = await organizations.list_workspaces(session, person_id)
        await audit.record(session, Entry("person.exported", "person", str(person_id)), origin=origin)
    own = partial(db.installation, person_id)
    chains = [Scope(org_id, origin.actor) for org_id in (PLATFORM_ID, *(one.org_id for one in workspaces))]
    return written(
        {
            **{kind: pages_of(own, [query]) for kind, query in keeping.KEPT_OF_PERSON.items()},
            "picture": _picture(files, person.avatar_key),
            "memberships": _memberships(workspaces),
            "audit": _audit(db, chains, person_id),
        }
    )


async def _picture(files: FileStore, key: str | None) -> Rows:
    if key is None:
        return
    with suppress(NotFound):  # another one has taken its place meanwhile
        content = await asyncio.to_thread((await files.open_path(key)).read_bytes)
        yield [json.dumps({"media_type": "image/webp", "base64": base64.b64encode(content).decode()})]


async def _memberships(workspaces: Sequence[Workspace]) -> Rows:
    yield [json.dumps({"workspace": one.name, "role": one.role}, ensure_ascii=False) for one in workspaces]


async def _audit(db: Database, chains: Sequence[Scope], person_id: UUID) -> Rows:
    for scope in chains:
        before: int | None = None
        while True:
            async with db.session(scope) as session:
                found = await audit.list_about(session, person_id, before=before, limit=AUDIT_ROWS)
            yield [_told(scope, row, person_id) for row in found]
            if len(found) < AUDIT_ROWS:
                break
            before = found[-1].seq


def _told(scope: Scope, row: Recorded, person_id: UUID) -> str:
    """Return what a row says of the person; of others who appear in it, nothing but that it was not they."""
    by_person = row.actor_id == person_id
    told = {
        "workspace": str(scope.org_id),
        "seq": row.seq,
        "at": row.at.isoformat(),
        "action": row.action,
        "target_kind": row.target_kind,
        "target_id": row.target_id,
        "changes": row.changes,
        "by_person": by_person,
        "address": row.address if by_person else None,
        "personal": row.personal if row.personal_of == person_id else None,
    }
    return json.dumps(told, ensure_ascii=False)


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
        has_password = await store.has_password(session)
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
