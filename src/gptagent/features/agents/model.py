"""Settings of an agent and their limits. One table feeds screen, API, documents and tests."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

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


@dataclass(frozen=True, slots=True)
class Agent:
    """`model` None means the installation's model; `response_delay_seconds` is the silence waited for."""

    id: UUID
    name: str
    is_active: bool
    instructions: str
    model: str | None
    creativity: Creativity
    response_delay_seconds: int
    not_found_text: str
    not_found_task: bool
    remembers_customers: bool
    version: int
    created_at: datetime
    updated_at: datetime
