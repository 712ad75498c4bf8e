"""Runs over REST: ask for one, see how far it is."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from gptagent.features.crm.syncing import service
from gptagent.features.crm.syncing.model import PartName, PartState, SyncKind, SyncState
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope, Wire
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import api_router


class PartOut(Wire):
    """`added` and `removed` count what the mirror did not have before, and what the CRM no longer has."""

    name: PartName
    state: PartState
    read: int
    added: int
    removed: int
    since: datetime | None
    error: str | None


class SyncOut(Wire):
    id: UUID
    connection_id: UUID
    kind: SyncKind
    state: SyncState
    is_full: bool
    parts: list[PartOut]
    error_code: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class SyncsOut(Wire):
    items: list[SyncOut]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class SyncsApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/connections/{connection_id}/syncs", tags=["connections"])
        router.post("", status_code=202, summary="Read the CRM account now, or join the run under way")(
            self.request_sync
        )
        router.get("", summary="List the runs that read the CRM account, latest first")(self.list_syncs)
        router.get("/{sync_id}", summary="Get a run with its parts")(self.get_sync)
        return router

    async def request_sync(self, scope: CurrentScope, connection_id: UUID) -> SyncOut:
        require(scope, policy.MANAGE_CONNECTIONS)
        async with self.db.session(scope) as session:
            return SyncOut.model_validate(await service.request_sync(session, connection_id, "manual"))

    async def list_syncs(
        self,
        scope: CurrentScope,
        connection_id: UUID,
        page: Annotated[Page, page_of(service.ORDERS, "-created_at")],
    ) -> SyncsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_syncs(session, connection_id, page)
        return SyncsOut(items=[SyncOut.model_validate(one) for one in found], next_cursor=after)

    async def get_sync(self, scope: CurrentScope, connection_id: UUID, sync_id: UUID) -> SyncOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return SyncOut.model_validate(await service.get_sync(session, connection_id, sync_id))
