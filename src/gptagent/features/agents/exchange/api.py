"""Agents as files, and templates of agents, over REST."""

from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Request
from pydantic import Field

from gptagent.features.agents import service
from gptagent.features.agents.api import agent_out
from gptagent.features.agents.exchange import service as exchange
from gptagent.features.agents.model import Agent, Creativity
from gptagent.features.agents.presets.model import PresetKey
from gptagent.features.agents.presets.service import list_presets
from gptagent.features.agents.table import SETTINGS
from gptagent.features.agents.wire import AgentOut, SettingsOut, SettingsPatch, pointer_of
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.db import Database, Session
from gptagent.kernel.http import Body, CurrentScope, Wire, example, locale_of
from gptagent.kernel.rest import api_router

NAMES_MAX = 5_000  # of one setting: pipelines with all their stages
NAMED_MAX_CHARS = 2_000  # a category's name has those above it
Named = Annotated[str, Field(max_length=NAMED_MAX_CHARS)]
FileNames = Annotated[
    dict[Named, Annotated[dict[Named, Named], Field(max_length=NAMES_MAX)]], Field(max_length=len(SETTINGS))
]
FORMAT: Literal["gptagent.agent"] = "gptagent.agent"


class AgentFileBody(Body):
    """An exported agent. `format` names what the file is; settings left out have their defaults.

    `names` says what the ids in the settings are called, by the pointer of the setting and the id: where this
    workspace does not have an id, what is called so here takes its place.
    """

    model_config = example({"format": FORMAT, "name": "Sales", "settings": {"goal": "A visit"}})

    format: Literal["gptagent.agent"]
    name: str
    settings: SettingsPatch
    names: FileNames = Field(default_factory=dict)


class AgentFileOut(Wire):
    """What is published of an agent. It holds ids of this workspace, and nothing secret."""

    format: Literal["gptagent.agent"] = FORMAT
    name: str
    settings: SettingsOut
    names: FileNames


class UnmatchedOut(Wire):
    """The setting, by its pointer, names something that is not found here, and still does."""

    setting: str
    reference: str
    name: str


class TakenAgentOut(AgentOut):
    """`unmatched` is what was found here neither by its id nor by its name."""

    unmatched: list[UnmatchedOut]


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

    async def take(self, request: Request, scope: CurrentScope, body: AgentFileBody) -> TakenAgentOut:
        """It is silent. What this workspace has under another id is found by its name; the rest is kept, and
        listed.
        """
        require(scope, policy.EDIT_AGENTS)
        settings = body.settings.model_dump(exclude_unset=True)
        async with self.db.session(scope) as session:
            made, unmatched = await exchange.take_file(
                session, body.name, settings, names_of(body), locale=locale_of(request)
            )
            told = (await agent_out(session, made)).model_dump()
        missed = [{**msgspec.to_builtins(one), "setting": pointer_of(one.setting)} for one in unmatched]
        return TakenAgentOut.model_validate({**told, "unmatched": missed})

    async def export(self, scope: CurrentScope, agent_id: UUID) -> AgentFileOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return await as_file(session, await service.get_agent(session, agent_id))


async def as_file(session: Session, agent: Agent) -> AgentFileOut:
    """Return what is published of the agent, as a file holds it, with the names of what it refers to."""
    settings = SettingsOut.model_validate(msgspec.to_builtins(agent.settings))
    named = await exchange.name_references(session, agent.settings)
    names = {pointer_of(path): these for path, these in named.items() if these}
    return AgentFileOut(name=agent.name, settings=settings, names=names)


def names_of(body: AgentFileBody) -> dict[str, dict[str, str]]:
    """Return the names of a file by the path of the setting."""
    return {pointer.strip("/").replace("/", "."): these for pointer, these in body.names.items()}
