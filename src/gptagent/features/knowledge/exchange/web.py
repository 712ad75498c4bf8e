"""The page on which articles are taken from a file, and the file that holds them all."""

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge.exchange import service
from gptagent.features.knowledge.exchange.api import as_file
from gptagent.features.knowledge.exchange.files import COLUMNS, ROWS_MAX, FileFormat
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.http import CurrentScope, QueryText, locale_of
from gptagent.kernel.i18n import translate
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, message_of

FAULTS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class ExchangePages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/manage/{workspace}/knowledge-items")
        router.get("/export")(self.export)
        router.get("/import")(self.form)
        router.post("/import")(self.take)
        return router

    async def export(self, scope: CurrentScope, format: QueryText = "") -> Response:  # noqa: A002 - as in the address
        require(scope, policy.EDIT_KNOWLEDGE)
        wanted: FileFormat = "csv" if format == "csv" else "json"
        return as_file(await service.export_articles(self.db, scope, wanted), wanted)

    async def form(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        return await self._page(request, scope, None)

    async def take(self, request: Request, scope: CurrentScope) -> Response:
        """Take the whole file, or show every line that is wrong."""
        require(scope, policy.EDIT_KNOWLEDGE)
        file = (await request.form()).get("file")
        try:
            if not isinstance(file, UploadFile) or not file.filename:
                raise Invalid.field("file", "Choose a file first.")
            data = await file.read()
            async with self.db.session(scope) as session:
                count = await service.import_articles(session, data, now=utcnow())
        except (Invalid, Conflict) as error:
            return await self._page(request, scope, error)
        taken = Notice("success", "Articles taken from the file: {count}", params={"count": str(count)})
        return self.pages.redirect(f"{base_of(request)}/knowledge-items", taken)

    async def _page(self, request: Request, scope: Scope, error: AppError | None) -> Response:
        async with self.db.session(scope) as session:
            shell = await self.pages.shell(request, session)
        faults = faults_of(error, locale_of(request)) if error else []
        return self.pages.show(
            request,
            "knowledge/import.html",
            shell,
            status=error.status if error else 200,
            failure=message_of(request, error) if error and not error.fields else "",
            faults=faults[:FAULTS_SHOWN],
            more=len(faults) - FAULTS_SHOWN,
            columns=COLUMNS,
            limit=ROWS_MAX,
        )


def faults_of(error: AppError, language: str) -> list[tuple[str, str, str]]:
    """Return line, column and what is wrong of each fault; without a place it is the whole file's."""
    return [
        (*_place(fault.pointer), translate(language, fault.message, **(fault.params or {})))
        for fault in error.fields
    ]


def _place(pointer: str) -> tuple[str, str]:
    """Return the line and the column of a fault; both are empty if it is the whole file's."""
    line, _slash, column = pointer.partition("/")
    return (line, column) if line.isdecimal() else ("", "")
