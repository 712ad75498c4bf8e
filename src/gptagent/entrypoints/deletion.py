"""Deleting workspaces whose time has come: the CRM's webhooks, the files, then every row.

Each step may be done again, so a worker that dies in between leaves nothing half-deleted for good.
"""

from uuid import UUID

import structlog

from gptagent.bootstrap import Platform
from gptagent.features.crm import service as crm
from gptagent.features.organizations import service as organizations
from gptagent.kernel.errors import AppError, NotFound, OutcomeUnknown
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)


async def delete_due_workspaces(platform: Platform) -> int:
    """Delete what is due. Returns how many workspaces are gone; the rest waits for a CRM that is away."""
    async with platform.db.installation() as session:
        due = await organizations.list_due_deletions(session)
    return sum([await _delete(platform, org_id) for org_id in due])


async def _delete(platform: Platform, org_id: UUID) -> bool:
    scope = Scope(org_id)
    if not await _unhooked(platform, scope):
        return False
    prefix = scope.key()
    await platform.files.delete_below(prefix)
    async with platform.db.installation() as session:
        is_gone = await organizations.delete_workspace(session, org_id)
    if is_gone:  # what was uploaded meanwhile
        await platform.files.delete_below(prefix)
    return is_gone


async def _unhooked(platform: Platform, scope: Scope) -> bool:
    """Whether no CRM calls us any more. One that refuses the token cannot be told: it counts as told."""
    async with platform.db.session(scope) as session:
        connections = await crm.list_connections(session)
    for connection in connections:
        error = await _unhook(platform, scope, connection.id)
        if error is not None:
            log.warning("webhook_not_removed", error=error.code, connection_id=str(connection.id))
        if error is not None and (error.retryable or isinstance(error, OutcomeUnknown)):
            return False
    return True


async def _unhook(platform: Platform, scope: Scope, connection_id: UUID) -> AppError | None:
    try:
        return await crm.unhook_crm(
            platform.db,
            scope,
            connection_id,
            crm=platform.crm,
            vault=platform.vault,
            public_url=platform.settings.base_url,
        )
    except NotFound:  # disconnected by somebody in this moment
        return None
