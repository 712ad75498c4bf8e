"""Acting on a customer's silence, by the settings of then."""

from datetime import timedelta
from uuid import UUID

from gptagent.features.agents import service as agents
from gptagent.features.agents.model import Agent
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.model import Conversation
from gptagent.features.conversations.speaking import service as speaking
from gptagent.features.crm import service as crm_service
from gptagent.features.dialog.ending import TASK_REPLY_CHARS, owe_task
from gptagent.features.dialog.following import store
from gptagent.features.dialog.following.planning import lead_of, rule_of
from gptagent.features.dialog.outgoing import service as outgoing
from gptagent.features.dialog.outgoing.service import Writer
from gptagent.features.dialog.scripting import values_of
from gptagent.features.knowledge import service as knowledge
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Conflict
from gptagent.kernel.scope import Scope

SWEEP_BATCH = 200
FOLLOW_UP_TASK = (
    "The customer has been silent, and the agent's follow-up could not be sent by itself. Please write to "
    "them: “{reply}”"
)


async def sweep_follow_ups(db: Database) -> int:
    """Send the follow-ups whose time has come, each once. Returns how many conversations were looked at."""
    async with db.installation() as session:
        found = await store.due(session, SWEEP_BATCH)
    for org_id, conversation_id in found:
        async with db.session(Scope(org_id)) as session:
            await follow_up(session, conversation_id)
    return len(found)


async def follow_up(session: Session, conversation_id: UUID) -> None:
    """Act on a silence by what is set now: send, wait for the hours, ask a person, or forget it."""
    conversation = await conversations.get_conversation(session, conversation_id)
    await crm_service.hold_connection(session, conversation.connection_id)
    conversation = await conversations.get_conversation(session, conversation_id, lock=True)
    watched = await store.select_watched(session, conversation_id)
    if watched is None or watched.due_at > utcnow():
        return
    lead = await lead_of(session, conversation)
    agent = await speaking.find_speaker(session, conversation_id)
    is_current = (
        agent is not None
        and agent.id == watched.agent_id
        and not conversation.held_by_person
        and conversation.last_seq == watched.after_seq
        and await organizations.find_silence(session) is None
    )
    rule = rule_of(agent, conversation, lead) if agent is not None and is_current else None
    if agent is None or rule is None or rule.stage_id != watched.stage_id:
        await store.forget(session, conversation_id)
        return
    due_at = watched.silent_since + timedelta(hours=rule.after_hours)
    closed_for = agents.wait_until_open(agent.settings.hours, utcnow())
    if due_at > utcnow() or closed_for is not None:
        await store.put_off(session, conversation_id, max(due_at, utcnow() + (closed_for or timedelta(0))))
        return
    await store.forget(session, conversation_id)
    text = knowledge.fill(rule.text, await values_of(session, conversation, lead, agent))
    if text:
        await _send(session, conversation, agent, text)
    else:  # nothing is known of what all its sentences name
        await owe_task(session, conversation, FOLLOW_UP_TASK, reply=rule.text[:TASK_REPLY_CHARS])


async def _send(session: Session, conversation: Conversation, agent: Agent, text: str) -> None:
    """Owe it to the customer; where nothing may leave by itself now, a person gets it as a task."""
    try:
        await outgoing.check_sendable(session, conversation)
        may_leave = not (agent.settings.check_before_sending or conversation.is_letter)
    except Conflict:
        may_leave = False
    if not may_leave:
        await owe_task(session, conversation, FOLLOW_UP_TASK, reply=text[:TASK_REPLY_CHARS])
        return
    await outgoing.owe(session, conversation, "followup", text, Writer(agent.name, agent.id))
