"""An agent and its settings: one document, whose table feeds screen, API, documents and tests."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

from gptagent.features.knowledge.model import CATEGORIES_MAX

Creativity = Literal["precise", "balanced", "creative"]
CREATIVITIES: tuple[Creativity, ...] = get_args(Creativity)
# Sampling temperature of the model (0 - 2) behind each word.
TEMPERATURES: dict[Creativity, float] = {"precise": 0.2, "balanced": 0.7, "creative": 1.0}

NAME_MAX_CHARS = 255
INSTRUCTIONS_MIN_CHARS = 10
INSTRUCTIONS_MAX_CHARS = 20_000
DELAY_MAX_SECONDS = 3_600
NOT_FOUND_MAX_CHARS = 500
MODEL_MAX_CHARS = 200

DEFAULT_INSTRUCTIONS = "You are a helpful employee of our company. Answer briefly and to the point."
DEFAULT_NOT_FOUND = (
    "I do not have enough information to answer this. I will check the details and come back to you."
)


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
class Settings:
    """What an agent is told and when it speaks. `model` None means the installation's model.

    Stored as JSON: a document written before a setting existed has that setting's default.
    """

    instructions: str = DEFAULT_INSTRUCTIONS
    model: str | None = None
    creativity: Creativity = "balanced"
    response_delay_seconds: int = 5
    not_found_text: str = DEFAULT_NOT_FOUND
    not_found_task: bool = True
    remembers_customers: bool = True
    knowledge: KnowledgeAccess = field(default_factory=KnowledgeAccess)


@dataclass(frozen=True, slots=True)
class Agent:
    id: UUID
    name: str
    is_active: bool
    settings: Settings
    version: int
    created_at: datetime
    updated_at: datetime


Kind = Literal["text", "number", "choice", "switch", "categories"]


@dataclass(frozen=True, slots=True)
class Setting:
    """How a setting is checked and what it does. `says` is for the screen, to be translated.

    `low` and `high` bound the characters of a text, a number, or how many may be named. `needs_model`:
    without a model it has no effect, and is not shown.
    """

    kind: Kind
    says: str
    low: int = 0
    high: int = 0
    options: tuple[str, ...] = ()
    is_optional: bool = False
    needs_model: bool = False


# By the path in the document.
SETTINGS: Mapping[str, Setting] = {
    "instructions": Setting(
        "text",
        "Tone, style and general facts about the company. Ten to fifteen lines are enough.",
        INSTRUCTIONS_MIN_CHARS,
        INSTRUCTIONS_MAX_CHARS,
        needs_model=True,
    ),
    "model": Setting(
        "text",
        "Which model writes the answers. Empty means the model of this installation.",
        1,
        MODEL_MAX_CHARS,
        is_optional=True,
        needs_model=True,
    ),
    "creativity": Setting(
        "choice",
        "How freely the model words its answers.",
        options=CREATIVITIES,
        needs_model=True,
    ),
    "response_delay_seconds": Setting(
        "number",
        "The agent waits for so much silence, so that a customer who writes in several messages gets one "
        "answer.",
        0,
        DELAY_MAX_SECONDS,
    ),
    "not_found_text": Setting(
        "text", "The customer gets this text instead of an invented answer.", 1, NOT_FOUND_MAX_CHARS
    ),
    "not_found_task": Setting(
        "switch", "A manager sees the customer's question in the CRM and answers it."
    ),
    "remembers_customers": Setting(
        "switch",
        "Names, wishes and promises are noted from the customer's messages and known in later chats of the "
        "same contact. Off: nothing more is noted or used; what was noted stays visible in the conversation.",
    ),
    "knowledge.all": Setting(
        "switch", "The agent answers from all categories, also from those you add later."
    ),
    "knowledge.categories": Setting(
        "categories",
        "The agent answers from articles, documents and sites in these categories or below them. What is in "
        "no category it does not find.",
        high=CATEGORIES_MAX,
    ),
}
# Of long texts the records say that they changed, not what they say: they may name people.
LONG_TEXT_CHARS = 255


@dataclass(frozen=True, slots=True)
class Problem:
    """A setting names something that is no longer there. `setting` is its path, `reference` what it names."""

    setting: str
    reference: str
