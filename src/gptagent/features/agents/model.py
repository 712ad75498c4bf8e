"""An agent and its settings: one document. What each setting is bound by and does stands in table.py."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, get_args
from uuid import UUID

from gptagent.features.inference.budgets.model import Limits

HISTORY_MAX_MESSAGES = 50  # a model can be told with the new ones

Creativity = Literal["precise", "balanced", "creative"]
CREATIVITIES: tuple[Creativity, ...] = get_args(Creativity)
# Sampling temperature of the model (0 - 2) behind each word.
TEMPERATURES: dict[Creativity, float] = {"precise": 0.2, "balanced": 0.7, "creative": 1.0}
# Languages an agent may be held to: what a model calls them, and what they call themselves.
LANGUAGES: Mapping[str, tuple[str, str]] = {
    "ru": ("Russian", "Русский"),
    "en": ("English", "English"),
    "de": ("German", "Deutsch"),
    "es": ("Spanish", "Español"),
    "fr": ("French", "Français"),
    "hy": ("Armenian", "Հայերեն"),
    "id": ("Indonesian", "Bahasa Indonesia"),
    "it": ("Italian", "Italiano"),
    "ka": ("Georgian", "ქართული"),
    "kk": ("Kazakh", "Қазақша"),
    "pl": ("Polish", "Polski"),
    "pt": ("Portuguese", "Português"),
    "tr": ("Turkish", "Türkçe"),
    "uk": ("Ukrainian", "Українська"),
    "uz": ("Uzbek", "Oʻzbekcha"),
}
# What of a deal and of a contact may be told besides the custom fields `cf_{id}`.
LEAD_FIELDS = ("name", "price", "pipeline", "stage", "responsible", "tags")
CONTACT_FIELDS = ("name", "phone", "email", "responsible", "tags")
CUSTOM_FIELD = "cf_"
# What of them an agent may write besides custom fields.
WRITTEN_LEAD_FIELDS = ("name", "price")
WRITTEN_CONTACT_FIELDS = ("name",)
# How far an agent goes with an action: it shows it beside the conversation, asks first, or does it.
Degree = Literal["off", "suggest", "approve", "alone"]
DEGREES: tuple[Degree, ...] = get_args(Degree)
# Of words to a customer besides the reply: a person sends them.
SentDegree = Literal["off", "suggest", "approve"]
SENT_DEGREES: tuple[SentDegree, ...] = get_args(SentDegree)

DEFAULT_INSTRUCTIONS = "You are a helpful employee of our company. Answer briefly and to the point."
DEFAULT_NOT_FOUND = (
    "I do not have enough information to answer this. I will check the details and come back to you."
)
DEFAULT_HANDOFF = "I am handing you over to a colleague, who will answer you here."


@dataclass(frozen=True, slots=True)
class StageText:
    """What the agent is told while a deal is at this stage."""

    stage_id: int
    text: str


@dataclass(frozen=True, slots=True)
class StageGoal:
    """What is to be reached at this stage, and where the deal is moved to then by an agent that may."""

    stage_id: int
    text: str
    next_stage_id: int | None = None


@dataclass(frozen=True, slots=True)
class StageFollowUp:
    """What a customer is sent, once, who is silent for so long while their deal is at this stage."""

    stage_id: int
    after_hours: int
    text: str


@dataclass(frozen=True, slots=True)
class PipelineRule:
    """Whether an agent works in a pipeline, at which stages, and what it is told at some of them."""

    connection_id: UUID
    pipeline_id: int
    is_active: bool = True
    all_stages: bool = True
    stages: tuple[int, ...] = ()
    instructions: tuple[StageText, ...] = ()
    follow_ups: tuple[StageFollowUp, ...] = ()
    goals: tuple[StageGoal, ...] = ()


@dataclass(frozen=True, slots=True)
class Pipelines:
    """Where an agent works: in all deals and without one, or only where a rule of `chosen` says so.

    Instructions, follow-ups and goals of a stage count either way.
    """

    all: bool = True
    chosen: tuple[PipelineRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Channels:
    """Where chats may come from: `chosen` has the CRM's own words for channels, such as `waba`."""

    all: bool = True
    chosen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnowledgeAccess:
    """What an agent answers from: everything, or these categories with all below them."""

    all: bool = True
    categories: tuple[UUID, ...] = ()

    @property
    def part(self) -> tuple[UUID, ...] | None:
        """The categories the agent is kept to; None for everything."""
        return None if self.all else self.categories


@dataclass(frozen=True, slots=True)
class Readable:
    """What of a deal and of its contact a model is told."""

    lead: tuple[str, ...] = ("name", "pipeline", "stage")
    contact: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UpdateRule:
    """When a field of the deal or contact is written from what the customer says, in words.

    Without `overwrite` a value that is there stays.
    """

    field: str
    condition: str
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class UpdateRules:
    """Gone through from the first to the last."""

    lead: tuple[UpdateRule, ...] = ()
    contact: tuple[UpdateRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Actions:
    """How far the agent goes with each action. `confidence`, in percent, is the least to do it alone."""

    move_deal: Degree = "off"
    create_task: Degree = "off"
    add_note: Degree = "off"
    change_responsible: Degree = "off"
    add_tags: Degree = "off"
    create_contact: Degree = "off"
    fill_contact: Degree = "off"
    send_message: SentDegree = "off"
    send_email: SentDegree = "off"
    confidence: int = 80


@dataclass(frozen=True, slots=True)
class Language:
    """The customer's own if it is to be detected, else `fixed`, one of LANGUAGES."""

    detect: bool = True
    fixed: str = "ru"


@dataclass(frozen=True, slots=True)
class Opening:
    """When an agent works on a day of the week, 1 Monday to 7 Sunday: `HH:MM` until `HH:MM` of the same day.

    A day that ends at 23:59 ends with its last minute.
    """

    day: int
    opens: str
    closes: str


def _working_week() -> tuple[Opening, ...]:
    return tuple(Opening(day, "09:00", "18:00") for day in range(1, 6))


@dataclass(frozen=True, slots=True)
class Hours:
    """When an agent answers, by the clocks of a time zone; on `holidays` not at all."""

    is_on: bool = False
    timezone: str = "Europe/Moscow"
    week: tuple[Opening, ...] = field(default_factory=_working_week)
    holidays: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """What an agent is told and when it speaks. `model` None means the installation's model.

    Stored as JSON: a document written before a setting existed has that setting's default.
    """

    instructions: str = DEFAULT_INSTRUCTIONS
    check_before_sending: bool = False
    goal: str = ""
    pipelines: Pipelines = field(default_factory=Pipelines)
    channels: Channels = field(default_factory=Channels)
    knowledge: KnowledgeAccess = field(default_factory=KnowledgeAccess)
    not_found_task: bool = True
    not_found_text: str = DEFAULT_NOT_FOUND
    handoff_text: str = DEFAULT_HANDOFF
    readable: Readable = field(default_factory=Readable)
    update_rules: UpdateRules = field(default_factory=UpdateRules)
    actions: Actions = field(default_factory=Actions)
    model: str | None = None
    language: Language = field(default_factory=Language)
    creativity: Creativity = "balanced"
    response_delay_seconds: int = 5
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    history_messages: int = 10
    reply_max_chars: int | None = None
    markdown: bool = False
    split_replies: bool = False
    welcome_text: str = ""
    hours: Hours = field(default_factory=Hours)
    remembers_customers: bool = True
    budget: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Agent:
    """Turns use `settings`, which are those of the version `published`; `draft` nobody gets yet."""

    id: UUID
    name: str
    is_active: bool
    settings: Settings
    version: int
    created_at: datetime
    updated_at: datetime
    published: int = 1
    draft: Settings | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a customer writes. Without a deal, or while its stage is not known, the last two are None."""

    connection_id: UUID
    channel: str
    pipeline_id: int | None = None
    stage_id: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A setting names something that is no longer there. `setting` is its path, `reference` what it names."""

    setting: str
    reference: str
