"""The pages of the audit: of a workspace for its owners, of the platform for its administrators."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.admin.audit_lines import ExportFormat, Line, Selection, export
from gptagent.features.audit import service as audit
from gptagent.features.audit.service import PAGE_SIZE
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope, QueryText
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Pages, timezone_of

MAX_SEQ = 2**63 - 1
Before = Annotated[int | None, Query(ge=1, le=MAX_SEQ)]


def _selection(
    action: QueryText = "", person: QueryText = "", since: QueryText = "", until: QueryText = ""
) -> Selection:
    return Selection(action, person, since, until)


Selected = Annotated[Selection, Depends(_selection)]
Format = Annotated[ExportFormat, Query(alias="format")]


@dataclass(frozen=True, slots=True)
class _AuditPages:
    """What the two pages share. `template` is the page."""

    db: Database
    pages: Pages
    template: str

    async def _list(
        self, request: Request, scope: Scope, selection: Selection, before: int | None
    ) -> Response:
        wanted = selection.wanted(timezone_of(request))
        async with self.db.session(scope) as session:
            rows = await audit.list_entries(session, before=before, limit=PAGE_SIZE + 1, wanted=wanted)
            shown = rows[:PAGE_SIZE]
            names = await audit.list_names(session, shown)
            actors = await audit.list_actors(session)
            actions = await audit.list_actions(session)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            self.template,
            shell,
            lines=[Line(row, names) for row in shown],
            older=shown[-1].seq if len(rows) > PAGE_SIZE else None,
            before=before,
            here=request.url.path,
            selection=selection,
            actors=sorted(actors.items(), key=lambda found: found[1].name.casefold()),
            actions=actions,
            sentences=audit.SENTENCES,
            fields=audit.FIELDS,
        )

    async def _export(
        self, request: Request, scope: Scope, selection: Selection, form: ExportFormat
    ) -> Response:
        return await export(self.db, scope, selection.wanted(timezone_of(request)), form)


class AuditPages(_AuditPages):
    """Of a workspace, for its owners."""

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/settings/audit")
        router.get("")(self.list)
        router.get("/export")(self.export)
        return router

    async def list(
        self, request: Request, scope: CurrentScope, selection: Selected, before: Before = None
    ) -> Response:
        require(scope, policy.READ_AUDIT)
        return await self._list(request, scope, selection, before)

    async def export(
        self, request: Request, scope: CurrentScope, selection: Selected, form: Format = "csv"
    ) -> Response:
        require(scope, policy.READ_AUDIT)
        return await self._export(request, scope, selection, form)


class PlatformAuditPages(_AuditPages):
    """Of the platform, for its administrators."""

    def router(self) -> APIRouter:
        router = page_router("/admin/audit")
        router.get("")(self.list)
        router.get("/export")(self.export)
        return router

    async def list(
        self, request: Request, scope: CurrentScope, selection: Selected, before: Before = None
    ) -> Response:
        require(scope, policy.PLATFORM_VIEW)
        return await self._list(request, scope, selection, before)

    async def export(
        self, request: Request, scope: CurrentScope, selection: Selected, form: Format = "csv"
    ) -> Response:
        require(scope, policy.PLATFORM_VIEW)
        return await self._export(request, scope, selection, form)
