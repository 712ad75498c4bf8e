"""Members: their roles, their suspension, their leaving. An active owner always remains.

Whoever loses the right to manage keys loses with it what they may have kept copies of: the API keys they made
here and the links of their open invitations.
"""

from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.organizations import store
from gptagent.features.organizations.model import ROLES, Member, Role
from gptagent.features.organizations.policy import MANAGE_API_KEYS, PERMISSIONS, may_change
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from gptagent.kernel.paging import Page

TOPIC = "members"
MEMBER_ORDERS = store.MEMBER_ORDERS


async def list_members(session: Session) -> list[Member]:
    """Return everybody of the workspace, owners first."""
    return [Member(**dict(row)) for row in await store.select_members(session)]


async def page_members(
    session: Session, page: Page, *, role: str | None = None, status: str | None = None
) -> tuple[list[Member], str | None]:
    """Return a page of the members, and the cursor of the next one if there is more."""
    found = [Member(**dict(row)) for row in await store.page_of_members(session, page, role, status)]
    return page.cut(found, lambda one: (getattr(one, page.order.column), one.person_id))


async def get_member(session: Session, person_id: UUID, *, lock: bool = False) -> Member:
    """Raise NotFound for somebody who is no member here. `lock` keeps all as they are until the commit."""
    if lock:
        await store.lock_organization(session)
    for member in await list_members(session):
        if member.person_id == person_id:
            return member
    raise NotFound


async def change_role(session: Session, person_id: UUID, role: str) -> None:
    """Make a member an owner, administrator, member or viewer.

    Raises Invalid for an unknown role, NotFound, Forbidden by `policy.may_change`, Conflict for the last
    owner.
    """
    wanted = next((known for known in ROLES if known == role), None)
    if wanted is None:
        raise Invalid.field("role", "Choose one of the offered values.")
    before = await _hold(session, person_id, wanted)
    if before == wanted:
        return
    if before == "owner":
        await _keep_an_owner(session, person_id)
    await store.update_role(session, person_id, wanted)
    revoked = {}
    if MANAGE_API_KEYS not in PERMISSIONS[wanted]:
        revoked = await _take_back(session, person_id)
    await _record(session, "member.role_changed", person_id, role=(before, wanted), **revoked)
    if "owner" in {before, wanted}:
        await _record(
            session, "workspace.owner_added" if wanted == "owner" else "workspace.owner_removed", person_id
        )


async def suspend_member(session: Session, person_id: UUID) -> None:
    """Shut a member out until they are resumed: sessions, tokens and open streams end within seconds.

    Raises NotFound, Forbidden, Conflict for the last owner or oneself.
    """
    role = await _hold(session, person_id)
    if person_id == session.scope.actor.id:
        raise Conflict("own_membership", "You cannot suspend yourself. Ask another owner or administrator.")
    if role == "owner":
        await _keep_an_owner(session, person_id)
    await store.update_status(session, person_id, "suspended")
    await _record(session, "member.suspended", person_id, **await _put_out(session, person_id))


async def resume_member(session: Session, person_id: UUID) -> None:
    """Let a suspended member in again. Raises NotFound, Forbidden."""
    await _hold(session, person_id)
    await store.update_status(session, person_id, "active")
    await _record(session, "member.resumed", person_id)


async def remove_member(session: Session, person_id: UUID) -> None:
    """Take somebody out of the workspace. Raises NotFound, Forbidden, Conflict for the last owner."""
    role = await _hold(session, person_id)
    if role == "owner":
        await _keep_an_owner(session, person_id)
    left = person_id == session.scope.actor.id
    await store.delete_member(session, person_id)
    ended = await _put_out(session, person_id)
    await _record(session, "member.left" if left else "member.removed", person_id, **ended)


async def leave_workspace(session: Session) -> None:
    """Take oneself out of the workspace, whatever one's role. Raises Conflict for the last owner."""
    person_id = session.scope.actor.id
    if session.scope.actor.kind != "person" or person_id is None:
        raise Forbidden
    await store.lock_organization(session)
    row = await store.select_member(session, person_id)
    if row is None:
        raise NotFound
    if row["role"] == "owner":
        await _keep_an_owner(session, person_id)
    await store.delete_member(session, person_id)
    await _record(session, "member.left", person_id, **await _put_out(session, person_id))


async def _hold(session: Session, person_id: UUID, wanted: Role | None = None) -> Role:
    """Lock the workspace's members and return the role of the one to be changed.

    The actor's own role is read behind the lock as well: they may have lost it a moment ago.
    """
    await store.lock_organization(session)
    target = await store.select_member(session, person_id)
    if target is None:
        raise NotFound
    role: Role = target["role"]
    actor = session.scope.actor
    own = await store.select_member(session, actor.id) if actor.kind == "person" and actor.id else None
    if own is None or own["status"] != "active" or not may_change(own["role"], role, wanted):
        raise Forbidden
    return role


async def _keep_an_owner(session: Session, person_id: UUID) -> None:
    """Raise Conflict unless the workspace has another active owner. Needs the lock of `_hold`."""
    if not await store.has_other_owner(session, person_id):
        raise Conflict("last_owner", "A workspace keeps an owner. Make somebody else an owner first.")


async def _put_out(session: Session, person_id: UUID) -> dict[str, tuple[object, object]]:
    """End all that lets the person into this workspace. Returns what was taken back, for the record."""
    await store.end_entries(session, person_id, session.scope.org_id)
    return await _take_back(session, person_id)


async def _take_back(session: Session, person_id: UUID) -> dict[str, tuple[object, object]]:
    keys = await store.revoke_keys_of(session, person_id)
    links = await store.revoke_invitations_of(session, person_id)
    return {name: (count, 0) for name, count in (("api_keys", keys), ("invitations", links)) if count}


async def _record(session: Session, action: str, person_id: UUID, **changes: tuple[object, object]) -> None:
    await audit.record(session, Entry(action, "person", str(person_id), changes))
    await session.publish(TOPIC, "changed", {"person_id": str(person_id)})
