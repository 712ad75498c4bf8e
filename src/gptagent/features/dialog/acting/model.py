"""What an agent may do, what a model has proposed of it, and what became of that."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

from gptagent.features.agents.model import Actions, Agent, Degree, UpdateRule
from gptagent.features.conversations.model import Conversation, Message
from gptagent.features.crm.actions.model import Known, WrittenKind
from gptagent.features.crm.service import ContactCard, LeadCard

ActionName = Literal[
    "move_deal",
    "create_task",
    "add_note",
    "change_responsible",
    "add_tags",
    "create_contact",
    "fill_contact",
    "send_message",
    "send_email",
]
ACTION_NAMES: tuple[ActionName, ...] = get_args(ActionName)
# What a newer release proposes, of which this one knows only that it is there: while both of them run.
UnknownAction = Literal["unknown"]
UNKNOWN: UnknownAction = "unknown"
Intent = Literal[
    "inquiry",
    "complaint",
    "request_callback",
    "booking",
    "payment",
    "support",
    "feedback",
    "unsubscribe",
    "other",
]
INTENTS: tuple[Intent, ...] = get_args(Intent)
# What becomes of a proposal. `done`: it was given to the CRM's queue, where its own state is kept.
ProposalState = Literal["waiting", "done", "rejected", "outdated"]
NewContact = Literal["none", "waiting", "made"]
PROPOSAL_STATES: tuple[ProposalState, ...] = get_args(ProposalState)

# The same is not proposed twice in a conversation within this time, whatever was decided about it.
REPEATED_WITHIN = timedelta(days=1)
ARGUMENTS_MAX, ARGUMENT_MAX_CHARS = 8, 300  # of a call, kept
CALLS_MAX = 20  # of one answer of a model; what comes after them is not looked at
TASK_DUE_MAX_HOURS = 24 * 90
TASK_TYPES: Mapping[str, int] = {"call": 1, "meeting": 2}  # the CRM's own, in every account


class Declined(Exception):  # noqa: N818 - it states what became of a call
    """A call of a model that comes to nothing; `code` is its verdict.

    unknown_tool, tool_not_allowed, unknown_argument, argument_invalid, value_unfit, nothing_to_do.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Considered:
    """What a model is shown to decide what is to be done, all of it of one conversation.

    `unanswered` are the customer's messages the answer was given to, `reply` is what was said; `known` how
    the account is set up, `tags` those it has for deals. Whatever is proposed goes to this deal and this
    contact, for nothing else is named. `locale` is the workspace's. `has_task`: what the reply promises is a
    task already. `new_contact`: whether the deal was given one from this conversation. `notes`: how many
    the platform has left on the deal or, without one, on the contact. `sends_letters`: whether e-mails can
    leave.
    """

    agent: Agent
    conversation: Conversation
    lead: LeadCard | None
    contact: ContactCard | None
    history: tuple[Message, ...]
    unanswered: tuple[Message, ...]
    reply: str
    known: Known
    tags: tuple[str, ...] = ()
    turn_id: UUID | None = None
    locale: str = "en"
    has_task: bool = False
    new_contact: NewContact = "none"
    notes: int = 0
    sends_letters: bool = False

    @property
    def actions(self) -> Actions:
        return self.agent.settings.actions

    @property
    def told_history(self) -> tuple[Message, ...]:
        """What of the history a model is told, and may take a value from."""
        most = self.agent.settings.history_messages
        return self.history[-most:] if most else ()

    @property
    def last_seq(self) -> int | None:
        return self.unanswered[-1].seq if self.unanswered else None


@dataclass(frozen=True, slots=True)
class RuleField:
    """A rule of which the account has the field. `key` is the field's in the journal; `now` its value."""

    number: int
    entity: WrittenKind
    rule: UpdateRule
    key: str
    name: str
    type: str
    choices: tuple[str, ...] = ()
    now: str = ""


@dataclass(frozen=True, slots=True)
class FieldWrite:
    """A value that a rule found and that fits its field. `value` is as `crm.actions` takes it."""

    entity: WrittenKind
    key: str
    value: object
    keep: bool
    rule: UpdateRule


@dataclass(frozen=True, slots=True)
class Proposal:
    """An action as a model has proposed it, checked: `fields` are what it was checked into, of JSON's types.

    `shown` says it in the account's own words: the stage's name, the task's text. `key` is the same for what
    does the same. `degree` is how far the agent goes, by its settings and the model's certainty (0 to 1).
    """

    action: ActionName
    fields: Mapping[str, object]
    degree: Degree
    confidence: float
    key: str
    shown: str = field(default="", repr=False)
    reason: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Called:
    """What a model asked for and what became of it: `verdict` is `taken`, or the code of why not.

    `tool` is one of ours; a name that none of ours has is not repeated, it is empty. `arguments` are as the
    model gave them, each as a text of ARGUMENT_MAX_CHARS at most. `degree` is that of an action that was
    taken.
    """

    tool: str
    verdict: str
    arguments: Mapping[str, str] = field(default_factory=dict, repr=False)
    degree: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, and nothing of it is done yet. `error`: the code of why nothing could be read."""

    writes: tuple[FieldWrite, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    calls: tuple[Called, ...] = ()
    intent: Intent | None = None
    intent_confidence: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class KeptProposal:
    """A proposal as it is kept, for the deal and contact of then. `action_id`: what it became in the CRM.

    One whose `action` is `unknown` can be rejected, but not done.
    """

    id: UUID
    conversation_id: UUID
    connection_id: UUID
    turn_id: UUID
    lead_id: int | None
    contact_id: int | None
    action: ActionName | UnknownAction
    fields: Mapping[str, object]
    degree: Degree
    confidence: float
    shown: str = field(repr=False)
    reason: str = field(repr=False)
    state: ProposalState
    action_id: UUID | None
    action_state: str | None
    error_code: str | None
    decided_by: str | None
    decided_at: datetime | None
    created_at: datetime
    customer_name: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Run:
    """What looking at a turn has come to, and what the model has asked for."""

    turn_id: UUID
    state: Literal["pending", "done", "skipped", "failed"]
    intent: Intent | None
    intent_confidence: float | None
    error_code: str | None
    calls: tuple[Called, ...]


def wants_acting(agent: Agent) -> bool:
    """Whether anything is to be looked for after an answer of this agent."""
    rules = agent.settings.update_rules
    return bool(rules.lead or rules.contact) or allowed_actions(agent.settings.actions) != ()


def allowed_actions(actions: Actions) -> tuple[ActionName, ...]:
    return tuple(name for name in ACTION_NAMES if getattr(actions, name) != "off")
