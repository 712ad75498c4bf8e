"""The pages of scenarios: the list with its runs, the editor, files."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service as agents
from gptagent.features.dialog.scenario_runs import service as runs
from gptagent.features.dialog.scenario_runs.candidates import candidate_of
from gptagent.features.dialog.scenario_runs.model import TARGETS, Target
from gptagent.features.dialog.scenarios import exchange, forms, service
from gptagent.features.dialog.scenarios.api import as_file
from gptagent.features.dialog.scenarios.model import (
    GOAL_MAX_CHARS,
    NAME_MAX_CHARS,
    PERSONA_MAX_CHARS,
    TURNS_MAX,
    VALUE_MAX_CHARS,
    Condition,
)
from gptagent.features.dialog.scenarios.offering import offered
from gptagent.features.dialog.scenarios.saying import said
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.http import CurrentScope, QueryText, locale_of
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

FAULTS_SHOWN = 20


@dataclass(frozen=True, slots=True)
class ScenarioPages:
    """`llm_model` is the installation's model; without one nobody plays a customer."""

    db: Database
    pages: Pages
    llm_model: str | None

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/scenarios")
        router.get("")(self.list)
        router.get("/create")(self.create_form)
        router.post("/create")(self.create)
        router.get("/export")(self.export)
        router.get("/import")(self.import_form)
        router.post("/import")(self.take)
        router.post("/runs")(self.run)
        router.post("/condition")(self.condition)
        router.get("/{scenario_id}/edit")(self.edit_form)
        router.post("/{scenario_id}/edit")(self.edit)
        router.post("/{scenario_id}/delete")(self.delete)
        return router

    async def list(
        self, request: Request, scope: CurrentScope, agent: QueryText = "", part: str = ""
    ) -> Response:
        """Show the scenarios, of all or those an agent is run against; `part`: its runs alone."""
        require(scope, policy.VIEW)
        return await self._list(request, scope, forms.id_of(agent), part=part)

    async def run(self, request: Request, scope: CurrentScope) -> Response:
        """Run the agent's scenarios, or the one that is named."""
        require(scope, policy.EDIT_AGENTS)
        form = await request.form()
        agent_id, one = forms.id_of(words(form, "agent")), forms.id_of(words(form, "scenario"))
        target: Target = next((name for name in TARGETS if name == words(form, "target")), "draft")
        try:
            if agent_id is None:
                raise Invalid.field("agent", "Choose an agent.")
            asked = runs.AskedRun(
                agent_id,
                target,
                forms.read_number(form, "repeats"),
                forms.read_budget(form),
                None if one is None else (one,),
            )
            async with self.db.session(scope) as session:
                run = await runs.request_run(session, asked, now=utcnow())
        except (Invalid, Conflict) as error:
            typed = {name: words(form, name) for name in ("repeats", "budget", "target")}
            return await self._list(request, scope, agent_id, error=error, typed=typed)
        begun = Notice("success", "The run has begun", "The page shows how far it is.")
        return self.pages.redirect(f"{base_of(request)}/scenario-runs/{run.id}", begun)

    async def condition(self, request: Request, scope: CurrentScope) -> Response:
        """Let publishing wait for a passed run, or not."""
        require(scope, policy.EDIT_AGENTS)
        form = await request.form()
        agent_id = forms.id_of(words(form, "agent"))
        try:
            if agent_id is None:
                raise Invalid.field("agent", "Choose an agent.")
            wanted = Condition(words(form, "is_on") == "on", forms.read_number(form, "repeats"))
            async with self.db.session(scope) as session:
                await service.set_condition(session, agent_id, wanted)
        except Invalid as error:
            typed = {name: words(form, name) for name in ("is_on", "repeats")}
            return await self._list(request, scope, agent_id, condition_error=error, condition_typed=typed)
        return self.pages.redirect(f"{_place(request)}?agent={agent_id}", Notice("success", "Saved"))

    async def create_form(self, request: Request, scope: CurrentScope, agent: QueryText = "") -> Response:
        require(scope, policy.EDIT_AGENTS)
        return await self._editor(request, scope, None, forms.blank(forms.id_of(agent)))

    async def create(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_AGENTS)
        new = forms.read_scenario(await request.form())
        try:
            async with self.db.session(scope) as session:
                made = await service.create_scenario(session, new, now=utcnow())
        except (Invalid, Conflict) as error:
            typed = forms.values_of(new.name, new.agent_id, new.play)
            return await self._editor(request, scope, None, typed, error)
        return self.pages.redirect(f"{_place(request)}/{made.id}/edit", Notice("success", "Saved"))

    async def edit_form(self, request: Request, scope: CurrentScope, scenario_id: UUID) -> Response:
        require(scope, policy.VIEW)
        return await self._editor(request, scope, scenario_id, None)

    async def edit(self, request: Request, scope: CurrentScope, scenario_id: UUID) -> Response:
        """Save, unless somebody else saved meanwhile: then what was typed stays and the page says so."""
        require(scope, policy.EDIT_AGENTS)
        form = await request.form()
        new, version = forms.read_scenario(form), forms.number(words(form, "version"))
        try:
            async with self.db.session(scope) as session:
                await service.update_scenario(session, scenario_id, new, now=utcnow(), version=version)
        except (Invalid, Conflict) as error:
            typed = forms.values_of(new.name, new.agent_id, new.play)
            return await self._editor(request, scope, scenario_id, typed, error)
        return self.pages.redirect(request.url.path, Notice("success", "Saved"))

    async def delete(self, request: Request, scope: CurrentScope, scenario_id: UUID) -> Response:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await service.delete_scenario(session, scenario_id)
        return self.pages.redirect(_place(request), Notice("success", "The scenario is deleted"))

    async def export(self, scope: CurrentScope, agent: QueryText = "") -> Response:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            return as_file(await exchange.export_scenarios(session, forms.id_of(agent)))

    async def import_form(self, request: Request, scope: CurrentScope, agent: QueryText = "") -> Response:
        require(scope, policy.EDIT_AGENTS)
        return await self._import_page(request, scope, agent, None)

    async def take(self, request: Request, scope: CurrentScope) -> Response:
        """Save the whole file, or show everything that is wrong in it."""
        require(scope, policy.EDIT_AGENTS)
        form = await request.form()
        file, agent = form.get("file"), words(form, "agent")
        try:
            if not isinstance(file, UploadFile) or not file.filename:
                raise Invalid.field("file", "Choose a file first.")
            data = await file.read(exchange.FILE_MAX_BYTES + 1)
            async with self.db.session(scope) as session:
                done = await exchange.import_scenarios(session, data, forms.id_of(agent), now=utcnow())
        except (Invalid, Conflict) as error:
            return await self._import_page(request, scope, agent, error)
        taken = Notice(
            "success",
            "Scenarios saved from the file: {created}, changed: {changed}",
            params={"created": str(done.created), "changed": str(done.changed)},
        )
        back = f"?agent={agent}" if forms.id_of(agent) else ""
        return self.pages.redirect(f"{_place(request)}{back}", taken)

    async def _list(
        self,
        request: Request,
        scope: Scope,
        agent_id: UUID | None,
        *,
        part: str = "",
        error: AppError | None = None,
        typed: Mapping[str, str] | None = None,
        condition_error: AppError | None = None,
        condition_typed: Mapping[str, str] | None = None,
    ) -> Response:
        async with self.db.session(scope) as session:
            agent = await agents.find_agent(session, agent_id) if agent_id else None
            agent_id = agent.id if agent else None
            context: dict[str, Any] = {
                "agent": agent,
                "runs": await runs.latest_runs(session, agent_id),
                "going_on": await runs.find_going_on(session),
                "names": {one.id: one.name for one in await agents.list_agents(session)},
                "states": forms.STATES,
            }
            if part:
                return self.pages.part(request, "dialog/_scenario_runs.html", **context)
            context["scenarios"] = await service.list_scenarios(session, agent_id)
            context |= await self._of_agent(request, session, agent_id)
            shell = await self.pages.shell(request, session)
        fault = error or condition_error
        return self.pages.show(
            request,
            "dialog/scenarios.html",
            shell,
            status=fault.status if fault else 200,
            typed=typed or {},
            condition_typed=condition_typed or {},
            errors=field_errors(request, error) if error else {},
            condition_errors=field_errors(request, condition_error) if condition_error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            may_edit=policy.EDIT_AGENTS in scope.permissions,
            llm_model=self.llm_model,
            **context,
        )

    async def _of_agent(self, request: Request, session: Session, agent_id: UUID | None) -> dict[str, Any]:
        """Return what of the page is about the chosen agent."""
        if agent_id is None:
            return {}
        draft = await candidate_of(session, agent_id, "draft")
        refusal = await runs.why_not_published(session, agent_id, draft.settings)
        answers = await runs.answers_of(session, agent_id, 1)
        return {
            "condition": await service.get_condition(session, agent_id),
            "refusal": refusal,
            "refused_because": said(locale_of(request), refusal.sentence, refusal.params) if refusal else "",
            "estimate": await runs.estimate(session, agent_id, answers, now=utcnow()),
        }

    async def _editor(
        self,
        request: Request,
        scope: Scope,
        scenario_id: UUID | None,
        typed: Mapping[str, Any] | None,
        error: AppError | None = None,
    ) -> Response:
        async with self.db.session(scope) as session:
            scenario = await service.get_scenario(session, scenario_id) if scenario_id else None
            lists = await offered(session)
            shell = await self.pages.shell(request, session)
        values = typed
        if values is None:
            values = forms.saved(scenario) if scenario else forms.blank(None)
        return self.pages.show(
            request,
            "dialog/scenario.html",
            shell,
            status=error.status if error else 200,
            scenario=scenario,
            values=values,
            looks=forms.looks(values["rows"]),
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            limits={
                "name": NAME_MAX_CHARS,
                "persona": PERSONA_MAX_CHARS,
                "goal": GOAL_MAX_CHARS,
                "turns": TURNS_MAX,
                "value": VALUE_MAX_CHARS,
            },
            may_edit=policy.EDIT_AGENTS in scope.permissions,
            llm_model=self.llm_model,
            **lists,
        )

    async def _import_page(
        self, request: Request, scope: Scope, agent: str, error: AppError | None
    ) -> Response:
        async with self.db.session(scope) as session:
            found = [(str(one.id), one.name) for one in await agents.list_agents(session)]
            shell = await self.pages.shell(request, session)
        faults = field_errors(request, error) if error else {}
        own = faults.pop("file", "")
        return self.pages.show(
            request,
            "dialog/scenarios_import.html",
            shell,
            status=error.status if error else 200,
            agents=found,
            agent=agent,
            error=own or (message_of(request, error) if error and not error.fields else ""),
            faults=list(faults.items())[:FAULTS_SHOWN],
            more=max(len(faults) - FAULTS_SHOWN, 0),
        )


def _place(request: Request) -> str:
    return f"{base_of(request)}/scenarios"
