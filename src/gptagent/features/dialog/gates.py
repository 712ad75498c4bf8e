"""Whether a turn may answer, and which agent does. Looked at in the order of the message pipeline."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gptagent.features.agents import service as agents
from gptagent.features.agents.model import HISTORY_MAX_MESSAGES, Agent
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.model import Conversation, Message
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.model import Connection
from gptagent.features.crm.replying import service as replying
from gptagent.features.dialog import service, store
from gptagent.features.dialog.context import HISTORY_MESSAGES, Seen, TurnContext
from gptagent.features.dialog.hearing import service as hearing
from gptagent.features.dialog.model import ANSWER_WINDOW, Pace, Turn
from gptagent.features.dialog.tracing.model import Trace
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Session


@dataclass(frozen=True, slots=True)
class Refusal:
    """A gate is closed: the messages are recorded as not answered, and why. `asks_person`: by a task."""

    reason: str
    asks_person: bool = False


@dataclass(frozen=True, slots=True)
class Postponed:
    """The turn cannot go on now; it is looked at again later."""


async def gather(session: Session, turn: Turn, pace: Pace, trace: Trace) -> Seen | Refusal | Postponed:
    """Read what the turn needs and check what does not depend on where the deal is."""
    conversation = await conversations.get_conversation(session, turn.conversation_id)
    connection = await crm_service.get_connection(session, conversation.connection_id)
    closed = await _closed(session, conversation, connection, turn)
    if closed is not None:
        return Refusal(closed)
    trace.passed("nobody_holds", "workspace", "connection")
    candidates = await agents.list_active(session)
    fitting = [one for one in candidates if agents.takes_channel(one.settings, conversation.channel)]
    if not fitting:
        return Refusal("no_fitting_agent" if candidates else "no_active_agent")
    trace.passed("channel")
    messages = await _read(session, turn)
    unanswered = _unanswered(turn, messages)
    if unanswered is None:
        return Refusal("person_answered")
    if not turn.is_approved and _is_too_late(conversation, unanswered, fitting):
        return Refusal("too_late")
    trace.passed("unanswered", "in_time")
    pause = await _pause(session, connection.status, conversation, pace)
    if pause is not None:
        await service.give_back(session, turn, due_in=pause)
    if pause is not None or await _await_others(session, turn, unanswered, fitting, pace):
        return Postponed()
    trace.passed("pace")
    lead = None
    if conversation.lead_id is not None:
        lead = await crm_service.get_lead_card(session, connection.id, conversation.lead_id)
    return Seen(
        conversation=conversation,
        lead=lead,
        history=_history(turn, messages, unanswered),
        unanswered=unanswered,
        asks_stage=any(not one.settings.pipelines.all for one in fitting),
        is_unread=False,
        candidates=tuple(candidates),
        trace=trace,
    )


async def _await_others(
    session: Session, turn: Turn, unanswered: Sequence[Message], fitting: Sequence[Agent], pace: Pace
) -> bool:
    """Whether the turn is given back: it is outside of hours, or files of it are still to be heard."""
    if await _await_hours(session, turn, fitting, pace):
        return True
    return await hearing.await_files(session, turn, unanswered, pace)


async def choose(session: Session, turn: Turn, seen: Seen, pace: Pace) -> TurnContext | Refusal | Postponed:
    """Let the first of the candidates speak that fits the channel and where the deal is."""
    if seen.is_unread and seen.lacks_stage and await _await_deal(session, turn, seen, pace):
        return Postponed()
    candidates = seen.candidates
    agent = agents.choose(candidates, seen.place)
    if agent is None:
        if candidates and seen.is_unread and seen.lacks_stage:
            return Refusal("deal_unknown", asks_person=True)
        return Refusal("no_fitting_agent" if candidates else "no_active_agent")
    if await _await_hours(session, turn, [agent], pace):
        return Postponed()
    seen.trace.passed("stage", "hours")
    return TurnContext(
        conversation=seen.conversation,
        lead=seen.lead,
        history=seen.history[-max(HISTORY_MESSAGES, agent.settings.history_messages) :],
        unanswered=seen.unanswered,
        asks_stage=seen.asks_stage,
        is_unread=seen.is_unread,
        agent=agent,
        turn_id=turn.id,
        trace=seen.trace,
    )


async def _read(session: Session, turn: Turn) -> list[Message]:
    """Return what was said lately. A command of a person is said to us, not to the customer."""
    since = max(1, turn.first_seq - HISTORY_MAX_MESSAGES)
    found = await conversations.list_messages(session, turn.conversation_id, from_seq=since)
    if all(one.author != "human" for one in found):
        return found
    rules = await organizations.get_stopping(session)
    return [one for one in found if one.author != "human" or not rules.is_command(one.text)]


def _unanswered(turn: Turn, messages: Sequence[Message]) -> tuple[Message, ...] | None:
    """Return the turn's messages of the customer that are not left to a person; None if all of them are.

    What a person wrote before the customer did is no answer, in whichever order the CRM has told of the two.
    """
    asked = [m for m in messages if turn.first_seq <= m.seq <= turn.last_seq and m.author == "customer"]
    persons = [m for m in messages if m.author == "human"]
    left = tuple(
        one
        for one in asked
        if not any(said.seq > one.seq and said.sent_at >= one.sent_at for said in persons)
    )
    return None if asked and not left else left


def _history(turn: Turn, messages: Sequence[Message], unanswered: tuple[Message, ...]) -> tuple[Message, ...]:
    """Return what was said before; also what is a person's although the CRM has told of it later. What has
    not reached the customer was not said.
    """
    first = unanswered[0].seq if unanswered else turn.first_seq
    return tuple(
        one
        for one in messages
        if one.delivery_status != "failed"
        and (
            one.seq < first
            or one.author == "human"
            or (one.author == "customer" and one.seq <= turn.last_seq and one not in unanswered)
        )
    )


def _asked_at(unanswered: Sequence[Message]) -> datetime | None:
    return max((message.sent_at for message in unanswered), default=None)


async def _await_deal(session: Session, turn: Turn, seen: Seen, pace: Pace) -> bool:
    """Whether the turn is given back until the CRM tells where the deal is, within limits."""
    asked = _asked_at(seen.unanswered)
    if turn.answer is not None or asked is None or asked < utcnow() - pace.deal_gives_up_after:
        return False
    await service.give_back(session, turn, due_in=pace.deal_retry)
    await store.forget_turn(session, turn.id)
    return True


async def _await_hours(session: Session, turn: Turn, asked: Sequence[Agent], pace: Pace) -> bool:
    """Whether it is outside of the hours of all of them: the turn is given back, and leaves no trace.

    One of its own begins later, so that all that is written meanwhile gets one answer. Hours may be changed
    meanwhile, so it is looked at again before they begin. What was made within them is sent.
    """
    if turn.answer is not None:
        return False
    now = utcnow()
    waits = [agents.wait_until_open(one.settings.hours, now) for one in asked]
    closed = [wait for wait in waits if wait is not None]
    if len(closed) < len(waits):
        return False
    await service.give_back(session, turn, due_in=min(*closed, pace.closed_retry))
    await store.forget_turn(session, turn.id)
    return True


async def _pause(session: Session, status: str, conversation: Conversation, pace: Pace) -> timedelta | None:
    """Return how long to wait: for the owner, or because two robots talk, or one customer very fast."""
    if status == "broken":
        return pace.broken_connection_retry
    sent = await store.count_recent_replies(session, conversation.id, timedelta(minutes=1))
    return pace.crowded_retry if sent >= pace.replies_per_minute else None


async def _closed(
    session: Session, conversation: Conversation, connection: Connection, turn: Turn
) -> str | None:
    """Return why no agent may answer here, whichever it is."""
    if conversation.held_by_person:
        return "taken_over"
    silence = await organizations.find_silence(session)
    if silence is not None:
        return silence
    return "connection_off" if await _is_off(session, connection, turn) else None


async def _is_off(session: Session, connection: Connection, turn: Turn) -> bool:
    """Whether the account is switched off, or was when the last of the messages came."""
    if not connection.is_active or connection.active_since is None:
        return not connection.is_active
    asked = await conversations.asked_at(session, turn.conversation_id, turn.first_seq, turn.last_seq)
    return asked is not None and asked < connection.active_since


def _is_too_late(
    conversation: Conversation, unanswered: tuple[Message, ...], fitting: Sequence[Agent]
) -> bool:
    """Nobody waits any more; while no agent works, nobody expects an answer yet. Where the channel itself
    closes, a task with the reply is made instead.
    """
    last = _asked_at(unanswered)
    if last is None:
        return False
    waits = [agents.wait_until_open(one.settings.hours, last) or timedelta(0) for one in fitting]
    if last + min(waits) >= utcnow() - ANSWER_WINDOW:
        return False
    return not replying.window_is_closed(conversation.channel, last, utcnow())
