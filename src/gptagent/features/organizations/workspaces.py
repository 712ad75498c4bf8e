"""Workspaces: made, renamed, deleted after a time in which an owner may change their mind."""

import re
from collections.abc import Mapping
from typing import Literal
from uuid import UUID

from gptagent.features.audit import service as audit
from gptagent.features.audit.model import Entry
from gptagent.features.identity import service as identity
from gptagent.features.organizations import store
from gptagent.features.organizations.model import (
    COMMAND_MAX_CHARS,
    COMMAND_MIN_CHARS,
    DELETION_GRACE,
    ENTITLEMENTS,
    NAME_MAX_CHARS,
    OWNED_WORKSPACES_MAX,
    RESUME_MAX_HOURS,
    SLUG_MAX_CHARS,
    Entitlements,
    Stopping,
    Workspace,
    WorkspaceSettings,
    make_slug,
)
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict, FieldError, Invalid, NotFound
from gptagent.kernel.i18n import LOCALES
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page
from gptagent.kernel.scope import Origin, Scope

WORKSPACE_ORDERS = store.WORKSPACE_ORDERS
SECOND_FACTOR = "needs_second_factor"
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


async def create_workspace(session: Session, name: str, *, owner_id: UUID, locale: str) -> None:
    """Create the scope's workspace with its owner. Raises Invalid on `organization`."""
    clean = name.strip()
    if not 1 <= len(clean) <= NAME_MAX_CHARS:
        raise Invalid.field("organization", "Enter the company's name.")
    org_id = session.scope.org_id
    await store.insert_organization(session, org_id, clean, make_slug(clean), locale)
    await store.insert_member(session, owner_id, "owner")
    await audit.record(session, Entry("workspace.created", "workspace", str(org_id)))


async def open_workspace(
    db: Database, name: str, *, locale: str, origin: Origin, person_id: UUID
) -> Workspace:
    """Create a further workspace of a person, who owns it.

    Raises Invalid on `organization`, Conflict for somebody who owns as many as one may.
    """
    scope = Scope(new_id(), origin.actor, request_id=origin.request_id, address=origin.address)
    async with db.session(scope) as session:
        known = await list_workspaces(session, person_id)
        if sum(one.role == "owner" for one in known) >= OWNED_WORKSPACES_MAX:
            raise Conflict("too_many_workspaces", "You own as many workspaces as one person may.")
        await create_workspace(session, name, owner_id=person_id, locale=locale)
        made = await list_workspaces(session, person_id)
    return next(one for one in made if one.org_id == scope.org_id)


async def list_workspaces(session: Session, person_id: UUID) -> list[Workspace]:
    """Return the workspaces a person belongs to, the first joined first."""
    return [Workspace(**dict(row)) for row in await store.memberships_of(session, person_id)]


async def page_workspaces(
    session: Session, person_id: UUID, page: Page
) -> tuple[list[Workspace], str | None]:
    """Return a page of a person's workspaces, and the cursor of the next one if there is more."""
    found = [Workspace(**dict(row)) for row in await store.page_of_memberships(session, person_id, page)]
    return page.cut(found, lambda one: (getattr(one, page.order.column), one.org_id))


async def get_settings(session: Session, *, lock: bool = False) -> WorkspaceSettings:
    """Raise NotFound if the workspace is gone. `lock` keeps it as it is until the commit."""
    if lock:
        await store.lock_organization(session)
    row = await store.select_settings(session)
    if row is None:
        raise NotFound
    return WorkspaceSettings(**dict(row))


async def get_stopping(session: Session) -> Stopping:
    """Return what happens when a person writes. Raises NotFound if the workspace is gone."""
    row = await store.select_stopping(session)
    if row is None:
        raise NotFound
    return Stopping(**dict(row))


async def get_entitlements(session: Session) -> Entitlements:
    """Return what the workspace's plan lets it keep. Raises NotFound if the workspace is gone."""
    plan = await store.select_plan(session)
    if plan is None:
        raise NotFound
    return ENTITLEMENTS[plan]


async def update_settings(session: Session, changes: Mapping[str, object]) -> WorkspaceSettings:
    """Change name, slug, language, what a person's message does, or whether a second factor is asked for.

    Without a slug of its own, a new name makes one. Old addresses still lead here: their number decides.
    Raises Invalid naming every wrong field; a second factor is asked for only by somebody who has one.
    """
    clean = {key: value.strip() if isinstance(value, str) else value for key, value in changes.items()}
    if faults := tuple(fault for key, value in clean.items() if (fault := _fault(key, value))):
        raise Invalid("invalid", "Please correct the marked fields.", fields=faults)
    if "name" in clean and not clean.get("slug"):
        clean["slug"] = make_slug(str(clean["name"]))
    await store.lock_organization(session)
    before = await get_settings(session)
    changed = {
        key: (getattr(before, key), value) for key, value in clean.items() if getattr(before, key) != value
    }
    if changed.get(SECOND_FACTOR, (None, False))[1]:
        await _require_own_factor(session)
    if changed:
        await store.update_settings(session, {key: value for key, (_old, value) in changed.items()})
        await _record(session, changed)
    return await get_settings(session)


async def _require_own_factor(session: Session) -> None:
    """Nobody asks of others what would keep themselves out."""
    who = session.scope.actor
    if who.id is None or not await identity.has_any_factor(session, who.id):
        raise Invalid.field(SECOND_FACTOR, "Set up an authenticator app or a passkey of your own first.")


async def _record(session: Session, changed: dict[str, tuple[object, object]]) -> None:
    """Record a change; that of who gets in has a word of its own."""
    access = {key: pair for key, pair in changed.items() if key == SECOND_FACTOR}
    others = {key: pair for key, pair in changed.items() if key != SECOND_FACTOR}
    org_id = str(session.scope.org_id)
    if others:
        is_named = bool(others.keys() & {"name", "slug"})
        entry = Entry("workspace.renamed" if is_named else "workspace.updated", "workspace", org_id, others)
        await audit.record(session, entry)
    if access:
        await audit.record(session, Entry("workspace.second_factor_changed", "workspace", org_id, access))


def _fault(key: str, value: object) -> FieldError | None:
    text = value if isinstance(value, str) else ""
    if key == "name":
        limits = {"low": 1, "high": NAME_MAX_CHARS}
        fits = 1 <= len(text) <= NAME_MAX_CHARS
        return None if fits else FieldError(key, "From {low} to {high} characters.", limits)
    if key == "slug":
        fits = not text or (len(text) <= SLUG_MAX_CHARS and _SLUG.fullmatch(text) is not None)
        message = "Latin small letters, digits and single hyphens, at most {limit} characters."
        return None if fits else FieldError(key, message, {"limit": SLUG_MAX_CHARS})
    if key == SECOND_FACTOR:
        return None if isinstance(value, bool) else FieldError(key, "Choose one of the offered values.")
    if key in {"stop_on_human", "resume_after_hours", "resume_command"}:
        return _fault_of_stopping(key, value)
    if key == "locale":
        return None if value in LOCALES else FieldError(key, "Choose one of the offered values.")
    return FieldError(key, "There is no such setting.")


def _fault_of_stopping(key: str, value: object) -> FieldError | None:
    if key == "stop_on_human":
        return None if isinstance(value, bool) else FieldError(key, "Choose one of the offered values.")
    if key == "resume_after_hours":
        hours = {"low": 0, "high": RESUME_MAX_HOURS}
        fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= RESUME_MAX_HOURS
        return None if fits else FieldError(key, "A whole number from {low} to {high}.", hours)
    chars = {"low": COMMAND_MIN_CHARS, "high": COMMAND_MAX_CHARS}
    fits = isinstance(value, str) and COMMAND_MIN_CHARS <= len(value) <= COMMAND_MAX_CHARS
    return None if fits else FieldError(key, "From {low} to {high} characters.", chars)


async def request_deletion(session: Session, typed_name: str) -> WorkspaceSettings:
    """Delete the workspace after DELETION_GRACE, unless an owner takes it back; agents fall silent at once.

    `typed_name` is the workspace's, to show that this one is meant: Invalid on `name` otherwise.
    """
    await store.lock_organization(session)
    found = await get_settings(session)
    if typed_name.strip() != found.name:
        raise Invalid.field("name", "Type the workspace's name exactly as it is.")
    if await store.mark_for_deletion(session, DELETION_GRACE):
        await _note(session, "workspace.deletion_requested")
    return await get_settings(session)


async def cancel_deletion(session: Session) -> WorkspaceSettings:
    """Keep the workspace after all, if somebody wanted to delete it. Raises Conflict if it is too late."""
    await store.lock_organization(session)
    if await store.unmark_for_deletion(session):
        await _note(session, "workspace.deletion_cancelled")
    found = await get_settings(session)
    if found.delete_at is not None:
        raise Conflict("deletion_due", "It is too late: the workspace is being deleted.")
    return found


async def list_due_deletions(session: Session) -> list[UUID]:
    """Return the workspaces whose time has come."""
    return await store.workspaces_to_delete(session)


async def delete_workspace(session: Session, org_id: UUID) -> bool:
    """Delete all rows of a workspace that is due; its audit chain's head stays. False if it is not due."""
    return await store.delete_workspace(session, org_id)


Silence = Literal["workspace_suspended", "workspace_deletion"]


async def find_silence(session: Session) -> Silence | None:
    """Return why no agent of this workspace may speak, or None if they may."""
    row = await store.select_silence(session)
    if row is None or row["suspended_at"] is not None:
        return "workspace_suspended"
    return "workspace_deletion" if row["delete_at"] is not None else None


async def _note(session: Session, action: str) -> None:
    org_id = str(session.scope.org_id)
    await audit.record(session, Entry(action, "workspace", org_id))
