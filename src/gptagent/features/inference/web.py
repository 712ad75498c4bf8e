"""The page of what a workspace allows models: what they are not told, and what they may cost."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.inference.budgets import service as budgets
from gptagent.features.inference.budgets.model import DEGRADES, Budgets, Limits, UseOf
from gptagent.features.inference.masking import service as masking
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, FieldError, Invalid
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

PATH = "/settings/models"
GROUPS = ("workspace", "contact")
LONGEST_NUMBER = 9  # digits of a limit

AgentNames = Callable[[Session], Awaitable[Mapping[UUID, str]]]


@dataclass(frozen=True, slots=True)
class ModelPages:
    db: Database
    pages: Pages
    name_agents: AgentNames

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}" + PATH)
        router.get("")(self.show)
        router.post("/masking")(self.save_masking)
        router.post("/budgets")(self.save_budgets)
        return router

    async def show(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.VIEW)
        return await self._page(request, scope)

    async def save_masking(self, request: Request, scope: CurrentScope) -> Response:
        """Save, unless somebody else saved meanwhile: then the page says so."""
        require(scope, policy.MANAGE_WORKSPACE)
        form = await request.form()
        kinds, number = [one for one in form.getlist("kinds") if isinstance(one, str)], words(form, "version")
        try:
            async with self.db.session(scope) as session:
                await masking.set_masking(session, kinds, version=_version(number), now=utcnow())
        except (Invalid, Conflict) as error:
            return await self._page(request, scope, error)
        return self.pages.redirect(base_of(request) + PATH, Notice("success", "Saved"))

    async def save_budgets(self, request: Request, scope: CurrentScope) -> Response:
        """Save, unless somebody else saved meanwhile: then the page says so."""
        require(scope, policy.MANAGE_WORKSPACE)
        form = await request.form()
        then = next((one for one in DEGRADES if one == words(form, "when_exhausted")), DEGRADES[0])
        try:
            workspace, contact = (_limits(form, group) for group in GROUPS)
            async with self.db.session(scope) as session:
                version = _version(words(form, "version"))
                wanted = Budgets(workspace, contact, then)
                await budgets.set_budgets(session, wanted, version=version, now=utcnow())
        except (Invalid, Conflict) as error:
            typed = {key: value for key, value in form.items() if isinstance(value, str)}
            return await self._page(request, scope, error, typed)
        return self.pages.redirect(f"{base_of(request)}{PATH}#budgets", Notice("success", "Saved"))

    async def _page(
        self,
        request: Request,
        scope: Scope,
        error: AppError | None = None,
        typed: Mapping[str, str] | None = None,
    ) -> Response:
        async with self.db.session(scope) as session:
            hidden, set_ = await masking.get_masking(session), await budgets.get_budgets(session)
            used = await budgets.list_used(session, now=utcnow())
            names = await self.name_agents(session)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "inference/models.html",
            shell,
            status=error.status if error else 200,
            masking=hidden,
            budgets=set_,
            values={**_shown(set_), **(typed or {})},
            limit_fields=budgets.LIMIT_FIELDS,
            used=_used(set_, used, names, scope.org_id),
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            may_see_usage=policy.EDIT_AGENTS in scope.permissions,
            may_edit=policy.MANAGE_WORKSPACE in scope.permissions,
        )


def _version(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER else None


def _limits(form: FormData, group: str) -> Limits:
    """Return what was typed. Raises Invalid for what is no whole number; nothing means no limit."""
    read: dict[str, int | None] = {}
    for name in budgets.LIMIT_FIELDS:
        text = words(form, f"{group}.{name}").strip()
        if text and not (text.isascii() and text.isdecimal() and len(text) <= LONGEST_NUMBER):
            wrong = FieldError(f"{group}.{name}", "Write a whole number, or nothing for no limit.")
            raise Invalid("invalid", "Please correct the marked fields.", fields=(wrong,))
        read[name] = int(text) if text else None
    return Limits(**read)


def _shown(found: Budgets) -> dict[str, object]:
    limits = {
        f"{group}.{name}": "" if value is None else str(value)
        for group in GROUPS
        for name, value in asdict(getattr(found, group)).items()
    }
    return {**limits, "when_exhausted": found.when_exhausted}


def _used(found: Budgets, used: list[UseOf], names: Mapping[UUID, str], org_id: UUID) -> list[dict[str, Any]]:
    """Return a row for the workspace and for each agent: its day and its month."""
    rows: dict[UUID, dict[str, Any]] = {org_id: {"name": None, "level": "workspace"}}
    for one in used:
        row = rows.setdefault(one.id, {"name": names.get(one.id), "level": one.level})
        row[one.period] = one.used
        if one.level == "workspace":
            row[f"{one.period}_percent"] = found.workspace.of(one.period).percent(one.used)
    return list(rows.values())
