"""What holds settings back from being published: their scenarios, where the agent asks for that."""

from gptagent.features.agents.model import Agent, Settings
from gptagent.features.dialog.scenario_runs.service import why_not_published
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Conflict


async def only_if_passed(session: Session, agent: Agent, wanted: Settings, /) -> None:
    """Raise Conflict with the reason if these settings have still to pass the agent's scenarios."""
    refusal = await why_not_published(session, agent.id, wanted)
    if refusal is not None:
        raise Conflict("scenarios_not_passed", refusal.sentence, params=refusal.params)
