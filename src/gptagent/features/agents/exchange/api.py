"""Agents as files, and templates of agents, over REST."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request
from pydantic import Field

from gptagent.features.agents import service
from gptagent.features.agents.api import agent_out
from gptagent.features.agents.model import Agent, Creativity
from gptagent.features.agents.presets.model import PresetKey
from gptagent.features.agents.presets.service import list_presets
from gptagent.features.agents.wire import AgentOut, SettingsOut, SettingsPatch
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database
from gptagent.kernel.http import Body, CurrentScope, Wire, example, locale_of
from gptagent.kernel.rest import api_router

FORMAT: Literal["gptagent.agent"] = "gptagent.agent"


class AgentFileBody(Body):
    """An exported agent. `format` names what the file is; settings left out have their defaults."""

    model_config = example({"format": FORMAT, "name": "Sales", "settings": {"goal": "A visit"}})

    format: Literal["gptagent.agent"]
    name: str
    settings: SettingsPatch


class AgentFileOut(Wire):
    """What is published of an agent. It holds ids of this workspace, and nothing secret."""

    format: Literal["gptagent.agent"] = FORMAT
    name: str
    settings: SettingsOut


class TemplateOut(Wire):
    """`template` is what a new agent is made from; title and summary are for who chooses."""

    template: PresetKey
    title: str
    summary: str
    instructions: str
    goal: str
    welcome_text: str
    not_found_text: str
    creativity: Creativity
    response_delay_seconds: Annotated[int, Field(ge=0)]


class TemplatesOut(Wire):
    items: list[TemplateOut]


@dataclass(frozen=True, slots=True)
class AgentExchangeApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("", tags=["agents"])
        router.get("/agent-templates", summary="List templates of agents")(self.templates)
        router.post("/agents/import", status_code=201, summary="Make an agent from a file")(self.take)
        router.get("/agents/{agent_id}/export", summary="Get an agent as a file")(self.export)
        return router

    async def templates(self, request: Request, scope: CurrentScope) -> TemplatesOut:
        """They are in the language of the request."""
        require(scope, policy.VIEW)
        found = list_presets(locale_of(request)).items()
        items = [
            TemplateOut.model_validate({"template": key, **msgspec.to_builtins(one)}) for key, one in found
        ]
        return TemplatesOut(items=items)

    async def take(self, request: Request, scope: CurrentScope, body: AgentFileBody) -> AgentOut:
        """It is silent. What it names and this workspace does not have is kept and listed as a problem."""
        require(scope, policy.EDIT_AGENTS)
        settings = body.settings.model_dump(exclude_unset=True)
        async with self.db.session(scope) as session:
            made = await service.import_agent(session, body.name, settings, locale=locale_of(request))
            return await agent_out(session, made)

    async def export(self, scope: CurrentScope, agent_id: UUID) -> AgentFileOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return as_file(await service.get_agent(session, agent_id))


def as_file(agent: Agent) -> AgentFileOut:
    """Return what is published of the agent, as a file holds it."""
    settings = msgspec.to_builtins(agent.settings)
    return AgentFileOut(name=agent.name, settings=SettingsOut.model_validate(settings))
