"""The scripts and answers to objections of one turn: those of the deal's stage, their variables filled.

And what was told about the company, counted.
"""

from uuid import UUID

from gptagent.features.agents.model import Agent
from gptagent.features.conversations.model import Conversation
from gptagent.features.crm import service as crm
from gptagent.features.crm.service import LeadCard
from gptagent.features.dialog.context import TurnContext
from gptagent.features.dialog.extractive import BY as EXTRACTIVE
from gptagent.features.dialog.model import Answer
from gptagent.features.knowledge import service as knowledge
from gptagent.features.knowledge.model import Given
from gptagent.features.organizations import service as organizations
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Session

VALUE_MAX_CHARS = 100  # a name or a field is no place for a text that a model might take for instructions


async def scripts_of(session: Session, context: TurnContext) -> tuple[Given, ...]:
    """Return what the agent is given for the customer's message at the deal's stage."""
    found = await knowledge.find_scripts(session, context.stage, context.question)
    if not found:
        return ()
    values = await values_of(session, context.conversation, context.lead, context.agent)
    return tuple(knowledge.give_scripts(found, values))


def used_scripts(answer: Answer) -> set[UUID]:
    """Return the scripts and objections that a reply named as its sources."""
    if answer.outcome != "reply":
        return set()
    return {source.source_id for source in answer.sources if source.kind in {"script", "objection"}}


async def note_told(session: Session, context: TurnContext, answer: Answer) -> None:
    """Count for the facts about the company that a model was told them for this reply."""
    if answer.outcome == "reply" and answer.by != EXTRACTIVE:
        await knowledge.note_facts_told(session, context.company.facts, now=utcnow())


async def values_of(
    session: Session, conversation: Conversation, lead: LeadCard | None, agent: Agent
) -> dict[str, str]:
    """Return what variables may say, each in one line; what is not known is missing or empty."""
    found = {
        "customer_name": conversation.customer_name,
        "company_name": (await organizations.get_settings(session)).name,
        "agent_name": agent.name,
    }
    if conversation.contact_id is not None:
        email, phone = await crm.find_reach(session, conversation.connection_id, conversation.contact_id)
        found |= {"customer_email": email, "customer_phone": phone}
    if lead is not None:
        found |= {f"crm.lead.{name}": text for name, text in lead.facts}
        found |= {
            "lead_id": str(lead.id),
            "lead_name": lead.name or "",
            "lead_value": "" if lead.price is None else str(lead.price),
            "lead_stage": lead.stage or "",
            "lead_pipeline": lead.pipeline or "",
        }
    return {name: " ".join(text.split())[:VALUE_MAX_CHARS] for name, text in found.items()}
