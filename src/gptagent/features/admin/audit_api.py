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
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope, Moment, QueryText, Wire
from gptagent.kernel.paging import Order, Page, page_of
from gptagent.kernel.rest import api_router
from gptagent.kernel.scope import Scope

ORDERS = {"-seq": Order("-seq", "seq", "number", descending=True, id_column="seq", id_type="bigint")}
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
    items: list[AuditRowOut]
    next_cursor: str | None


def _wanted(
    action: QueryText | None = None,
    person: UUID | None = None,
    since: Moment | None = None,
    until: Moment | None = None,
) -> Wanted:
    return Wanted(action, person, since, until)


WantedRows = Annotated[Wanted, Depends(_wanted)]
AuditPage = Annotated[Page, page_of(ORDERS, "-seq")]
Format = Annotated[ExportFormat, Query(alias="format")]


async def _list(db: Database, scope: Scope, wanted: Wanted, page: Page) -> AuditOut:
    before = int(page.after[1]) if page.after else None
    lines = await read_lines(db, scope, wanted, before=before, limit=page.limit + 1)
    items, after = page.cut(lines, lambda line: (line.row.seq, line.row.seq))
    return AuditOut(items=[AuditRowOut.model_validate(line.facts()) for line in items], next_cursor=after)


@dataclass(frozen=True, slots=True)
class AuditApi:
    """Of a workspace, for its owners."""

    db: Database

    def router(self) -> APIRouter:
        router = api_router("/audit", tags=["audit"])
        router.get("", summary="List privileged actions, the newest first")(self.list)
        router.get(
            "/export", response_class=Response, responses=dict(EXPORTED), summary="Export them as a file"
        )(self.export)
        return router

    async def list(self, scope: CurrentScope, wanted: WantedRows, page: AuditPage) -> AuditOut:
        require(scope, policy.READ_AUDIT)
        return await _list(self.db, scope, wanted, page)

    async def export(self, scope: CurrentScope, wanted: WantedRows, form: Format = "jsonl") -> Response:
        """Return all rows as CSV or JSON lines. That they were exported is itself recorded."""
        require(scope, policy.READ_AUDIT)
        return await export(self.db, scope, wanted, form)


@dataclass(frozen=True, slots=True)
class PlatformAuditApi:
    """Of the platform, for its administrators."""

    db: Database

    def router(self) -> APIRouter:
        router = api_router("/admin/audit", tags=["administration"])
        router.get("", summary="List privileged actions of the platform, the newest first")(self.list)
        router.get(
            "/export", response_class=Response, responses=dict(EXPORTED), summary="Export them as a file"
        )(self.export)
        return router

    async def list(self, scope: CurrentScope, wanted: WantedRows, page: AuditPage) -> AuditOut:
        require(scope, policy.PLATFORM_VIEW)
        return await _list(self.db, scope, wanted, page)

    async def export(self, scope: CurrentScope, wanted: WantedRows, form: Format = "jsonl") -> Response:
        """Return all rows as CSV or JSON lines. That they were exported is itself recorded."""
        require(scope, policy.PLATFORM_VIEW)
        return await export(self.db, scope, wanted, form)
