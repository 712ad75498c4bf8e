"""Waiting for a customer's silence, once a reply has left."""

from datetime import timedelta

from gptagent.features.agents import service as agents
from gptagent.features.agents.model import Agent, Place, StageFollowUp
from gptagent.features.conversations.model import Conversation
from gptagent.features.crm import service as crm_service
from gptagent.features.crm.service import LeadCard
from gptagent.features.dialog.following import store
from gptagent.kernel.db import Session


async def wait_for_silence(session: Session, conversation: Conversation, agent: Agent | None) -> None:
    """A reply of the agent has left: wait for the customer, if the deal's stage has a follow-up."""
    follows_up = agent is not None and any(one.follow_ups for one in agent.settings.pipelines.chosen)
    lead = await lead_of(session, conversation) if follows_up else None
    rule = rule_of(agent, conversation, lead) if agent is not None else None
    if agent is None or rule is None:
        await store.forget(session, conversation.id)
    else:
        wait = timedelta(hours=rule.after_hours)
        await store.put(session, conversation.id, agent.id, rule.stage_id, wait)


async def lead_of(session: Session, conversation: Conversation) -> LeadCard | None:
    if conversation.lead_id is None:
        return None
    return await crm_service.get_lead_card(session, conversation.connection_id, conversation.lead_id)


def rule_of(agent: Agent, conversation: Conversation, lead: LeadCard | None) -> StageFollowUp | None:
    if lead is None:
        return None
    place = Place(conversation.connection_id, conversation.channel, lead.pipeline_id, lead.stage_id)
    return agents.stage_follow_up(agent.settings, place)
