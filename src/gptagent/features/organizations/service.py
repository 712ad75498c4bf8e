"""Verbs of workspaces."""

from uuid import UUID

from gptagent.features.identity.service import hash_token
from gptagent.features.organizations import store
from gptagent.features.organizations.model import NAME_MAX_CHARS, Role, Workspace, make_slug
from gptagent.features.organizations.policy import KEY_SCOPES, PERMISSIONS, PLATFORM_PERMISSIONS
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Forbidden, Invalid
from gptagent.kernel.i18n import DEFAULT_LOCALE
from gptagent.kernel.scope import PLATFORM_ID, Actor, Origin, Scope


async def create_workspace(session: Session, name: str, *, owner_id: UUID, locale: str) -> None:
    """Create the scope's workspace with its owner. Raises Invalid on `organization`."""
    clean = name.strip()
    if not 1 <= len(clean) <= NAME_MAX_CHARS:
        raise Invalid.field("organization", "Enter the company's name.")
    await store.insert_organization(session, session.scope.org_id, clean, make_slug(clean), locale)
    await store.insert_member(session, owner_id, "owner")


async def list_workspaces(session: Session, person_id: UUID) -> list[Workspace]:
    """Return the workspaces a person belongs to, the first joined first."""
    return [Workspace(**dict(row)) for row in await store.memberships_of(session, person_id)]


async def add_member(session: Session, person_id: UUID, role: Role) -> None:
    """Let a person into the scope's workspace."""
    await store.insert_member(session, person_id, role)


async def take_invitation(session: Session, email: str) -> Role | None:
    """Use up an open invitation to this address and return its role; None if there is none.

    The caller knows that whoever asks reads the mailbox.
    """
    role = await store.take_invitation(session, email)
    return next((known for known in PERMISSIONS if known == role), None)


async def get_locale(session: Session) -> str:
    """Return the workspace's language: what the platform writes into its CRM is in it."""
    return await store.select_locale(session) or DEFAULT_LOCALE


async def find_api_key(session: Session, key: str) -> Scope | None:
    """Return what a program with this key may do and where; None if no key in use is that one."""
    row = await store.api_key_by_hash(session, hash_token(key))
    if row is None:
        return None
    # A right that keys may no longer have counts for nothing.
    allowed = PLATFORM_PERMISSIONS if row["org_id"] == PLATFORM_ID else KEY_SCOPES
    return Scope(row["org_id"], Actor("api_key", row["key_id"]), frozenset(row["scopes"]) & allowed)


def scope_of(workspace: Workspace, origin: Origin) -> Scope:
    """Return the ticket a member's request travels with."""
    return Scope(
        org_id=workspace.org_id,
        actor=origin.actor,
        permissions=PERMISSIONS[workspace.role],
        request_id=origin.request_id,
        address=origin.address,
    )


def require(scope: Scope, permission: str) -> None:
    """Raise Forbidden unless the scope carries the permission."""
    if permission not in scope.permissions:
        raise Forbidden
