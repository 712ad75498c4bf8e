"""The pages of scripts and of objections: the same ones with other words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.scripts import service
from gptagent.features.knowledge.scripts.model import (
    CONTENT_MAX_CHARS,
    KINDS,
    PRIORITY,
    PRIORITY_MAX,
    PRIORITY_MIN,
    TITLE_MAX_CHARS,
    Family,
    NewScript,
    Script,
)
from gptagent.features.knowledge.scripts.variables import LEAD_FIELD, VARIABLES, standing_of, variables_of
from gptagent.features.knowledge.staging.model import stages_of
from gptagent.features.knowledge.staging.service import stage_choices, stage_names
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.http import CurrentScope, QueryText
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

NAMES: Mapping[str, str] = {
    "greeting": "Greeting",
    "qualification": "Qualification",
    "presentation": "Presentation",
    "objection_handling": "Handling of objections",
    "closing": "Closing",
    "price": "Price",
    "timing": "Timing",
    "need": "Need",
    "competitor": "Competitor",
    "trust": "Trust",
    "other": "Other",
}
CREATED: Mapping[Family, Notice] = {
    "script": Notice("success", "The script is saved", "Agents with a model speak by it from now on."),
    "objection": Notice("success", "The objection is saved", "Agents answer it from now on."),
}
DELETED: Mapping[Family, Notice] = {
    "script": Notice("success", "The script is deleted"),
    "objection": Notice("success", "The objection is deleted"),
}


@dataclass(frozen=True, slots=True)
class ScriptPages:
    db: Database
    pages: Pages
    family: Family

    def router(self) -> APIRouter:
        router = page_router(f"/manage/{{workspace}}/knowledge-{self.family}s")
        router.get("")(self.list)
        router.get("/create")(self.create_form)
        router.post("/create")(self.create)
        router.get("/{script_id}/edit")(self.edit_form)
        router.post("/{script_id}/edit")(self.edit)
        router.post("/{script_id}/delete")(self.delete)
        return router

    async def list(
        self, request: Request, scope: CurrentScope, q: QueryText = "", kind: QueryText = ""
    ) -> Response:
        require(scope, policy.VIEW)
        kind = kind if kind in KINDS[self.family] else ""
        async with self.db.session(scope) as session:
            found = await service.list_scripts(session, self.family, search=q, kind=kind)
            names = await stage_names(session)
            counts = await knowledge.count_sources(session)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "knowledge/scripts.html",
            shell,
            family=self.family,
            scripts=found,
            places={one.id: [names[key] for key in one.stages if key in names] for one in found},
            q=q,
            kind=kind,
            kinds=KINDS[self.family],
            kind_names=NAMES,
            counts=counts,
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
        )

    async def create_form(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        return await self._editor(request, scope, None, _values(None, self.family))

    async def create(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        typed = _typed(await request.form())
        try:
            async with self.db.session(scope) as session:
                made = await service.create_script(
                    session, self.family, NewScript(**_command(typed)), now=utcnow()
                )
        except (Invalid, Conflict) as error:
            return await self._editor(request, scope, None, typed, error)
        return self.pages.redirect(f"{self._place(request)}/{made.id}/edit", CREATED[self.family])

    async def edit_form(self, request: Request, scope: CurrentScope, script_id: UUID) -> Response:
        require(scope, policy.VIEW)
        return await self._editor(request, scope, script_id, None)

    async def edit(self, request: Request, scope: CurrentScope, script_id: UUID) -> Response:
        """Save, unless somebody else saved meanwhile: then what was typed stays and the page says so."""
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        typed, version = _typed(form), words(form, "version")
        try:
            changes = _command(typed)
            if version.isascii() and version.isdecimal() and len(version) < 10:
                changes["version"] = int(version)
            async with self.db.session(scope) as session:
                await service.update_script(session, self.family, script_id, changes, now=utcnow())
        except (Invalid, Conflict) as error:
            return await self._editor(request, scope, script_id, typed, error)
        return self.pages.redirect(request.url.path, Notice("success", "Saved"))

    async def delete(self, request: Request, scope: CurrentScope, script_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.delete_script(session, self.family, script_id)
        return self.pages.redirect(self._place(request), DELETED[self.family])

    async def _editor(
        self,
        request: Request,
        scope: Scope,
        script_id: UUID | None,
        typed: Mapping[str, Any] | None,
        error: AppError | None = None,
    ) -> Response:
        async with self.db.session(scope) as session:
            script = await service.get_script(session, self.family, script_id) if script_id else None
            stages = await stage_choices(session)
            shell = await self.pages.shell(request, session)
        values = typed if typed is not None else _values(script, self.family)
        used = [(name, standing_of(name)) for name in variables_of(str(values["content"]))]
        return self.pages.show(
            request,
            "knowledge/script.html",
            shell,
            status=error.status if error else 200,
            family=self.family,
            script=script,
            values=values,
            stages=stages,
            kinds=[(one, NAMES[one]) for one in KINDS[self.family]],
            kind_names=NAMES,
            variables=used,
            offered=VARIABLES,
            lead_field=LEAD_FIELD,
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            limits={"title": TITLE_MAX_CHARS[self.family], "content": CONTENT_MAX_CHARS},
            priorities=(PRIORITY_MIN, PRIORITY_MAX),
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
        )

    def _place(self, request: Request) -> str:
        return f"{base_of(request)}/knowledge-{self.family}s"


def _values(script: Script | None, family: Family) -> dict[str, Any]:
    if script is None:
        empty: tuple[str, ...] = ()
        first = KINDS[family][0]
        texts = {"kind": first, "title": "", "content": "", "priority": str(PRIORITY)}
        return {**texts, "is_active": True, "stages": empty}
    return {
        "kind": script.kind,
        "title": script.title,
        "content": script.content,
        "priority": str(script.priority),
        "is_active": script.is_active,
        "stages": tuple(map(str, script.stages)),
    }


def _typed(form: FormData) -> dict[str, Any]:
    texts = {name: words(form, name) for name in ("kind", "title", "content", "priority")}
    stages = tuple(one for one in form.getlist("stages") if isinstance(one, str))
    return {**texts, "is_active": words(form, "is_active") == "on", "stages": stages}


def _command(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Raises Invalid for a stage that is none. A priority that is no number is one out of its bounds."""
    number = typed["priority"].strip()
    is_number = number.isascii() and number.isdecimal() and len(number) < 9
    return {**typed, "stages": stages_of(typed["stages"]), "priority": int(number) if is_number else 0}
