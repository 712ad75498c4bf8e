"""What agents look like over REST: the document of settings, flat beside the agent's own fields."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from pydantic import Field

from gptagent.features.agents.model import Agent, Creativity, Problem
from gptagent.features.agents.table import PIPELINES_MAX, STAGES_MAX
from gptagent.features.knowledge.model import CATEGORIES_MAX
from gptagent.kernel.http import Body, Wire, example

CrmId = Annotated[int, Field(ge=1, le=2**63 - 1)]
Day = Annotated[int, Field(ge=1, le=7)]


class NewAgentBody(Body):
    model_config = example({"name": "Sales"})

    name: str


class StageTextBody(Body):
    stage_id: CrmId
    text: str


class PipelineRuleBody(Body):
    connection_id: UUID
    pipeline_id: CrmId
    is_active: bool = True
    all_stages: bool = True
    stages: list[CrmId] = Field(default_factory=list, max_length=STAGES_MAX)
    instructions: list[StageTextBody] = Field(default_factory=list, max_length=STAGES_MAX)


class PipelinesPatch(Body):
    all: bool | None = None
    chosen: list[PipelineRuleBody] | None = Field(None, max_length=PIPELINES_MAX)


class ChannelsPatch(Body):
    all: bool | None = None
    chosen: list[str] | None = Field(None, max_length=100)


class KnowledgePatch(Body):
    all: bool | None = None
    categories: list[UUID] | None = Field(None, max_length=CATEGORIES_MAX)


class ReadablePatch(Body):
    lead: list[str] | None = Field(None, max_length=200)
    contact: list[str] | None = Field(None, max_length=200)


class LanguagePatch(Body):
    detect: bool | None = None
    fixed: str | None = None


class OpeningBody(Body):
    """Times are `HH:MM`; a day that closes at 23:59 ends with its last minute."""

    day: Day
    opens: str
    closes: str


class HoursPatch(Body):
    is_on: bool | None = None
    timezone: str | None = None
    week: list[OpeningBody] | None = Field(None, max_length=7)
    holidays: list[date] | None = Field(None, max_length=366)


class AgentPatch(Body):
    """Settings left out stay as they are, also inside of groups; lists are replaced as a whole."""

    model_config = example({"is_active": True, "response_delay_seconds": 10, "knowledge": {"all": True}})

    name: str | None = None
    is_active: bool | None = None
    instructions: str | None = None
    check_before_sending: bool | None = None
    goal: str | None = None
    pipelines: PipelinesPatch | None = None
    channels: ChannelsPatch | None = None
    knowledge: KnowledgePatch | None = None
    not_found_task: bool | None = None
    not_found_text: str | None = None
    readable: ReadablePatch | None = None
    model: str | None = None
    language: LanguagePatch | None = None
    creativity: Creativity | None = None
    response_delay_seconds: int | None = None
    reply_max_chars: int | None = None
    markdown: bool | None = None
    split_replies: bool | None = None
    welcome_text: str | None = None
    hours: HoursPatch | None = None
    remembers_customers: bool | None = None


class StageTextOut(Wire):
    stage_id: int
    text: str


class PipelineRuleOut(Wire):
    connection_id: UUID
    pipeline_id: int
    is_active: bool
    all_stages: bool
    stages: list[int]
    instructions: list[StageTextOut]


class PipelinesOut(Wire):
    all: bool
    chosen: list[PipelineRuleOut]


class ChannelsOut(Wire):
    all: bool
    chosen: list[str]


class KnowledgeOut(Wire):
    all: bool
    categories: list[UUID]


class ReadableOut(Wire):
    lead: list[str]
    contact: list[str]


class LanguageOut(Wire):
    detect: bool
    fixed: str


class OpeningOut(Wire):
    day: int
    opens: str
    closes: str


class HoursOut(Wire):
    is_on: bool
    timezone: str
    week: list[OpeningOut]
    holidays: list[date]


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
    goal: str
    pipelines: PipelinesOut
    channels: ChannelsOut
    knowledge: KnowledgeOut
    not_found_task: bool
    not_found_text: str
    readable: ReadableOut
    model: str | None
    language: LanguageOut
    creativity: Creativity
    response_delay_seconds: int
    reply_max_chars: int | None
    markdown: bool
    split_replies: bool
    welcome_text: str
    hours: HoursOut
    remembers_customers: bool
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
