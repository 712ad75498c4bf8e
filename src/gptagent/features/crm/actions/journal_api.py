"""The journal over REST: what was written into deals and contacts, and taking a change back."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter

from gptagent.features.crm.actions import service
from gptagent.features.crm.actions.bodies import (
    ActionOut,
    ChangeOut,
    ChangesOut,
    CrmId,
    EvidenceOut,
    RevertBody,
)
from gptagent.features.crm.actions.labels import line_of
from gptagent.features.crm.actions.model import Change, Known
from gptagent.features.crm.actions.reverting import Reverting, revert_change
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import api_router


@dataclass(frozen=True, slots=True)
class JournalApi:
    door: Reverting

    def router(self) -> APIRouter:
        router = api_router("/connections/{connection_id}/changes", tags=["crm actions"])
        router.get("", summary="List what was written into deals and contacts, latest first")(
            self.list_changes
        )
        router.post("/{change_id}/revert", summary="Write back what stood there before", status_code=202)(
            self.revert
        )
        return router

    async def list_changes(
        self,
        scope: CurrentScope,
        connection_id: UUID,
        page: Annotated[Page, page_of(service.ORDERS, "-created_at")],
        entity: Literal["leads", "contacts"] | None = None,
        entity_id: CrmId | None = None,
    ) -> ChangesOut:
        require(scope, policy.VIEW)
        async with self.door.db.session(scope) as session:
            found, after = await service.page_changes(
                session, connection_id, page, kind=entity, record_id=entity_id
            )
            known = await service.known_of(session, connection_id)
        return ChangesOut(items=[_change_out(known, one) for one in found], next_cursor=after)

    async def revert(
        self, scope: CurrentScope, connection_id: UUID, change_id: UUID, body: RevertBody
    ) -> ActionOut:
        require(scope, policy.WORK_CONVERSATIONS)
        done = await revert_change(self.door, scope, connection_id, change_id, force=body.force)
        return ActionOut.model_validate(done)


def _change_out(known: Known, change: Change) -> ChangeOut:
    line = line_of(known, change)
    evidence = EvidenceOut.model_validate(change.evidence)
    own = (
        "id",
        "action_id",
        "entity",
        "entity_id",
        "key",
        "actor_kind",
        "actor_id",
        "reverts",
        "reverted_at",
        "may_be_reverted",
        "created_at",
        "written_at",
    )
    facts = {name: getattr(change, name) for name in own}
    return ChangeOut(**facts, field=line.field, before=line.before, after=line.after, evidence=evidence)
