"""A conversation of a scenario: the customer's messages, fixed or by a model, and the agent's answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import monotonic

from gptagent.features.agents.model import HISTORY_MAX_MESSAGES, Agent
from gptagent.features.conversations.model import Author, Message
from gptagent.features.dialog.scenario_runs.model import Attempt, Cost, Line, Rehearsed, Unanswered, Wanted
from gptagent.features.dialog.scenario_runs.ports import Rehearser
from gptagent.features.dialog.scenarios.judging import judge
from gptagent.features.dialog.scenarios.model import MESSAGE_MAX_CHARS, Failure, Play, Reply
from gptagent.features.inference import service as inference
from gptagent.features.inference.model import ChatTurn, LanguageModel, ModelRequest, Use
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError
from gptagent.kernel.scope import Scope

DATABASE_DOWN = "database_unavailable"
DONE_MARK = "CONVERSATION_OVER"
CUSTOMER_TEMPERATURE = 0.7
CUSTOMER_MAX_TOKENS = 200
_PART = """\
You play a customer who writes to a company in a chat. Never step out of the part and never help the company.
Who you are: {persona}
What you want: {goal}
Write only your next message, briefly, as people write in a chat, in the language of the description above.
Once you have what you want, or see that you will not get it, write exactly {mark} and nothing else."""
_FIRST = "Write your first message."

# Tells whether the run still goes on, and whether so much more may be spent.
Goes = Callable[[Cost], Awaitable[bool]]


class Interrupted(Exception):  # noqa: N818 - it states what happened
    """The run was cancelled, is another worker's, or has no budget left: nothing of this attempt counts."""


@dataclass(slots=True)
class Stage:
    """Where a scenario is played: who answers, and who plays the customer, if a model does."""

    db: Database
    scope: Scope
    rehearser: Rehearser
    model: LanguageModel | None
    goes: Goes


@dataclass(slots=True)
class _Talk:
    history: list[Message] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    cost: Cost = field(default_factory=Cost)

    def hear(self, text: str, now: datetime) -> None:
        self.lines.append(Line("customer", text))
        self._say("customer", text, now)

    def answer(self, done: Rehearsed, now: datetime) -> None:
        reply = done.reply
        self.replies.append(reply)
        self.cost += done.cost
        self.lines.append(
            Line("agent", done.text, done.outcome, done.reason, reply.actions, reply.fields, reply.sources)
        )
        if done.text:
            self._say("agent", done.text, now)

    def _say(self, author: Author, text: str, now: datetime) -> None:
        self.history.append(Message(len(self.history) + 1, author, "", text, None, None, now))


async def play_attempt(stage: Stage, agent: Agent, play: Play, position: int, number: int) -> Attempt:
    """Play a scenario once. A model that is away fails the attempt, with what was said until then.

    Raises Interrupted.
    """
    talk, began = _Talk(), monotonic()
    failures: list[Failure] = []
    try:
        trouble = await _talk(stage, agent, play, talk)
        failures = [Failure(trouble)] if trouble else judge(play.checks, talk.replies)
    except AppError as error:
        if isinstance(error, Unanswered):
            talk.cost += error.cost
        if error.code == DATABASE_DOWN:  # not the agent's fault: the job is tried again
            raise
        failures = [Failure("gone" if error.status == 404 else "away", error.code)]
    cost = replace(talk.cost, millis=round((monotonic() - began) * 1000))
    return Attempt(position, number, not failures, tuple(failures), tuple(talk.lines), cost)


async def _talk(stage: Stage, agent: Agent, play: Play, talk: _Talk) -> str:
    """Let both speak in turn. Return the code of what kept the customer from speaking, if anything did."""
    for turn in range(play.most_turns):
        if not await stage.goes(talk.cost):
            raise Interrupted
        if play.customer == "fixed":
            text: str | None = play.messages[turn]
        elif stage.model is None:
            return "no_model"
        else:
            text = await _played(stage, stage.model, play, talk)
        if text is None:
            return "" if talk.replies else "silent"
        history = tuple(talk.history[-HISTORY_MAX_MESSAGES:])
        talk.hear(text, utcnow())
        done = await stage.rehearser(stage.db, stage.scope, Wanted(agent, history, text, play.where))
        talk.answer(done, utcnow())
    return ""


async def _played(stage: Stage, model: LanguageModel, play: Play, talk: _Talk) -> str | None:
    """Return the customer's next message by a model; None if the customer has no more to say."""
    turns = tuple(
        ChatTurn("assistant" if line.author == "customer" else "user", line.text or "...")
        for line in talk.lines
    )
    request = ModelRequest(
        system=_PART.format(persona=play.persona, goal=play.goal, mark=DONE_MARK),
        turns=(ChatTurn("user", _FIRST), *turns),
        temperature=CUSTOMER_TEMPERATURE,
        max_tokens=CUSTOMER_MAX_TOKENS,
        use=Use(stage.scope),
    )
    reply = await model.complete(request)
    async with stage.db.session(stage.scope) as session:
        await inference.record_usage(session, None, reply, "rehearsal")
    talk.cost += Cost(reply.cost_micro_usd, reply.tokens_in, reply.tokens_out)
    text = reply.text.strip()[:MESSAGE_MAX_CHARS]
    return None if not text or DONE_MARK in text else text
