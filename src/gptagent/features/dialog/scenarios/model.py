"""Scenarios: what a customer says, and what the agent must and must not do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, get_args
from uuid import UUID

from gptagent.features.dialog.model import Outcome

NAME_MAX_CHARS = 120
SCENARIOS_MAX = 100  # of a workspace: a run carries all of an agent's with it
MESSAGES_MAX = 20
MESSAGE_MAX_CHARS = 2_000
PERSONA_MAX_CHARS = 1_000
GOAL_MAX_CHARS = 500
TURNS_MAX = 10  # messages of a customer whom a model plays
CHECKS_MAX = 30
VALUE_MAX_CHARS = 300
CHANNEL_MAX_CHARS = 100
REPEATS_MAX = 10

Customer = Literal["fixed", "played"]
CUSTOMERS: tuple[Customer, ...] = get_args(Customer)
# What a check looks at. Words and parts of a text are compared as plain words, never as a pattern.
Subject = Literal["contains", "words", "action", "field", "language", "outcome", "source"]
SUBJECTS: tuple[Subject, ...] = get_args(Subject)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True, slots=True)
class Check:
    """What must, or must not, be in the answer to the customer's message `at`; 0: in any of the answers.

    `value` by the subject: a part of the text; words, of which one that ends in * stands for all that begin
    so; the name of an action; `field` or `field = value`; a code of LANGUAGES; an outcome of a turn; a part
    of a source's title. A language that must be is that of every answer.
    """

    subject: Subject
    value: str
    must: bool = True
    at: int = 0


@dataclass(frozen=True, slots=True)
class Where:
    """Where the customer writes; what is not said is left open."""

    channel: str = ""
    connection_id: UUID | None = None
    pipeline_id: int | None = None
    stage_id: int | None = None


@dataclass(frozen=True, slots=True)
class Play:
    """A scenario's content. A fixed customer writes `messages`; for a played one a model writes up to `turns`
    messages as `persona` who wants `goal`.
    """

    customer: Customer = "fixed"
    messages: tuple[str, ...] = ()
    persona: str = ""
    goal: str = ""
    turns: int = 4
    where: Where = field(default_factory=Where)
    checks: tuple[Check, ...] = ()

    @property
    def most_turns(self) -> int:
        return len(self.messages) if self.customer == "fixed" else self.turns


@dataclass(frozen=True, slots=True)
class Scenario:
    """`agent_id` None: of the workspace, so every agent is run against it."""

    id: UUID
    agent_id: UUID | None
    name: str
    play: Play
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class NewScenario:
    name: str
    play: Play
    agent_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether an agent is published only after its scenarios passed, each `repeats` times of as many."""

    is_on: bool = False
    repeats: int = 3


@dataclass(frozen=True, slots=True)
class Reply:
    """What the agent did with one message. `fields` are those it planned to write, with their values."""

    text: str
    outcome: Outcome
    actions: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed: a key of SENTENCES, what was asked for, in which answer; 0: in none or all."""

    code: str
    value: str = ""
    at: int = 0


# For the reader, to be translated and filled.
SENTENCES: Mapping[str, str] = {
    "contains": "No answer says “{value}”.",
    "contains_at": "Answer {at} does not say “{value}”.",
    "contains_not": "Answer {at} says “{value}”, which it must not.",
    "words": "No answer has all of the words “{value}”.",
    "words_at": "Answer {at} does not have all of the words “{value}”.",
    "words_not": "Answer {at} has the words “{value}”, which it must not.",
    "action": "The agent did not plan the action “{value}”.",
    "action_at": "The agent did not plan the action “{value}” with answer {at}.",
    "action_not": "The agent planned the action “{value}” with answer {at}, which it must not.",
    "field": "The agent did not write the field “{value}”.",
    "field_at": "The agent did not write the field “{value}” with answer {at}.",
    "field_not": "The agent wrote the field “{value}” with answer {at}, which it must not.",
    "language_at": "Answer {at} is not in the language {value}.",
    "language_not": "Answer {at} is in the language {value}, which it must not be.",
    "source": "No answer cites “{value}”.",
    "source_at": "Answer {at} does not cite “{value}”.",
    "source_not": "Answer {at} cites “{value}”, which it must not.",
    "reply": "No message was answered from the knowledge base.",
    "reply_at": "Message {at} was not answered from the knowledge base.",
    "reply_not": "Message {at} was answered, which it must not be.",
    "not_found": "To no message the agent said that it does not know.",
    "not_found_at": "The agent did not say that it does not know the answer to message {at}.",
    "not_found_not": "The agent said that it does not know the answer to message {at}, which it must not.",
    "handed_off": "The agent did not hand the conversation over to a person.",
    "handed_off_at": "The agent did not hand the conversation over after message {at}.",
    "handed_off_not": "The agent handed the conversation over after message {at}, which it must not.",
    "refused": "No message was left without an answer.",
    "refused_at": "Message {at} was not left without an answer.",
    "refused_not": "Message {at} was left without an answer, which it must not be.",
    "too_short": "The conversation ended before message {at}.",
    "no_model": "A customer whom a model plays needs a language model, and none is set up.",
    "silent": "The model that plays the customer wrote nothing.",
    "gone": "What the scenario names is no longer there.",
    "away": "The model did not answer, so the scenario was not played to its end.",
}
