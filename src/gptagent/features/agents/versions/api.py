"""Drafts and versions of agents over REST."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from pydantic import Field, JsonValue

from gptagent.features.agents import service as agents
from gptagent.features.agents.api import agent_out
from gptagent.features.agents.model import Agent
from gptagent.features.agents.ports import PublishCondition
from gptagent.features.agents.versions import service
from gptagent.features.agents.versions.model import NOTE_MAX_CHARS, AgentVersion
from gptagent.features.agents.wire import (
    AgentOut,
    ProblemOut,
    SettingsOut,
    SettingsPatch,
    flagged,
    pointer_of,
)
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database, Session
from gptagent.kernel.http import Body, CurrentScope, Wire, example
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, Match, api_router

VersionNumber = Annotated[int, PathParameter(ge=1, lt=2**31)]
Compared = Annotated[int | None, Query(ge=1, lt=2**31)]
Note = Annotated[str, Field(max_length=NOTE_MAX_CHARS)]


class PublishBody(Body):
    """`note` says for colleagues what was changed and why."""

    model_config = example({"note": "Delivery takes three days now"})

    note: Note = ""


class DraftOut(SettingsOut):
    """The settings as the draft would have them. `has_draft`: they differ from what customers get."""

    has_draft: bool
    problems: list[ProblemOut]


class VersionOut(Wire):
    """`actor_kind` and `actor_id` say who published it, as in the audit's record."""

    number: int
    note: str
    restored_from: int | None
    actor_kind: str | None
    actor_id: UUID | None
    created_at: datetime
    settings: SettingsOut


class VersionsOut(Wire):
    items: list[VersionOut]
    next_cursor: str | None


class DifferenceOut(Wire):
    """`setting` is the pointer of a setting, with its value in both documents."""

    setting: str
    before: JsonValue
    after: JsonValue


class DifferencesOut(Wire):
    items: list[DifferenceOut]


@dataclass(frozen=True, slots=True)
class AgentVersionsApi:
    db: Database
    condition: PublishCondition

    def router(self) -> APIRouter:
        router = api_router("/agents/{agent_id}", tags=["agents"])
        router.get("/draft", summary="Get the draft of an agent's settings")(self.get_draft)
        router.patch("/draft", summary="Change settings in the draft")(self.change_draft)
        router.delete("/draft", status_code=204, summary="Discard the draft")(self.discard_draft)
        router.get("/versions", summary="List versions of an agent")(self.list_versions)
        router.post("/versions", status_code=201, summary="Publish the draft")(self.publish_draft)
        version = "/versions/{version}"
        router.get(version, summary="Get a version of an agent")(self.get_version)
        router.post(f"{version}/restore", summary="Publish an earlier version anew")(self.restore_version)
        router.get("/diff", summary="Compare two versions of an agent")(self.compare_versions)
        return router

    async def get_draft(self, scope: CurrentScope, agent_id: UUID) -> DraftOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return await _draft(session, await agents.get_agent(session, agent_id))

    async def change_draft(
        self, scope: CurrentScope, match: CurrentMatch, agent_id: UUID, body: SettingsPatch
    ) -> DraftOut:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await _check(session, match, agent_id)
            changes = body.model_dump(exclude_unset=True)
            return await _draft(session, await agents.save_draft(session, agent_id, changes))

    async def discard_draft(self, scope: CurrentScope, match: CurrentMatch, agent_id: UUID) -> None:
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await _check(session, match, agent_id)
            await agents.discard_draft(session, agent_id)

    async def publish_draft(
        self, scope: CurrentScope, match: CurrentMatch, agent_id: UUID, body: PublishBody
    ) -> AgentOut:
        """`If-Match` is the `ETag` of the draft."""
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            await _check(session, match, agent_id)
            made = await agents.publish_draft(session, agent_id, note=body.note, condition=self.condition)
            return await agent_out(session, made)

    async def list_versions(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.VERSION_ORDERS, "-number")],
        agent_id: UUID,
    ) -> VersionsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_versions(session, page, agent_id)
        return VersionsOut(items=[_version(one) for one in found], next_cursor=after)

    async def get_version(self, scope: CurrentScope, agent_id: UUID, version: VersionNumber) -> VersionOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return _version(await service.get_version(session, agent_id, version))

    async def restore_version(
        self,
        scope: CurrentScope,
        match: CurrentMatch,
        agent_id: UUID,
        version: VersionNumber,
        *,
        anyway: bool = False,
    ) -> AgentOut:
        """What it said becomes the newest version and acts at once; a draft stays as it is.

        Where agents are published only if their scenarios pass, a version that has not passed them as they
        are asked for now is 409, unless it is wanted `anyway`. `If-Match` is the `ETag` of the agent.
        """
        require(scope, policy.EDIT_AGENTS)
        async with self.db.session(scope) as session:
            if match:
                match.check(await agent_out(session, await agents.get_agent(session, agent_id, lock=True)))
            made = await service.restore_version(
                session, agent_id, version, condition=self.condition, anyway=anyway
            )
            return await agent_out(session, made)

    async def compare_versions(
        self, scope: CurrentScope, agent_id: UUID, before: Compared = None, after: Compared = None
    ) -> DifferencesOut:
        """Without `before` it is what is published, without `after` the draft."""
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            _old, _new, found = await service.compare(session, agent_id, before, after)
        return DifferencesOut(
            items=[
                DifferenceOut(setting=pointer_of(one.setting), before=one.before, after=one.after)
                for one in found
            ]
        )


async def _check(session: Session, match: Match, agent_id: UUID) -> None:
    if match:
        match.check(await _draft(session, await agents.get_agent(session, agent_id, lock=True)))


async def _draft(session: Session, agent: Agent) -> DraftOut:
    edited = agents.as_edited(agent)
    problems = (await agents.find_problems(session, [edited]))[agent.id]
    settings = msgspec.to_builtins(edited.settings)
    told = {"has_draft": agent.draft is not None, "problems": flagged(problems)}
    return DraftOut.model_validate({**settings, **told})


def _version(version: AgentVersion) -> VersionOut:
    told = msgspec.to_builtins(version)
    del told["agent_id"]  # stands in the address
    return VersionOut.model_validate(told)
