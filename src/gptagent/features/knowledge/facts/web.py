"""The pages of facts about the company."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.facts import service
from gptagent.features.knowledge.facts.model import (
    CONTENT_MAX_CHARS,
    FACTS_GIVEN,
    GIVEN_MAX_CHARS,
    PRIORITY,
    PRIORITY_MAX,
    PRIORITY_MIN,
    Fact,
    NewFact,
)
from gptagent.features.knowledge.listing import id_of
from gptagent.features.knowledge.questions.asking import Askers
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

CREATED = Notice("success", "The fact is saved", "Models are told it from the next question on.")


@dataclass(frozen=True, slots=True)
class FactsPages:
    db: Database
    pages: Pages
    askers: Askers

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/knowledge-facts")
        router.get("")(self.list)
        router.get("/create")(self.create_form)
        router.post("/create")(self.create)
        router.get("/{company_fact_id}/edit")(self.edit_form)
        router.post("/{company_fact_id}/edit")(self.edit)
        router.post("/{company_fact_id}/delete")(self.delete)
        return router

    async def list(self, request: Request, scope: CurrentScope, q: QueryText = "") -> Response:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found = await service.list_facts(session, search=q)
            names = await stage_names(session)
            agents = {one.id: one.name for one in await self.askers(session)}
            counts = await knowledge.count_sources(session)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "knowledge/facts.html",
            shell,
            facts=found,
            places={one.id: [names[key] for key in one.stages if key in names] for one in found},
            told={one.id: [agents[key] for key in one.agents if key in agents] for one in found},
            q=q,
            given=FACTS_GIVEN,
            given_chars=GIVEN_MAX_CHARS,
            counts=counts,
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
        )

    async def create_form(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        return await self._editor(request, scope, None, _values(None))

    async def create(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        typed = _typed(await request.form())
        try:
            async with self.db.session(scope) as session:
                new = NewFact(**_command(typed))
                await service.create_fact(session, new, askers=self.askers, now=utcnow())
        except (Invalid, Conflict) as error:
            return await self._editor(request, scope, None, typed, error)
        return self.pages.redirect(f"{base_of(request)}/knowledge-facts", CREATED)

    async def edit_form(self, request: Request, scope: CurrentScope, company_fact_id: UUID) -> Response:
        require(scope, policy.VIEW)
        return await self._editor(request, scope, company_fact_id, None)

    async def edit(self, request: Request, scope: CurrentScope, company_fact_id: UUID) -> Response:
        """Save, unless somebody else saved meanwhile: then what was typed stays and the page says so."""
        require(scope, policy.EDIT_KNOWLEDGE)
        form = await request.form()
        typed, version = _typed(form), words(form, "version")
        try:
            changes = _command(typed)
            if version.isascii() and version.isdecimal() and len(version) < 10:
                changes["version"] = int(version)
            async with self.db.session(scope) as session:
                await service.update_fact(session, company_fact_id, changes, askers=self.askers, now=utcnow())
        except (Invalid, Conflict) as error:
            return await self._editor(request, scope, company_fact_id, typed, error)
        return self.pages.redirect(f"{base_of(request)}/knowledge-facts", Notice("success", "Saved"))

    async def delete(self, request: Request, scope: CurrentScope, company_fact_id: UUID) -> Response:
        require(scope, policy.EDIT_KNOWLEDGE)
        async with self.db.session(scope) as session:
            await service.delete_fact(session, company_fact_id)
        gone = Notice("success", "The fact is deleted")
        return self.pages.redirect(f"{base_of(request)}/knowledge-facts", gone)

    async def _editor(
        self,
        request: Request,
        scope: Scope,
        fact_id: UUID | None,
        typed: Mapping[str, Any] | None,
        error: AppError | None = None,
    ) -> Response:
        async with self.db.session(scope) as session:
            fact = await service.get_fact(session, fact_id) if fact_id else None
            stages = await stage_choices(session)
            agents = await self.askers(session)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "knowledge/fact.html",
            shell,
            status=error.status if error else 200,
            fact=fact,
            values=typed if typed is not None else _values(fact),
            stages=stages,
            agents=[(str(one.id), one.name, 1) for one in agents],
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            limit=CONTENT_MAX_CHARS,
            priorities=(PRIORITY_MIN, PRIORITY_MAX),
            may_edit=policy.EDIT_KNOWLEDGE in scope.permissions,
        )


def _values(fact: Fact | None) -> dict[str, Any]:
    if fact is None:
        return {"content": "", "priority": str(PRIORITY), "agents": (), "stages": ()}
    return {
        "content": fact.content,
        "priority": str(fact.priority),
        "agents": tuple(map(str, fact.agents)),
        "stages": tuple(map(str, fact.stages)),
    }


def _typed(form: FormData) -> dict[str, Any]:
    chosen = {
        name: tuple(one for one in form.getlist(name) if isinstance(one, str) and one)
        for name in ("agents", "stages")
    }
    return {"content": words(form, "content"), "priority": words(form, "priority"), **chosen}


def _command(typed: Mapping[str, Any]) -> dict[str, Any]:
    """Raises Invalid for a stage that is none. A priority that is no number is one out of its bounds."""
    number = typed["priority"].strip()
    is_number = number.isascii() and number.isdecimal() and len(number) < 9
    return {
        "content": typed["content"],
        "priority": int(number) if is_number else 0,
        "agents": tuple(id_of(one) or UUID(int=0) for one in typed["agents"]),
        "stages": stages_of(typed["stages"]),
    }
