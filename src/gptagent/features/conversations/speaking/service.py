"""Who answers in a conversation: the first active agent that fits its channel and its deal's stage."""

from collections.abc import Sequence
from uuid import UUID

from gptagent.features.agents import service as agents
from gptagent.features.agents.model import Agent, Place
from gptagent.features.conversations import service as conversations
from gptagent.features.conversations.model import Conversation
from gptagent.features.crm import service as crm
from gptagent.kernel.db import Session


async def find_speaker(session: Session, conversation_id: UUID) -> Agent | None:
    """Return who answers there, as far as the mirror knows where the deal is; None if nobody does.

    Raises NotFound, unless an agent answers everywhere.
    """
    candidates = await agents.list_active(session)
    if not candidates or agents.takes_all(candidates[0].settings):
        return candidates[0] if candidates else None
    conversation = await conversations.get_conversation(session, conversation_id)
    return await choose_speaker(session, candidates, conversation)


async def choose_speaker(
    session: Session, candidates: Sequence[Agent], conversation: Conversation
) -> Agent | None:
    """Return who of all active agents, in their order, answers there; see `find_speaker`."""
    if not candidates or agents.takes_all(candidates[0].settings):
        return candidates[0] if candidates else None
    return (await _choose(session, candidates, [conversation]))[conversation.id]


async def find_delay(session: Session, conversation_id: UUID) -> int:
    """Return the seconds of silence waited for there; while nobody is known to answer, the longest of all who
    may.
    """
    candidates = await agents.list_active(session)
    if not candidates or agents.takes_all(candidates[0].settings):
        return candidates[0].settings.response_delay_seconds if candidates else 0
    conversation = await conversations.get_conversation(session, conversation_id)
    agent = await choose_speaker(session, candidates, conversation)
    if agent is not None:
        return agent.settings.response_delay_seconds
    fitting = [one.settings for one in candidates if agents.takes_channel(one.settings, conversation.channel)]
    return max((one.response_delay_seconds for one in fitting), default=0)


async def find_speakers(session: Session, found: Sequence[Conversation]) -> dict[UUID, Agent | None]:
    """Return who answers in each of these conversations."""
    return await _choose(session, await agents.list_active(session), found)


async def _choose(
    session: Session, candidates: Sequence[Agent], found: Sequence[Conversation]
) -> dict[UUID, Agent | None]:
    deals = {(one.connection_id, one.lead_id) for one in found if one.lead_id is not None}
    is_asked = any(not agent.settings.pipelines.all for agent in candidates)
    stages = await crm.find_stages(session, deals) if is_asked else {}
    return {
        one.id: agents.choose(
            candidates,
            Place(
                one.connection_id,
                one.channel,
                *stages.get((one.connection_id, one.lead_id or 0), (None, None)),
            ),
        )
        for one in found
    }
