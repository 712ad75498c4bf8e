"""The hand-off of a turn: asked for by the customer or chosen by the model, done at the turn's fence."""

import structlog

from gptagent.features.agents import service as agents
from gptagent.features.agents.model import Agent
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.memory import service as memory
from gptagent.features.crm import service as crm_service
from gptagent.features.dialog import service as lanes
from gptagent.features.dialog import store as turns
from gptagent.features.dialog.context import TurnContext
from gptagent.features.dialog.ending import finish
from gptagent.features.dialog.handing.model import ASKED, HANDOFF_MARK, MODEL, Reason, asks_for_person
from gptagent.features.dialog.handing.service import CHECKED_FIRST, WINDOW_CLOSED, Handing, hand_over
from gptagent.features.dialog.lanes import store as lane_store
from gptagent.features.dialog.model import NOBODY, Answer, Pace, Turn
from gptagent.features.dialog.outgoing import service as outgoing
from gptagent.kernel import observe
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict
from gptagent.kernel.scope import Scope

log = structlog.get_logger(__name__)


def asked_for(context: TurnContext) -> Answer | None:
    """Return the answer to a customer who asks for a person; no model is asked."""
    if context.is_suggestion or not asks_for_person(context.question):
        return None
    return handed_off(context.agent, "gate", ASKED)


def chosen_by_model(agent: Agent, text: str, model: str) -> Answer | None:
    """Return the answer of a model that hands over."""
    return handed_off(agent, model, MODEL) if HANDOFF_MARK in text else None


def handed_off(agent: Agent, by: str, reason: Reason) -> Answer:
    return Answer(agent.settings.handoff_text, "handed_off", by, reason=reason)


async def end_turn(db: Database, scope: Scope, turn: Turn, context: TurnContext, pace: Pace) -> None:
    """End the turn with its hand-off, in one transaction that has passed the turn's fence.

    Stale, it is dropped, and the lane looks anew; where the message could not leave or the CRM is out of
    reach now, it is tried again shortly. Where nobody may answer customers, a task asks for it. Raises
    StaleClaim if the lane is another's by now.
    """
    try:
        async with db.session(scope) as session:
            await _end(session, turn, context, pace)
    except Conflict as error:
        log.info("handoff_not_made", error=error.code)
        if error.code == NOBODY:  # nor will anybody be soon
            await finish(db, scope, turn, Answer("", "handed_off", "gate", reason=NOBODY))
            return
        async with db.session(scope) as session:
            await lanes.give_back(session, turn, due_in=pace.broken_connection_retry)


async def _end(session: Session, turn: Turn, context: TurnContext, pace: Pace) -> None:
    place = context.conversation.connection_id
    await crm_service.hold_connection(session, place)
    conversation = await conversations.get_conversation(session, turn.conversation_id, lock=True)
    active = await agents.list_active(session)
    asked = await agents.find_agent(session, turn.agent_id, among=active)
    await memory.wake_reader(session, conversation, asked, active, turn.last_seq)
    agent = await agents.find_agent(session, context.agent.id, among=[asked] if asked else active)
    is_current = await lane_store.pass_fence(session, turn, pace.lease)
    if not is_current or agent is None or not agent.is_active or turn.answer is None:
        await lanes.give_back(session, turn)
        await turns.supersede_turn(session, turn.id)
        return
    await lanes.give_back(session, turn, answered=True)
    answer = turn.answer
    if await turns.end_turn(session, turn, "handed_off", answer.reason, None) is None:
        raise lanes.StaleClaim
    reason: Reason = ASKED if answer.reason == ASKED else MODEL
    untold = ""
    if agent.settings.check_before_sending or conversation.is_letter:
        untold = CHECKED_FIRST
    elif await outgoing.window_is_closed(session, conversation):
        untold = WINDOW_CLOSED
    text = None if untold else answer.text
    handing = Handing("agent", agent.name, reason, text, agent, turn_id=turn.id, untold=untold)
    await hand_over(session, turn.conversation_id, handing, now=utcnow())
    observe.TURNS.labels("handed_off").inc()
