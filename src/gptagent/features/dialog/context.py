"""What a turn knows before it speaks, and the port of those who put it into words."""

from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from gptagent.features.agents.model import Agent, Place, Settings
from gptagent.features.conversations.memory.model import Memory
from gptagent.features.conversations.model import Conversation, Message
from gptagent.features.crm.service import ContactCard, LeadCard
from gptagent.features.dialog.model import Answer
from gptagent.features.dialog.tracing.model import Trace
from gptagent.features.inference.model import Hear
from gptagent.features.knowledge.model import At, Given, Passage, StageKey
from gptagent.features.knowledge.service import Asking, Told, Within, within
from gptagent.kernel.db import Database
from gptagent.kernel.scope import Scope

HISTORY_MESSAGES = 10  # what is looked at at least, however few of them a model is told
QUESTION_MAX_CHARS = 4_000
SEEN_ASKED_CHARS = 400
UNTOLD = Told()


def stage_of(connection_id: UUID, lead: LeadCard | None) -> StageKey | None:
    """Return the stage of a deal; None without a deal, or while nothing is known of where it is."""
    if lead is None or lead.pipeline_id is None or lead.stage_id is None:
        return None
    return StageKey(connection_id, lead.pipeline_id, lead.stage_id)


def place_asked(conversation: Conversation, stage: StageKey | None) -> At | None:
    """Return where was asked, a deal being at this stage; None while nothing is known of where it is."""
    return None if stage is None and conversation.lead_id is not None else At(stage)


@dataclass(frozen=True, slots=True)
class Seen:
    """`unanswered` are the customer's messages this turn answers; `history` those before, oldest first.

    `asks_stage`: of the agents in this channel some work in chosen pipelines only. `is_unread`: the CRM was
    to tell where the deal is, and did not answer. `candidates`: who may answer in this workspace, in their
    order. `trace` gathers what the turn does.
    """

    conversation: Conversation
    lead: LeadCard | None
    history: tuple[Message, ...]
    unanswered: tuple[Message, ...]
    asks_stage: bool
    is_unread: bool
    candidates: tuple[Agent, ...] = field(default=(), kw_only=True, compare=False, repr=False)
    trace: Trace = field(default_factory=Trace, kw_only=True, compare=False, repr=False)

    @property
    def question(self) -> str:
        """The burst as one text. Of pictures and documents its beginning: it is the words that ask."""
        told = [f"{m.said}\n{m.seen[:SEEN_ASKED_CHARS]}".strip() for m in self.unanswered]
        return "\n".join(filter(None, told))[:QUESTION_MAX_CHARS]

    @property
    def lacks_lead(self) -> bool:
        """Whether the deal was never read, so that its stage may be another one by now."""
        return self.conversation.lead_id is not None and (self.lead is None or not self.lead.is_fresh)

    @property
    def lacks_stage(self) -> bool:
        """Whether who answers hangs on the stage of a deal of which nothing is known."""
        return self.asks_stage and self.conversation.lead_id is not None and self.lead is None

    @property
    def place(self) -> Place:
        lead = self.lead
        pipeline_id, stage_id = (lead.pipeline_id, lead.stage_id) if lead else (None, None)
        return Place(self.conversation.connection_id, self.conversation.channel, pipeline_id, stage_id)


@dataclass(frozen=True, slots=True)
class TurnContext(Seen):
    """What was seen, and the agent that answers.

    `company` is what a model is told about the company with every question, `memories` what the customer has
    said about themselves before, in this conversation or another one, `scripts` what the company says at this
    stage of the deal and to what the customer objects, `contact` who the customer is in the CRM, read only
    for an agent that may know it. A rehearsal (`is_rehearsal`) is of nobody, and has no effect; `hear` is
    given the pieces of what the model says while it says them. `is_suggestion`: a colleague asks what could
    be answered. `asking` is the question as the base has read it.
    """

    agent: Agent
    company: Told = UNTOLD
    memories: tuple[Memory, ...] = ()
    scripts: tuple[Given, ...] = ()
    contact: ContactCard | None = None
    turn_id: UUID | None = None
    is_suggestion: bool = False
    is_rehearsal: bool = False
    hear: Hear | None = field(default=None, compare=False, repr=False)
    asking: Asking | None = field(default=None, compare=False, repr=False)

    @property
    def settings(self) -> Settings:
        return self.agent.settings

    @property
    def is_checked(self) -> bool:
        """Whether a person reads an answer before it leaves: always where only the beginning of what the
        customer wrote is known.
        """
        return self.settings.check_before_sending or self.conversation.is_letter

    @property
    def stage(self) -> StageKey | None:
        return stage_of(self.conversation.connection_id, self.lead)

    @property
    def told_history(self) -> tuple[Message, ...]:
        """What of the history a model is told."""
        most = self.settings.history_messages
        return self.history[-most:] if most else ()

    @property
    def within(self) -> Within | None:
        """What the agent answers from: its categories and its own files, without what is for other stages."""
        return within(self.settings.knowledge.part, At(self.stage), self.agent.id)


@dataclass(frozen=True, slots=True)
class Spent:
    """What an answer cost; zeros when no model was asked."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            self.calls + other.calls, self.tokens_in + other.tokens_in, self.tokens_out + other.tokens_out
        )


class Responder(Protocol):
    """Turns a context and passages into an answer. Holds no transaction while a model thinks."""

    async def respond(
        self, db: Database, scope: Scope, context: TurnContext, passages: list[Passage]
    ) -> tuple[Answer, Spent]: ...


def not_found(agent: Agent, by: str, reason: str = "no_relevant_knowledge") -> Answer:
    """The answer for a question the knowledge base does not cover: the agent's own words."""
    return Answer(agent.settings.not_found_text, "not_found", by, reason=reason)
