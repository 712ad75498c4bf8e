"""The page of a run, and the form of a replay."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.agents import service as agents
from gptagent.features.dialog.replaying import service as replaying
from gptagent.features.dialog.replaying.service import AskedReplay
from gptagent.features.dialog.scenario_runs import service
from gptagent.features.dialog.scenario_runs.model import (
    REPLAY_DAYS_MAX,
    REPLAY_TURNS_MAX,
    VERDICTS,
    Run,
    Verdict,
)
from gptagent.features.dialog.scenarios import forms
from gptagent.features.dialog.scenarios.saying import failure_said
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.http import CurrentScope, QueryText, locale_of
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

TURNS_SHOWN = REPLAY_TURNS_MAX


@dataclass(frozen=True, slots=True)
class ScenarioRunPages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/scenario-runs")
        router.get("/replay")(self.replay_form)
        router.post("/replay")(self.replay)
        router.get("/{run_id}")(self.show)
        router.post("/{run_id}/cancel")(self.cancel)
        return router

    async def show(
        self, request: Request, scope: CurrentScope, run_id: UUID, part: str = "", shown: QueryText = ""
    ) -> Response:
        """Show how far a run is and what it found; `part` is what changes while it goes on."""
        require(scope, policy.VIEW)
        verdict: Verdict | None = next((one for one in VERDICTS if one == shown), None)
        async with self.db.session(scope) as session:
            run = await service.get_run(session, run_id)
            agent = await agents.get_agent(session, run.agent_id)
            found = await self._found(request, session, run, verdict)
            shell = None if part else await self.pages.shell(request, session)
        context: dict[str, Any] = {
            "run": run,
            "agent": agent,
            "states": forms.STATES,
            "ends": forms.ENDS,
            "action_names": forms.ACTIONS,
            "shown": verdict or "",
            "may_edit": policy.EDIT_AGENTS in scope.permissions,
            **found,
        }
        if part:
            return self.pages.part(request, "dialog/_scenario_run.html", **context)
        return self.pages.show(request, "dialog/scenario_run.html", shell, **context)

    async def cancel(self, request: Request, scope: CurrentScope, run_id: UUID) -> Response:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await service.cancel_run(session, run_id, now=utcnow())
        ended = Notice("success", "The run is cancelled", "What it found so far stays.")
        return self.pages.redirect(f"{base_of(request)}/scenario-runs/{run_id}", ended)

    async def replay_form(
        self,
        request: Request,
        scope: CurrentScope,
        agent: QueryText = "",
        days: QueryText = "7",
        most: QueryText = "20",
    ) -> Response:
        """Show how many turns there are in the period and what answering them anew would cost."""
        require(scope, policy.EDIT_AGENTS)
        return await self._form(request, scope, {"agent": agent, "days": days, "most": most})

    async def replay(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.EDIT_AGENTS)
        form = await request.form()
        typed = {name: words(form, name) for name in ("agent", "days", "most", "budget")}
        try:
            asked = _asked(typed, forms.read_budget(form))
            async with self.db.session(scope) as session:
                run = await replaying.request_replay(session, asked, now=utcnow())
        except (Invalid, Conflict) as error:
            return await self._form(request, scope, typed, error)
        begun = Notice("success", "The run has begun", "The page shows how far it is.")
        return self.pages.redirect(f"{base_of(request)}/scenario-runs/{run.id}", begun)

    async def _found(
        self, request: Request, session: Session, run: Run, verdict: Verdict | None
    ) -> dict[str, Any]:
        if run.kind == "replay":
            return {
                "replayed": await replaying.list_replayed(session, run.id, verdict, limit=TURNS_SHOWN),
                "counts": await replaying.count_verdicts(session, run.id),
                "verdicts": forms.VERDICTS,
            }
        locale = locale_of(request)
        tallies = await service.tallies(session, run)
        said = {
            (one.position, attempt.number): [failure_said(locale, each) for each in attempt.failures]
            for one in tallies
            for attempt in one.attempts
        }
        return {"tallies": tallies, "said": said}

    async def _form(
        self, request: Request, scope: Scope, typed: Mapping[str, str], error: AppError | None = None
    ) -> Response:
        async with self.db.session(scope) as session:
            found = [(str(one.id), one.name) for one in await agents.list_agents(session)]
            shell = await self.pages.shell(request, session)
            forecast = None
            if error is None and typed["agent"]:
                try:
                    forecast = await replaying.forecast(session, _asked(typed, 1), now=utcnow())
                except Invalid as fault:
                    error = fault
        return self.pages.show(
            request,
            "dialog/scenario_replay.html",
            shell,
            status=error.status if error else 200,
            agents=found,
            typed=typed,
            forecast=forecast,
            days_max=REPLAY_DAYS_MAX,
            turns_max=REPLAY_TURNS_MAX,
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
        )


def _asked(typed: Mapping[str, str], budget: int) -> AskedReplay:
    """Raises Invalid."""
    agent_id = forms.id_of(typed["agent"])
    if agent_id is None:
        raise Invalid.field("agent", "Choose an agent.")
    numbers = [forms.number(typed[name]) for name in ("days", "most")]
    for name, value in zip(("days", "most"), numbers, strict=True):
        if value is None:
            raise Invalid.field(name, forms.WRONG_NUMBER)
    return AskedReplay(agent_id, numbers[0] or 0, numbers[1] or 0, budget_micro_usd=budget)
