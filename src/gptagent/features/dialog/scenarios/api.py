"""Scenarios over REST, and what publishing waits for."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, UploadFile
from starlette.responses import Response

from gptagent.features.dialog.scenario_runs import service as runs
from gptagent.features.dialog.scenario_runs.candidates import candidate_of
from gptagent.features.dialog.scenarios import exchange, service
from gptagent.features.dialog.scenarios.model import Condition
from gptagent.features.dialog.scenarios.wire import (
    ConditionBody,
    ConditionOut,
    ScenarioBody,
    ScenarioOut,
    ScenarioPatch,
    ScenariosImported,
    ScenariosOut,
    condition_out,
    merged,
    new_of,
    scenario_out,
)
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.http import CurrentScope, locale_of
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import JSON_TYPE, CurrentMatch, api_router

FILE_NAME = "scenarios.json"
EXPORTED: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": {JSON_TYPE: {"schema": {"type": "object"}}}}
}


@dataclass(frozen=True, slots=True)
class ScenariosApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/scenarios", tags=["scenarios"])
        router.get("", summary="List scenarios")(self.list)
        router.post("", status_code=201, summary="Save a scenario")(self.create)
        router.get(
            "/export", response_class=Response, responses=dict(EXPORTED), summary="Export scenarios as a file"
        )(self.export)
        router.post("/import", summary="Import scenarios from a file")(self.take)
        router.get("/{scenario_id}", summary="Get a scenario")(self.get)
        router.patch("/{scenario_id}", summary="Change a scenario")(self.update)
        router.delete("/{scenario_id}", status_code=204, summary="Delete a scenario")(self.delete)
        return router

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.ORDERS, "name")],
        agent_id: UUID | None = None,
    ) -> ScenariosOut:
        """With an agent: its own ones and those of the workspace."""
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_scenarios(session, page, agent_id)
        return ScenariosOut(items=[scenario_out(one) for one in found], next_cursor=after)

    async def create(self, scope: CurrentScope, body: ScenarioBody) -> ScenarioOut:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            return scenario_out(await service.create_scenario(session, new_of(body), now=utcnow()))

    async def export(self, scope: CurrentScope, agent_id: UUID | None = None) -> Response:
        """Return an agent's scenarios, or all, as JSON. That they were exported is recorded."""
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            return as_file(await exchange.export_scenarios(session, agent_id))

    async def take(
        self, scope: CurrentScope, file: UploadFile, agent_id: UUID | None = None
    ) -> ScenariosImported:
        """Save all of an exported file, or none, as the agent's; one of the same name is replaced."""
        require(scope, policy.EDIT_AGENTS)
        data = await file.read(exchange.FILE_MAX_BYTES + 1)
        async with self.db.session(scope) as session:
            done = await exchange.import_scenarios(session, data, agent_id, now=utcnow())
        return ScenariosImported.model_validate(done)

    async def get(self, scope: CurrentScope, scenario_id: UUID) -> ScenarioOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return scenario_out(await service.get_scenario(session, scenario_id))

    async def update(
        self, scope: CurrentScope, match: CurrentMatch, scenario_id: UUID, body: ScenarioPatch
    ) -> ScenarioOut:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            old = await service.get_scenario(session, scenario_id, lock=True)
            if match:
                match.check(scenario_out(old))
            changed = await service.update_scenario(
                session, scenario_id, merged(old, body), now=utcnow(), version=body.version
            )
            return scenario_out(changed)

    async def delete(self, scope: CurrentScope, match: CurrentMatch, scenario_id: UUID) -> None:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            if match:
                match.check(scenario_out(await service.get_scenario(session, scenario_id, lock=True)))
            await service.delete_scenario(session, scenario_id)


@dataclass(frozen=True, slots=True)
class ConditionApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/agents/{agent_id}/publish-condition", tags=["publish conditions"])
        router.get("", summary="Get what publishing an agent waits for")(self.get)
        router.put("", summary="Publish an agent only if its scenarios pass")(self.put)
        return router

    async def get(self, request: Request, scope: CurrentScope, agent_id: UUID) -> ConditionOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return await self._out(request, session, agent_id)

    async def put(
        self, request: Request, scope: CurrentScope, match: CurrentMatch, agent_id: UUID, body: ConditionBody
    ) -> ConditionOut:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            if match:
                match.check(await self._out(request, session, agent_id))
            await service.set_condition(session, agent_id, Condition(body.is_on, body.repeats))
            return await self._out(request, session, agent_id)

    async def _out(self, request: Request, session: Session, agent_id: UUID) -> ConditionOut:
        draft = await candidate_of(session, agent_id, "draft")
        refusal = await runs.why_not_published(session, agent_id, draft.settings)
        condition = await service.get_condition(session, agent_id)
        return condition_out(condition, refusal, locale_of(request))


def as_file(data: bytes) -> Response:
    """Return a download."""
    return Response(
        data,
        media_type=JSON_TYPE,
        headers={"content-disposition": f'attachment; filename="{FILE_NAME}"', "cache-control": "no-store"},
    )
