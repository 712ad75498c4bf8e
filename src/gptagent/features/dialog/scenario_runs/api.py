"""Runs of scenarios and replays of real turns over REST."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request

from gptagent.features.dialog.replaying import service as replaying
from gptagent.features.dialog.replaying.service import AskedReplay
from gptagent.features.dialog.scenario_runs import service
from gptagent.features.dialog.scenario_runs.model import REPLAY_DAYS_MAX, REPLAY_TURNS_MAX, Kind
from gptagent.features.dialog.scenario_runs.service import AskedRun
from gptagent.features.dialog.scenarios.wire import (
    AttemptsOut,
    ForecastOut,
    ReplayBody,
    ReplayedPageOut,
    RunBody,
    RunOut,
    RunsOut,
    attempt_out,
    replayed_out,
    run_out,
)
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import CurrentScope, locale_of
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, api_router


@dataclass(frozen=True, slots=True)
class ScenarioRunsApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/scenario-runs", tags=["scenario runs"])
        router.get("", summary="List runs and replays")(self.list)
        router.post("", status_code=201, summary="Run scenarios")(self.start)
        unknown: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such agent."}}
        router.get("/forecast", summary="Estimate a replay", responses=unknown)(self.forecast)
        router.post("/replays", status_code=201, summary="Answer real conversations anew")(self.replay)
        router.get("/{run_id}", summary="Get how far a run is")(self.get)
        router.put("/{run_id}/cancellation", summary="Cancel a run")(self.cancel)
        router.get("/{run_id}/attempts", summary="List the attempts of a run")(self.attempts)
        router.get("/{run_id}/replayed", summary="List the turns of a replay")(self.replayed)
        return router

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.ORDERS, "-created_at")],
        agent_id: UUID | None = None,
        kind: Kind | None = None,
    ) -> RunsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_runs(session, page, agent_id, kind)
        return RunsOut(items=[run_out(one) for one in found], next_cursor=after)

    async def start(self, scope: CurrentScope, body: RunBody) -> RunOut:
        """Only one run of a workspace goes on at a time."""
        require(scope, policy.EDIT_AGENTS)
        chosen = None if body.scenarios is None else tuple(body.scenarios)
        asked = AskedRun(body.agent_id, body.target, body.repeats, body.budget_micro_usd, chosen)
        async with self.db.session(scope) as session:
            return run_out(await service.request_run(session, asked, now=utcnow()))

    async def forecast(
        self,
        scope: CurrentScope,
        agent_id: UUID,
        days: Annotated[int, Query(ge=1, le=REPLAY_DAYS_MAX)] = 7,
        most: Annotated[int, Query(ge=1, le=REPLAY_TURNS_MAX)] = 20,
    ) -> ForecastOut:
        """Tell how many turns a replay would answer and what that costs, by those of the last weeks."""
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found = await replaying.forecast(session, AskedReplay(agent_id, days, most), now=utcnow())
        return ForecastOut(
            turns=found.turns,
            answers=found.estimate.answers,
            cost_micro_usd=found.estimate.micro_usd,
            tokens=found.estimate.tokens,
        )

    async def replay(self, scope: CurrentScope, body: ReplayBody) -> RunOut:
        """Nothing is sent or written anywhere. Only one run of a workspace goes on at a time."""
        require(scope, policy.EDIT_AGENTS)
        asked = AskedReplay(body.agent_id, body.days, body.most, body.target, body.budget_micro_usd)
        async with self.db.session(scope) as session:
            return run_out(await replaying.request_replay(session, asked, now=utcnow()))

    async def get(self, scope: CurrentScope, run_id: UUID) -> RunOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return run_out(await service.get_run(session, run_id))

    async def cancel(self, scope: CurrentScope, match: CurrentMatch, run_id: UUID) -> RunOut:
        """What it found so far stays. A run that has ended stays as it is."""
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            if match:
                match.check(run_out(await service.get_run(session, run_id, lock=True)))
            return run_out(await service.cancel_run(session, run_id, now=utcnow()))

    async def attempts(
        self,
        request: Request,
        scope: CurrentScope,
        run_id: UUID,
        page: Annotated[Page, page_of(service.ATTEMPT_ORDERS, "place")],
    ) -> AttemptsOut:
        """Scenario by scenario; of a replay there are none."""
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_attempts(session, run_id, page)
            suite = await service.suite_of(session, run_id)
        named = [(one.id, one.name) for one in suite]
        locale = locale_of(request)
        return AttemptsOut(
            items=[attempt_out(one, named[one.position], locale) for one in found], next_cursor=after
        )

    async def replayed(
        self,
        scope: CurrentScope,
        run_id: UUID,
        page: Annotated[Page, page_of(replaying.ORDERS, "created_at")],
    ) -> ReplayedPageOut:
        """Each real turn beside how it would be answered now; of a run of scenarios there are none."""
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await replaying.page_replayed(session, run_id, page)
        return ReplayedPageOut(items=[replayed_out(one) for one in found], next_cursor=after)
