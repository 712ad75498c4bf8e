"""What a rehearsal is asked for and what comes of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from gptagent.features.agents.model import Agent
from gptagent.features.dialog.model import Outcome, Source
from gptagent.features.dialog.tracing.model import Explanation

# What the platform itself would do with the answer. What the agent would do besides has its tool's name.
SEND, DRAFT, TASK, FILE = "send_reply", "put_down_draft", "create_task", "send_file"


@dataclass(frozen=True, slots=True)
class Said:
    """One message of the talk before."""

    author: Literal["customer", "agent", "human"]
    text: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where the customer is taken to write. Deal and contact are those of the mirror, by the CRM's numbers;
    a stage that is named besides a deal is where the deal is taken to be.
    """

    channel: str = ""
    connection_id: UUID | None = None
    pipeline_id: int | None = None
    stage_id: int | None = None
    lead_id: int | None = None
    contact_id: int | None = None
    customer_name: str = ""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The agent has the settings it is to be played with, whichever these are.

    `lead` and `contact` are cards as a trace has frozen them, in the place of the mirror's.
    """

    agent: Agent
    message: str
    history: tuple[Said, ...] = ()
    place: Place = field(default_factory=Place)
    lead: dict[str, Any] | None = None
    contact: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Something that would be done, and was not. `kind` is one of the above or a tool's name."""

    kind: str
    text: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """`silence` names the gate at which a real message would have stopped, although an answer is given here.

    `by` is the model's name or 'extractive'. `cost_micro_usd`: millionths of a US dollar, None if unknown.
    """

    text: str
    outcome: Outcome
    reason: str | None
    by: str
    sources: tuple[Source, ...]
    plans: tuple[Plan, ...]
    explanation: Explanation
    tokens_in: int
    tokens_out: int
    cost_micro_usd: int | None
    millis: int
    silence: str | None = None
