"""What a turn knows before it speaks, and the port of those who put it into words."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from gptagent.features.agents.model import Agent
from gptagent.features.conversations.memory.model import Memory
from gptagent.features.conversations.model import Conversation, Message
from gptagent.features.crm.service import LeadCard
from gptagent.features.dialog.model import Answer
from gptagent.features.knowledge.model import Given, Passage
from gptagent.kernel.db import Database
from gptagent.kernel.scope import Scope

HISTORY_MESSAGES = 10
QUESTION_MAX_CHARS = 4_000


@dataclass(frozen=True, slots=True)
class TurnContext:
    """`unanswered` are the customer's messages this turn answers; `history` those before, oldest first.

    `company` is what a model is told about the company with every question, `memories` what the customer has
    said about themselves before, in this conversation or another one, `scripts` what the company says at this
    stage of the deal and to what the customer objects.
    """

    conversation: Conversation
    agent: Agent
    lead: LeadCard | None
    history: tuple[Message, ...]
    unanswered: tuple[Message, ...]
    company: str = ""
    memories: tuple[Memory, ...] = ()
    scripts: tuple[Given, ...] = ()
    turn_id: UUID | None = None

    @property
    def question(self) -> str:
        """The burst as one text."""
        return "\n".join(m.text for m in self.unanswered if m.text.strip())[:QUESTION_MAX_CHARS]


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
