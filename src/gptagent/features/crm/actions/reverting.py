"""Taking a change back: the CRM is asked first whether a person has written there since."""

from dataclasses import dataclass
from uuid import UUID

from gptagent.features.crm.actions import service
from gptagent.features.crm.actions.labels import text_of
from gptagent.features.crm.actions.model import Action, held_in, same
from gptagent.features.crm.connecting.service import open_link
from gptagent.features.crm.ports import CrmPort
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Conflict, NotFound
from gptagent.kernel.scope import Scope

EDITED_SINCE = "crm_edited_since"


@dataclass(frozen=True, slots=True)
class Reverting:
    """What taking a change back needs."""

    db: Database
    crm: CrmPort
    vault: Vault


async def revert_change(
    door: Reverting, scope: Scope, connection_id: UUID, change_id: UUID, *, force: bool
) -> Action:
    """Promise to write back what stood in the field before.

    Raises Conflict(EDITED_SINCE) with `now` and `written` if the field no longer holds what was written,
    unless `force`d; the job looks once more. NotFound, Conflict for what is taken back or never was written.
    """
    async with door.db.session(scope) as session:
        change = await service.get_change(session, connection_id, change_id)
        service.check_revertible(change)
        known = await service.known_of(session, connection_id)
        link = await open_link(session, connection_id, door.vault)
    if not force:
        current = await door.crm.fetch_values(link, change.entity, change.entity_id)
        if current is None:
            raise NotFound("crm_not_found", "The CRM does not know this.")
        now = held_in(current, change.key)
        if not same(now, change.after):
            raise Conflict(
                "crm_edited_since",
                "Somebody has changed this since: it is “{now}” now, and “{written}” was written.",
                params={
                    "now": text_of(known, change.key, now),
                    "written": text_of(known, change.key, change.after),
                },
            )
    async with door.db.session(scope) as session:
        return await service.owe_revert(session, change, connection_id, force=force)
