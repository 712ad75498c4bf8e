"""The end of a turn: its message, outcome and lane in one transaction, and the task that asks a person."""

from dataclasses import dataclass
from datetime import timedelta

from gptagent.features.agents import service as agents
from gptagent.features.agents.model import Agent
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.memory import service as memory
from gptagent.features.conversations.model import Conversation
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.model import NewTask
from gptagent.features.crm.replying import service as replying
from gptagent.features.dialog import service, store
from gptagent.features.dialog.acting import service as acting
from gptagent.features.dialog.acting.promising import owe_promises
from gptagent.features.dialog.context import place_asked
from gptagent.features.dialog.enclosures import service as enclosures
from gptagent.features.dialog.following.planning import wait_for_silence
from gptagent.features.dialog.model import FACT_GATE, LEAK, NOBODY, NOT_HEARD, Answer, Turn
from gptagent.features.dialog.scripting import used_scripts
from gptagent.features.dialog.splitting import service as splitting
from gptagent.features.dialog.tracing import service as tracing
from gptagent.features.dialog.tracing.model import Trace
from gptagent.features.inference.budgets.model import EXHAUSTED
from gptagent.features.knowledge import service as knowledge
from gptagent.features.organizations import service as organizations
from gptagent.kernel import observe
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.i18n import translate
from gptagent.kernel.scope import Scope

TASK_DUE_IN = timedelta(hours=1)
TASK_QUESTION_CHARS = 500
TASK_REPLY_CHARS = 2_000
NOT_FOUND_TASK = (
    "The knowledge base has no answer to the customer's question: “{question}”. Please answer it."
)
FACT_GATE_TASK = (
    "The agent's reply named numbers or contacts that have no source and was not sent. Please answer the "
    "customer: “{question}”"
)
LEAK_TASK = (
    "The agent's reply held what no customer is to see, such as its instructions, and was not sent. Please "
    "answer the customer: “{question}”"
)
UNKNOWN_TASK = (
    "It is not known whether a message reached the customer. Please look, and send it if it did not: "
    "“{reply}”"
)
NOT_SENT_TASK = (
    "The agent's reply could not be delivered ({reason}). Please answer the customer: “{question}”"
)
WINDOW_TASK = (
    "The agent's reply was not sent: the channel takes messages only within 24 hours of the customer's last "
    "one. Please write with a template. The reply was: “{reply}”"
)
BUDGET_TASK = (
    "The budget for AI models is used up, so the agent has not answered. Please answer the customer: "
    "“{question}”"
)
FAILED_TASK = (
    "The channel did not deliver a reply to the customer. Please look after it. The reply was: “{reply}”"
)
NOT_HEARD_TASK = (
    "The customer sends what the agent cannot hear or open. Please look at it in the chat and answer."
)
NOBODY_TASK = (
    "The customer is to be handed over to a colleague, and nobody in the workspace may answer customers. "
    "Please answer: “{question}”"
)
WINDOW_CLOSED = "window_closed"


@dataclass(frozen=True, slots=True)
class Sent:
    """The reply left. `message_id` is the CRM's; None if it keeps that to itself."""

    message_id: str | None


async def finish(
    db: Database,
    scope: Scope,
    turn: Turn,
    answer: Answer,
    sent: Sent | None = None,
    *,
    trace: Trace | None = None,
) -> None:
    """End the turn and everything that follows from it. Raises StaleClaim if the lane is another's by now.

    `trace` is given where no answer was recorded before: then this is what explains the turn.
    """
    async with db.session(scope) as session:
        conversation = await conversations.get_conversation(session, turn.conversation_id)
        await crm_service.hold_connection(session, conversation.connection_id)
        active = await agents.list_active(session)
        agent = await agents.find_agent(session, turn.agent_id, among=active)
        if sent is not None:  # takes the stronger lock of the conversation
            await _record_reply(session, turn, agent, answer, sent.message_id)
        else:
            await conversations.pin_conversation(session, conversation.id)
        await memory.wake_reader(session, conversation, agent, active, turn.last_seq)
        await service.give_back(session, turn, answered=True, due_in=_patience(turn, agent))
        message_id = sent.message_id if sent else None
        ended = await store.end_turn(session, turn, answer.outcome, answer.reason, message_id)
        if ended is None:
            raise service.StaleClaim
        if trace is not None:
            await tracing.keep(session, turn, trace)
        if ended["is_reported"]:
            await conversations.note_left(session, conversation.id, ended["provider_message_id"])
        if turn.send_route not in {None, "talk"}:
            await replying.release(session, turn.id)
        if sent is not None:
            await splitting.owe_rest(session, turn, answer)
            await owe_promises(session, conversation, answer)  # those of this part, if it is one
            if not answer.rest:  # what belongs to a reply follows its last part
                await enclosures.owe_files(session, turn, answer)
                await knowledge.note_scripts_used(session, used_scripts(answer), now=utcnow())
                await wait_for_silence(session, conversation, agent)
        await _follow(session, turn, conversation, agent, answer)
        if answer.outcome in {"reply", "not_found"} and turn.part == 0:
            await acting.owe_acting(session, turn, agent)
        await note_question(session, turn, conversation, agent)
    observe.TURNS.labels(answer.outcome).inc()


def _patience(turn: Turn, agent: Agent | None) -> timedelta | None:
    """While a reply was waited for, the lane was due later than what the customer has written meanwhile."""
    if not turn.is_accepted:
        return None
    return timedelta(seconds=agent.settings.response_delay_seconds if agent else 0)


async def _follow(
    session: Session, turn: Turn, conversation: Conversation, agent: Agent | None, answer: Answer
) -> None:
    if answer.outcome == "not_found":
        if agent is not None and agent.settings.not_found_task:
            task = {FACT_GATE: FACT_GATE_TASK, LEAK: LEAK_TASK}.get(answer.reason or "", NOT_FOUND_TASK)
            await owe_turn_task(session, turn, conversation, task)
    elif answer.reason == "delivery_unknown":  # whoever answered anew might answer twice
        await owe_task(session, conversation, UNKNOWN_TASK, reply=answer.whole[:TASK_REPLY_CHARS])
    elif answer.reason == WINDOW_CLOSED:
        await owe_task(session, conversation, WINDOW_TASK, reply=answer.whole[:TASK_REPLY_CHARS])
    elif answer.reason == EXHAUSTED and answer.outcome == "handed_off":
        await owe_turn_task(session, turn, conversation, BUDGET_TASK)
    elif answer.outcome == "handed_off" and answer.reason == NOT_HEARD:
        await owe_task(session, conversation, NOT_HEARD_TASK)
    elif answer.outcome == "handed_off" and answer.reason == NOBODY:
        await owe_turn_task(session, turn, conversation, NOBODY_TASK)
    elif answer.outcome == "handed_off":
        await owe_turn_task(session, turn, conversation, NOT_SENT_TASK, reason=answer.reason or "")


async def note_question(
    session: Session, turn: Turn, conversation: Conversation, agent: Agent | None
) -> None:
    """Keep whether the base had an answer, also where that could not be sent.

    The question of a draft that was taken back is part of this one, and counts as this one.
    """
    answer = turn.answer
    if answer is None or answer.support is None or answer.outcome not in {"reply", "not_found"}:
        return
    part = agent.settings.knowledge.part if agent else None
    asked = knowledge.Asked(
        turn_id=turn.id,
        conversation_id=conversation.id,
        customer=conversation.customer,
        question=await _question(session, turn, conversation),
        is_answered=answer.outcome == "reply",
        support=answer.support,
        asked_at=utcnow(),
        names=(conversation.customer_name,),
        categories=None if part is None else tuple(part),
        at=place_asked(conversation, answer.stage),
    )
    await knowledge.note_question(session, asked)
    earlier = await store.outdated_turns(session, conversation.id, turn.first_seq)
    await knowledge.forget_questions(session, [one for one in earlier if one != turn.id])


async def _record_reply(
    session: Session, turn: Turn, agent: Agent | None, answer: Answer, message_id: str | None
) -> None:
    await conversations.record_reply(
        session,
        turn.conversation_id,
        turn_id=turn.id,
        agent_name=agent.name if agent else "",
        text=answer.text,
        provider_id=message_id,
        now=utcnow(),
    )


async def owe_turn_task(
    session: Session, turn: Turn, conversation: Conversation, template: str, **params: str
) -> None:
    """Ask a person on the deal about what the customer wrote, which `template` may quote."""
    question = await _question(session, turn, conversation)
    await owe_task(session, conversation, template, question=question[:TASK_QUESTION_CHARS], **params)


async def _question(session: Session, turn: Turn, conversation: Conversation) -> str:
    asked = await conversations.list_messages(session, conversation.id, from_seq=turn.first_seq)
    return " ".join(m.told for m in asked if m.author == "customer" and m.seq <= turn.last_seq)


async def owe_task(session: Session, conversation: Conversation, template: str, **params: str) -> None:
    """Ask a person on the deal, in the workspace's language. A chat without a deal has no place for it."""
    if conversation.lead_id is None:
        return
    locale = await organizations.get_locale(session)
    text = translate(locale, template, **params)
    task = NewTask(conversation.lead_id, text, utcnow() + TASK_DUE_IN)
    place = conversation.connection_id
    await crm_service.owe_task(session, place, task, conversation_id=conversation.id)
