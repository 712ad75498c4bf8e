"""What a template of an agent holds. Pure."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from gptagent.features.agents.model import Creativity, Settings

PresetKey = Literal["support", "sales", "qualifier", "consultant", "faq"]
PRESETS: tuple[PresetKey, ...] = get_args(PresetKey)


@dataclass(frozen=True, slots=True)
class Preset:
    """`title` and `summary` are for who chooses, the rest are settings of the agent."""

    title: str
    summary: str
    instructions: str
    goal: str
    welcome_text: str
    not_found_text: str
    creativity: Creativity
    response_delay_seconds: int

    def put_into(self, settings: Settings) -> Settings:
        """Return the settings with those of the template."""
        return replace(
            settings,
            instructions=self.instructions,
            goal=self.goal,
            welcome_text=self.welcome_text,
            not_found_text=self.not_found_text,
            creativity=self.creativity,
            response_delay_seconds=self.response_delay_seconds,
        )
