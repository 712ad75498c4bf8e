"""The audit over REST."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from gptagent.features.admin.audit_lines import ExportFormat, export, read_lines
from gptagent.features.audit.model import Wanted
from gptagent.features.audit.service import PAGE_SIZE
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope, Moment, QueryText, Wire

MAX_SEQ = 2**63 - 1
LIMIT_MAX = 200
EXPORTED: Mapping[int | str, dict[str, Any]] = {
    200: {"content": {"text/csv": {"schema": {"type": "string"}}, "application/jsonl": {}}}
}


class AuditRowOut(Wire):
    """`changes`: field -> [before, after], null where the values are personal. Names are null once erased."""

    seq: int
    at: datetime
    actor_kind: str
    actor_id: UUID | None
    actor_name: str | None
    acting_for: UUID | None
    acting_for_name: str | None
    action: str
    target_kind: str
    target_id: str
    target_name: str | None
    changes: dict[str, Any]
    personal: dict[str, str] | None
    address: str | None
    request_id: str
    hash: str


class AuditOut(Wire):
    """`next` is the cursor of the following page: send it as `before`."""

    items: list[AuditRowOut]
    next: int | None


def _wanted(
    action: QueryText | None = None,
    person: UUID | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> Wanted:
    return Wanted(action, person, since, until)


WantedRows = Annotated[Wanted, Depends(_wanted)]


@dataclass(frozen=True, slots=True)
class AuditApi:
    """`prefix` and `needs`: the audit of the caller's workspace, or of the platform."""

    db: Database
    prefix: str = "/api/v1/audit"
    needs: str = policy.READ_AUDIT

    def router(self) -> APIRouter:
        router = APIRouter(prefix=self.prefix, tags=["audit"])
        router.get("")(self.list)
        router.get("/export", response_class=Response, responses=dict(EXPORTED))(self.export)
        return router

    async def list(
        self,
        scope: CurrentScope,
        wanted: WantedRows,
        before: Annotated[int | None, Query(ge=1, le=MAX_SEQ)] = None,
        limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = PAGE_SIZE,
    ) -> AuditOut:
        """Return rows, the newest first."""
        require(scope, self.needs)
        lines = await read_lines(self.db, scope, wanted, before=before, limit=limit + 1)
        items = [AuditRowOut.model_validate(line.facts()) for line in lines[:limit]]
        return AuditOut(items=items, next=items[-1].seq if len(lines) > limit else None)

    async def export(
        self,
        scope: CurrentScope,
        wanted: WantedRows,
        form: Annotated[ExportFormat, Query(alias="format")] = "jsonl",
    ) -> Response:
        """Return all rows as CSV or JSON lines. That they were exported is itself recorded."""
        require(scope, self.needs)
        return await export(self.db, scope, wanted, form)


def platform_audit_api(db: Database) -> AuditApi:
    return AuditApi(db, "/api/v1/admin/audit", policy.PLATFORM_VIEW)
