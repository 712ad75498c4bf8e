"""Verbs of workspaces: the workspace itself, its members, its invitations, and what a credential opens."""

from gptagent.features.identity.service import hash_token
from gptagent.features.organizations import store
from gptagent.features.organizations.invitations import (
    INVITATION_ORDERS,
    Made,
    Post,
    accept_as_newcomer,
    accept_invitation,
    enter_by_address,
    find_offer,
    get_invitation,
    invite,
    list_invitations,
    page_invitations,
    resend_invitation,
    revoke_invitation,
    send_invitation,
    send_invitation_again,
)
from gptagent.features.organizations.members import (
    MEMBER_ORDERS,
    change_role,
    get_member,
    leave_workspace,
    list_members,
    page_members,
    remove_member,
    resume_member,
    suspend_member,
)
from gptagent.features.organizations.model import Workspace
from gptagent.features.organizations.policy import KEY_SCOPES, NOT_BORROWED, PERMISSIONS, PLATFORM_PERMISSIONS
from gptagent.features.organizations.workspaces import (
    WORKSPACE_ORDERS,
    Silence,
    cancel_deletion,
    create_workspace,
    delete_workspace,
    find_silence,
    get_entitlements,
    get_settings,
    get_stopping,
    list_due_deletions,
    list_workspaces,
    open_workspace,
    page_workspaces,
    request_deletion,
    update_settings,
)
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Forbidden
from gptagent.kernel.i18n import DEFAULT_LOCALE
from gptagent.kernel.scope import PLATFORM_ID, Actor, Origin, Scope

__all__ = [
    "INVITATION_ORDERS",
    "MEMBER_ORDERS",
    "WORKSPACE_ORDERS",
    "Made",
    "Post",
    "Silence",
    "accept_as_newcomer",
    "accept_invitation",
    "cancel_deletion",
    "change_role",
    "create_workspace",
    "delete_workspace",
    "enter_by_address",
    "find_api_key",
    "find_offer",
    "find_silence",
    "get_entitlements",
    "get_invitation",
    "get_locale",
    "get_member",
    "get_settings",
    "get_stopping",
    "invite",
    "leave_workspace",
    "list_due_deletions",
    "list_invitations",
    "list_members",
    "list_workspaces",
    "open_workspace",
    "page_invitations",
    "page_members",
    "page_workspaces",
    "remove_member",
    "request_deletion",
    "require",
    "resend_invitation",
    "resume_member",
    "revoke_invitation",
    "scope_of",
    "send_invitation",
    "send_invitation_again",
    "suspend_member",
    "update_settings",
]


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
    given = PERMISSIONS[workspace.role]
    return Scope(
        org_id=workspace.org_id,
        actor=origin.actor,
        permissions=given - NOT_BORROWED if origin.actor.impersonator else given,
        request_id=origin.request_id,
        address=origin.address,
    )


def require(scope: Scope, permission: str) -> None:
    """Raise Forbidden unless the scope carries the permission."""
    if permission not in scope.permissions:
        raise Forbidden
