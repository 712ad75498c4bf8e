"""What agents look like over REST: the document of settings, flat beside the agent's own fields."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated
from uuid import UUID

import msgspec
from pydantic import Field

from gptagent.features.agents.listing.model import BulkAction
from gptagent.features.agents.model import Agent, Creativity, Degree, Problem, SentDegree
from gptagent.features.agents.presets.model import PresetKey
from gptagent.features.agents.table import FOLLOW_UP_MAX_HOURS, PIPELINES_MAX, RULES_MAX, STAGES_MAX
from gptagent.features.knowledge.model import CATEGORIES_MAX
from gptagent.kernel.http import Body, Wire, example

CrmId = Annotated[int, Field(ge=1, le=2**63 - 1)]
IDS_MAX = 1_000  # repeated ones count here; of different ones BULK_MAX says how many
Day = Annotated[int, Field(ge=1, le=7)]


class NewAgentBody(Body):
    """`template` is one of `GET /api/v1/agent-templates`, in the language of the request."""

    model_config = example({"name": "Sales", "template": "sales"})

    name: str
    template: PresetKey | None = None


class AgentsChange(Body):
    """`model` is what `set_model` sets; without one it is the installation's."""

    model_config = example({"ids": [], "action": "deactivate"})

    ids: Annotated[list[UUID], Field(max_length=IDS_MAX)]
    action: BulkAction
    model: str | None = None


class AgentsChanged(Wire):
    changed: int


class StageTextBody(Body):
    stage_id: CrmId
    text: str


class StageFollowUpBody(Body):
    """Sent once after `after_hours` of the customer's silence; variables as in scripts."""

    stage_id: CrmId
    after_hours: Annotated[int, Field(ge=1, le=FOLLOW_UP_MAX_HOURS)]
    text: str


class StageGoalBody(Body):
    """What is to be reached at the stage; the deal is moved to `next_stage_id` then, as actions allow."""

    stage_id: CrmId
    text: str
    next_stage_id: CrmId | None = None


class PipelineRuleBody(Body):
    connection_id: UUID
    pipeline_id: CrmId
    is_active: bool = True
    all_stages: bool = True
    stages: list[CrmId] = Field(default_factory=list, max_length=STAGES_MAX)
    instructions: list[StageTextBody] = Field(default_factory=list, max_length=STAGES_MAX)
    follow_ups: list[StageFollowUpBody] = Field(default_factory=list, max_length=STAGES_MAX)
    goals: list[StageGoalBody] = Field(default_factory=list, max_length=STAGES_MAX)


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


class UpdateRuleBody(Body):
    """`field`: `name`, `price` (of deals), or `cf_` and the number of a custom field."""

    field: str
    condition: str
    overwrite: bool = False


class UpdateRulesPatch(Body):
    lead: list[UpdateRuleBody] | None = Field(None, max_length=RULES_MAX)
    contact: list[UpdateRuleBody] | None = Field(None, max_length=RULES_MAX)


class ActionsPatch(Body):
    move_deal: Degree | None = None
    create_task: Degree | None = None
    add_note: Degree | None = None
    change_responsible: Degree | None = None
    add_tags: Degree | None = None
    create_contact: Degree | None = None
    fill_contact: Degree | None = None
    send_message: SentDegree | None = None
    send_email: SentDegree | None = None
    confidence: int | None = Field(None, ge=50, le=100)


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


class BudgetPatch(Body):
    """US cents and tokens of a day and a month by UTC; null: any number."""

    day_cents: int | None = None
    month_cents: int | None = None
    day_tokens: int | None = None
    month_tokens: int | None = None


class SettingsPatch(Body):
    """Settings left out stay as they are, also inside of groups; lists are replaced as a whole."""

    model_config = example({"response_delay_seconds": 10, "knowledge": {"all": True}})

    instructions: str | None = None
    check_before_sending: bool | None = None
    goal: str | None = None
    pipelines: PipelinesPatch | None = None
    channels: ChannelsPatch | None = None
    knowledge: KnowledgePatch | None = None
    not_found_task: bool | None = None
    not_found_text: str | None = None
    handoff_text: str | None = None
    readable: ReadablePatch | None = None
    update_rules: UpdateRulesPatch | None = None
    actions: ActionsPatch | None = None
    model: str | None = None
    language: LanguagePatch | None = None
    creativity: Creativity | None = None
    response_delay_seconds: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    history_messages: int | None = None
    reply_max_chars: int | None = None
    markdown: bool | None = None
    split_replies: bool | None = None
    welcome_text: str | None = None
    hours: HoursPatch | None = None
    remembers_customers: bool | None = None
    budget: BudgetPatch | None = None


class AgentPatch(SettingsPatch):
    """Settings left out stay as they are, also inside of groups; what is changed is published at once."""

    model_config = example({"is_active": True, "response_delay_seconds": 10, "knowledge": {"all": True}})

    name: str | None = None
    is_active: bool | None = None


class StageTextOut(Wire):
    stage_id: int
    text: str


class StageFollowUpOut(Wire):
    stage_id: int
    after_hours: int
    text: str


class StageGoalOut(Wire):
    stage_id: int
    text: str
    next_stage_id: int | None


class PipelineRuleOut(Wire):
    connection_id: UUID
    pipeline_id: int
    is_active: bool
    all_stages: bool
    stages: list[int]
    instructions: list[StageTextOut]
    follow_ups: list[StageFollowUpOut]
    goals: list[StageGoalOut]


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


class UpdateRuleOut(Wire):
    field: str
    condition: str
    overwrite: bool


class UpdateRulesOut(Wire):
    lead: list[UpdateRuleOut]
    contact: list[UpdateRuleOut]


class ActionsOut(Wire):
    """How far the agent goes with each: off, suggest, approve or alone. What customers get besides the reply
    (`send_message`, `send_email`) is never sent alone. `confidence` in percent.
    """

    move_deal: Degree
    create_task: Degree
    add_note: Degree
    change_responsible: Degree
    add_tags: Degree
    create_contact: Degree
    fill_contact: Degree
    send_message: SentDegree
    send_email: SentDegree
    confidence: int


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


class BudgetOut(Wire):
    day_cents: int | None
    month_cents: int | None
    day_tokens: int | None
    month_tokens: int | None


class ProblemOut(Wire):
    """The setting, by its pointer, still names something that is no longer there."""

    setting: str
    reference: str


class SettingsOut(Wire):
    instructions: str
    check_before_sending: bool
    goal: str
    pipelines: PipelinesOut
    channels: ChannelsOut
    knowledge: KnowledgeOut
    not_found_task: bool
    not_found_text: str
    handoff_text: str
    readable: ReadableOut
    update_rules: UpdateRulesOut
    actions: ActionsOut
    model: str | None
    language: LanguageOut
    creativity: Creativity
    response_delay_seconds: int
    presence_penalty: float
    frequency_penalty: float
    history_messages: int
    reply_max_chars: int | None
    markdown: bool
    split_replies: bool
    welcome_text: str
    hours: HoursOut
    remembers_customers: bool
    budget: BudgetOut


class AgentOut(SettingsOut):
    """`published_version` is what customers get; `has_draft`: changes wait that nobody gets yet."""

    id: UUID
    name: str
    is_active: bool
    problems: list[ProblemOut]
    version: int
    published_version: int
    has_draft: bool
    created_at: datetime
    updated_at: datetime


class AgentsOut(Wire):
    items: list[AgentOut]
    next_cursor: str | None


OWN = ("id", "name", "is_active", "version", "created_at", "updated_at")


def told(agent: Agent, problems: Sequence[Problem]) -> AgentOut:
    """Return the agent as an answer tells it."""
    own = {key: getattr(agent, key) for key in OWN}
    own |= {"published_version": agent.published, "has_draft": agent.draft is not None}
    return AgentOut.model_validate(
        {**msgspec.to_builtins(agent.settings), **own, "problems": flagged(problems)}
    )


def flagged(problems: Sequence[Problem]) -> list[dict[str, str]]:
    """Return problems as answers tell them."""
    return [{"setting": pointer_of(one.setting), "reference": one.reference} for one in problems]


def pointer_of(path: str) -> str:
    """Return a setting's JSON pointer."""
    return f"/{path.replace('.', '/')}"
