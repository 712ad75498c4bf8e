"""Facts about the company, their limits, and which of them a model is told. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from gptagent.features.knowledge.staging.model import StageKey, stage_errors
from gptagent.kernel.errors import FieldError, Invalid

CONTENT_MAX_CHARS = 4_000
PRIORITY_MIN, PRIORITY_MAX, PRIORITY = 1, 100, 50
FACTS_MAX = 500  # of a workspace
AGENTS_MAX = 100  # of a fact
# What one question's prompt gets: it is paid for with every answer.
FACTS_GIVEN, GIVEN_MAX_CHARS = 50, 8_000


@dataclass(frozen=True, slots=True)
class NewFact:
    """Without `agents` it is for every agent, without `stages` for every stage and for chats without a deal.

    A lower `priority` comes first.
    """

    content: str
    agents: tuple[UUID, ...] = ()
    stages: tuple[StageKey, ...] = ()
    priority: int = PRIORITY

    def checked(self) -> "NewFact":
        """Return it tidied up. Raises Invalid by field."""
        content = self.content.replace("\r\n", "\n").strip()
        agents, stages = tuple(sorted(set(self.agents))), tuple(sorted(set(self.stages)))
        wrong: list[FieldError] = []
        if not content:
            wrong.append(FieldError("content", "Fill in this field."))
        elif len(content) > CONTENT_MAX_CHARS:
            wrong.append(FieldError("content", "Write at most {max} characters.", {"max": CONTENT_MAX_CHARS}))
        if not PRIORITY_MIN <= self.priority <= PRIORITY_MAX:
            params = {"least": PRIORITY_MIN, "most": PRIORITY_MAX}
            wrong.append(FieldError("priority", "Enter a number from {least} to {most}.", params))
        if len(agents) > AGENTS_MAX:
            wrong.append(FieldError("agents", "Choose at most {max}.", {"max": AGENTS_MAX}))
        wrong += stage_errors(stages)
        if wrong:
            raise Invalid("invalid", "Please correct the marked fields.", fields=tuple(wrong))
        return NewFact(content, agents, stages, self.priority)


@dataclass(frozen=True, slots=True)
class Fact:
    """`used` counts replies of a model that was told it, `used_at` is the last of them.

    Neither `is_global` nor of any of `agents`: they are deleted; neither `is_everywhere` nor at any of
    `stages`: their account is disconnected. Then nobody is told it.
    """

    id: UUID
    content: str
    is_global: bool
    is_everywhere: bool
    priority: int
    used: int
    used_at: datetime | None
    version: int
    created_at: datetime
    updated_at: datetime
    agents: tuple[UUID, ...] = ()
    stages: tuple[StageKey, ...] = ()

    @property
    def title(self) -> str:
        """Its first line."""
        return self.content.partition("\n")[0]


@dataclass(frozen=True, slots=True)
class Told:
    """What a model is told about the company, and the facts that say so."""

    text: str = ""
    facts: tuple[UUID, ...] = ()


def told_of(facts: Sequence[tuple[UUID, str]]) -> Told:
    """Return what fits of the facts (id, text), the first ones first; a longer one gives way to a later."""
    kept: list[tuple[UUID, str]] = []
    chars = GIVEN_MAX_CHARS
    for fact_id, content in facts:
        if len(kept) < FACTS_GIVEN and len(content) <= chars:
            kept.append((fact_id, content))
            chars -= len(content)
    return Told("\n\n".join(content for _, content in kept), tuple(fact_id for fact_id, _ in kept))
