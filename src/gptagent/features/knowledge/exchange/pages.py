"""The page on which rows of any kind are taken from a file, and the file that holds them all."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge.exchange.rows import FileFormat
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.http import CurrentScope, QueryText, locale_of
from gptagent.kernel.i18n import translate
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, message_of

FAULTS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class FilePages(ABC):
    """`export` and `import` below `place`, the list to which one returns."""

    db: Database
    pages: Pages
    place: str
    template: str
    columns: Sequence[str]
    most: int

    @abstractmethod
    async def written(self, scope: Scope, form: FileFormat) -> Response:
        """Return all rows as a download."""

    @abstractmethod
    async def taken(self, scope: Scope, data: bytes) -> Notice:
        """Take the whole file and tell of it. Raises Invalid naming each fault as `line/column`, Conflict."""

    def router(self) -> APIRouter:
        router = page_router(f"/manage/{{workspace}}/{self.place}")
        router.get("/export")(self.export)
        router.get("/import")(self.form)
        router.post("/import")(self.take)
        return router

    async def export(self, scope: CurrentScope, format: QueryText = "") -> Response:  # noqa: A002 - as in the address
        require(scope, policy.EDIT_KNOWLEDGE)
        return await self.written(scope, "csv" if format == "csv" else "json")

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
            notice = await self.taken(scope, await file.read())
        except (Invalid, Conflict) as error:
            return await self._page(request, scope, error)
        return self.pages.redirect(f"{base_of(request)}/{self.place}", notice)

    async def _page(self, request: Request, scope: Scope, error: AppError | None) -> Response:
        async with self.db.session(scope) as session:
            shell = await self.pages.shell(request, session)
        faults = _faults_of(error, locale_of(request)) if error else []
        return self.pages.show(
            request,
            self.template,
            shell,
            status=error.status if error else 200,
            failure=message_of(request, error) if error and not error.fields else "",
            faults=faults[:FAULTS_SHOWN],
            more=len(faults) - FAULTS_SHOWN,
            columns=self.columns,
            limit=self.most,
        )


def _faults_of(error: AppError, language: str) -> list[tuple[str, str, str]]:
    """Return line, column and what is wrong of each fault; without a place it is the whole file's."""
    return [
        (*_place(fault.pointer), translate(language, fault.message, **(fault.params or {})))
        for fault in error.fields
    ]


def _place(pointer: str) -> tuple[str, str]:
    """Return the line and the column of a fault; both are empty if it is the whole file's."""
    line, _slash, column = pointer.partition("/")
    return (line, column) if line.isdecimal() else ("", "")
