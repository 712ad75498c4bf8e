"""The table of an agent's settings: it feeds checks, screen, API, documents and tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gptagent.features.agents.model import (
    CREATIVITIES,
    DEGREES,
    HISTORY_MAX_MESSAGES,
    LANGUAGES,
    SENT_DEGREES,
)
from gptagent.features.inference.budgets.model import LIMIT_MAX
from gptagent.features.knowledge.model import CATEGORIES_MAX

NAME_MAX_CHARS = 255
INSTRUCTIONS_MIN_CHARS = 10
INSTRUCTIONS_MAX_CHARS = 40_000  # of the largest plan: see limits.py
NOT_FOUND_MAX_CHARS = 500
HANDOFF_MAX_CHARS = 500
DELAY_MAX_SECONDS = 3_600
PENALTY_MAX = 2  # of the protocol of chat completions
REPLY_MIN_CHARS = 50
REPLY_MAX_CHARS = 4_000
WELCOME_MAX_CHARS = 1_000
GOAL_MAX_CHARS = 500
PIPELINES_MAX = 200
STAGES_MAX = 200  # of a pipeline
STAGE_TEXT_MAX_CHARS = 2_000
RULES_MAX = 40  # of the deal, and of the contact
CONDITION_MAX_CHARS = 500
FOLLOW_UP_MAX_CHARS = 1_000
STAGE_GOAL_MAX_CHARS = 500
FOLLOW_UP_MAX_HOURS = 720  # a month
# Of longer texts the records say that they changed, not what they say: they may name people.
LONG_TEXT_CHARS = 255

Kind = Literal[
    "text",
    "number",
    "decimal",
    "choice",
    "switch",
    "categories",
    "pipelines",
    "channels",
    "fields",
    "rules",
    "timezone",
    "week",
    "days",
]


@dataclass(frozen=True, slots=True)
class NumberWords:
    """What is said of a number that is none, or too small or too large."""

    other: str = "A whole number from {low} to {high}."
    negative: str = "It cannot be negative."
    large: str = "It cannot be more than {high}."


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
    wrong: NumberWords = NumberWords()

    @property
    def is_quiet(self) -> bool:
        """Whether records only say that it changed."""
        return self.kind in {"pipelines", "rules"} or (self.kind == "text" and self.high > LONG_TEXT_CHARS)


def _degree(says: str) -> Setting:
    return Setting("choice", says, options=DEGREES, needs_model=True)


# By the path in the document.
SETTINGS: Mapping[str, Setting] = {
    "instructions": Setting(
        "text",
        "Tone, style and general facts about the company. Ten to fifteen lines are enough.",
        INSTRUCTIONS_MIN_CHARS,
        INSTRUCTIONS_MAX_CHARS,
        needs_model=True,
    ),
    "check_before_sending": Setting(
        "switch",
        "Replies are not sent by themselves. They wait as drafts in the conversation, a task on the deal "
        "says so, and a person sends, edits or rejects them.",
    ),
    "goal": Setting(
        "text",
        "What every conversation is to come to, such as an appointment. The agent steers towards it.",
        0,
        GOAL_MAX_CHARS,
        needs_model=True,
    ),
    "pipelines.all": Setting(
        "switch", "The agent answers in all deals, at every stage, and in chats that have no deal."
    ),
    "pipelines.chosen": Setting(
        "pipelines",
        "The agent answers only in the pipelines and at the stages chosen here; a chat without a deal, or "
        "with one whose stage is not known yet, is left to others. What you write at a stage the agent is "
        "told while a deal is there, also if it answers in all deals. A customer who is silent there for so "
        "many hours after the agent's reply gets your follow-up once, within the agent's hours; outside of "
        "what the channel allows a task asks a person to write. A stage's goal is what the agent steers "
        "towards there; once the customer's words show that it is met, the deal is moved on, as far as the "
        "agent's actions allow that.",
        high=PIPELINES_MAX,
    ),
    "channels.all": Setting("switch", "The agent answers in all channels, also in those you connect later."),
    "channels.chosen": Setting(
        "channels", "Messages from other channels are left to other agents.", high=100
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
    "not_found_task": Setting("switch", "A manager sees the customer's question in the CRM and answers it."),
    "not_found_text": Setting(
        "text", "The customer gets this text instead of an invented answer.", 1, NOT_FOUND_MAX_CHARS
    ),
    "handoff_text": Setting(
        "text",
        "The customer gets this text when they ask for a person or the model cannot go on. A colleague "
        "becomes responsible, a task and a summary are left on the deal, and the agent is silent in this "
        "chat.",
        1,
        HANDOFF_MAX_CHARS,
    ),
    "readable.lead": Setting(
        "fields",
        "What the agent knows of the deal. Choose only what it needs: more makes answers less exact.",
        high=200,
        needs_model=True,
    ),
    "readable.contact": Setting(
        "fields",
        "What the agent knows of the contact, as the platform has read it from the CRM.",
        high=200,
        needs_model=True,
    ),
    "update_rules.lead": Setting(
        "rules",
        "What the agent writes into the deal from the customer's words, rule by rule from the first to the "
        "last. Each says when, in your words. What does not fit the field is not written.",
        high=RULES_MAX,
        needs_model=True,
    ),
    "update_rules.contact": Setting(
        "rules",
        "What the agent writes into the contact, in the same way.",
        high=RULES_MAX,
        needs_model=True,
    ),
    "actions.move_deal": _degree(
        "Moves the deal to another stage of its pipeline. To a closing stage the agent never moves it alone."
    ),
    "actions.create_task": _degree(
        "Makes a task, a call or a meeting, on the deal, or on the contact if there is no deal. A customer "
        "who wants to be called, wants an appointment or complains is reason enough."
    ),
    "actions.add_note": _degree("Leaves a note on the deal, or on the contact if there is no deal."),
    "actions.change_responsible": _degree("Makes another person of the CRM responsible for the deal."),
    "actions.add_tags": _degree("Adds tags to the deal; only those that the CRM has."),
    "actions.create_contact": _degree(
        "Makes a contact for a deal that has none, with the name, phone and e-mail the customer has named."
    ),
    "actions.fill_contact": _degree(
        "Adds the phone and e-mail the customer has named to a contact that has none. What is there stays."
    ),
    "actions.send_message": Setting(
        "choice",
        "Prepares a message to a customer who speaks of paying, where the deal has a value. It leaves only "
        "when a person sends it.",
        options=SENT_DEGREES,
        needs_model=True,
    ),
    "actions.send_email": Setting(
        "choice",
        "Prepares an e-mail to a contact with an address, where nothing else is to be done. It leaves only "
        "when a person sends it, and needs the platform's mail server.",
        options=SENT_DEGREES,
        needs_model=True,
    ),
    "actions.confidence": Setting(
        "number",
        "How sure the model has to be, in percent, for the agent to act alone. Below it the action waits for "
        "approval.",
        50,
        100,
        needs_model=True,
    ),
    "model": Setting(
        "text",
        "Which model writes the answers. Empty means the model of this installation.",
        1,
        200,
        is_optional=True,
        needs_model=True,
    ),
    "language.detect": Setting(
        "switch", "The agent answers in the language the customer writes in.", needs_model=True
    ),
    "language.fixed": Setting(
        "choice",
        "The language of all answers while the customer's is not to be detected. Texts you have written "
        "yourself are sent as they are.",
        options=tuple(LANGUAGES),
        needs_model=True,
    ),
    "creativity": Setting(
        "choice", "How freely the model words its answers.", options=CREATIVITIES, needs_model=True
    ),
    "response_delay_seconds": Setting(
        "number",
        "The agent waits for so much silence, so that a customer who writes in several messages gets one "
        "answer; from 30 seconds on also one who types slowly. After a question, a whole sentence or a long "
        "message three quarters of it are enough. It need not be long against double answers: what is "
        "written while an answer is being made gets one answer together with what came before.",
        0,
        DELAY_MAX_SECONDS,
        wrong=NumberWords(
            "Enter a number of whole seconds.",
            "The delay cannot be negative.",
            "The delay cannot be more than {high} seconds.",
        ),
    ),
    "presence_penalty": Setting(
        "decimal",
        "Above 0 the model rather brings up what was not spoken of yet, below 0 it rather stays with the "
        "subject. 0 leaves it to the model; some models take nothing else.",
        -PENALTY_MAX,
        PENALTY_MAX,
        needs_model=True,
    ),
    "frequency_penalty": Setting(
        "decimal",
        "Above 0 the model repeats its words less, below 0 more. 0 leaves it to the model; some models take "
        "nothing else.",
        -PENALTY_MAX,
        PENALTY_MAX,
        needs_model=True,
    ),
    "history_messages": Setting(
        "number",
        "How many of the chat's earlier messages the agent is told with the new ones. More of them cost more "
        "at each answer.",
        0,
        HISTORY_MAX_MESSAGES,
        needs_model=True,
    ),
    "reply_max_chars": Setting(
        "number",
        "The model is asked to be so brief, and what is longer ends with its last whole sentence. Empty "
        "means no limit.",
        REPLY_MIN_CHARS,
        REPLY_MAX_CHARS,
        is_optional=True,
        needs_model=True,
    ),
    "markdown": Setting(
        "switch",
        "Off: headings, bold words and links of the model's answers are sent as plain text, for messengers "
        "show their signs as they are.",
        needs_model=True,
    ),
    "split_replies": Setting(
        "switch",
        "A long answer goes out as up to three messages, one after the other; what the customer or a "
        "colleague writes meanwhile stops the rest. Each is a message by itself: also in the figures, and in "
        "what the CRM counts. Not where answers are checked first, and not through a bot of the CRM.",
    ),
    "welcome_text": Setting(
        "text",
        "Stands once above the agent's first answer in a chat in which nobody of your company has written "
        "before. Empty means none.",
        0,
        WELCOME_MAX_CHARS,
    ),
    "hours.is_on": Setting(
        "switch",
        "Outside of these hours the agent is silent, and no other one steps in. What customers write then "
        "gets one answer when the hours begin.",
    ),
    "hours.timezone": Setting("timezone", "By the clocks of which place the hours count."),
    "hours.week": Setting("week", "On which days of the week the agent answers, and from when till when."),
    "hours.holidays": Setting("days", "On these days the agent is silent.", high=366),
    "remembers_customers": Setting(
        "switch",
        "Names, wishes and promises are noted from the customer's messages and known in later chats of the "
        "same contact. Off: nothing more is noted or used; what was noted stays visible in the conversation.",
    ),
    "budget.day_cents": Setting(
        "number",
        "What this agent's replies and its memory may cost in a day (UTC), in US cents. Once it is used up, "
        "happens what the workspace has set. A model without a known price counts in tokens only.",
        0,
        LIMIT_MAX,
        is_optional=True,
        needs_model=True,
    ),
    "budget.month_cents": Setting(
        "number", "The same for a calendar month.", 0, LIMIT_MAX, is_optional=True, needs_model=True
    ),
    "budget.day_tokens": Setting(
        "number",
        "How many tokens this agent may use in a day (UTC), of questions and answers together.",
        0,
        LIMIT_MAX,
        is_optional=True,
        needs_model=True,
    ),
    "budget.month_tokens": Setting(
        "number", "The same for a calendar month of tokens.", 0, LIMIT_MAX, is_optional=True, needs_model=True
    ),
}
