"""What agents look like over REST: the document of settings, flat beside the agent's own fields."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from pydantic import Field

from gptagent.features.agents.model import Agent, Creativity, Problem
from gptagent.features.knowledge.model import CATEGORIES_MAX
from gptagent.kernel.http import Body, Wire, example


class NewAgentBody(Body):
    model_config = example({"name": "Sales"})

    name: str


class KnowledgePatch(Body):
    all: bool | None = None
    categories: list[UUID] | None = Field(None, max_length=CATEGORIES_MAX)


class AgentPatch(Body):
    """Settings left out stay as they are, also inside of groups; lists are replaced as a whole."""

    model_config = example({"is_active": True, "response_delay_seconds": 10, "knowledge": {"all": True}})

    name: str | None = None
    is_active: bool | None = None
    instructions: str | None = None
    check_before_sending: bool | None = None
    model: str | None = None
    creativity: Creativity | None = None
    response_delay_seconds: int | None = None
    not_found_text: str | None = None
    not_found_task: bool | None = None
    remembers_customers: bool | None = None
    knowledge: KnowledgePatch | None = None


class KnowledgeOut(Wire):
    all: bool
    categories: list[UUID]


class ProblemOut(Wire):
    """The setting, by its pointer, still names something that is no longer there."""

    setting: str
    reference: str


class AgentOut(Wire):
    id: UUID
    name: str
    is_active: bool
    instructions: str
    check_before_sending: bool
    model: str | None
    creativity: Creativity
    response_delay_seconds: int
    not_found_text: str
    not_found_task: bool
    remembers_customers: bool
    knowledge: KnowledgeOut
    problems: list[ProblemOut]
    version: int
    created_at: datetime
    updated_at: datetime


class AgentsOut(Wire):
    items: list[AgentOut]
    next_cursor: str | None


OWN = ("id", "name", "is_active", "version", "created_at", "updated_at")


def told(agent: Agent, problems: Sequence[Problem]) -> AgentOut:
    """Return the agent as an answer tells it."""
    own = {key: getattr(agent, key) for key in OWN}
    flags = [{"setting": f"/{one.setting.replace('.', '/')}", "reference": one.reference} for one in problems]
    return AgentOut.model_validate({**msgspec.to_builtins(agent.settings), **own, "problems": flags})
