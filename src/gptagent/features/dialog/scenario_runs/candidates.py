"""Which settings a run is about: the agent's draft, or what is published."""

import hashlib
from dataclasses import replace
from uuid import UUID

import msgspec

from gptagent.features.agents import service as agents
from gptagent.features.agents.model import Settings
from gptagent.features.dialog.scenario_runs.model import Candidate, Target
from gptagent.kernel.db import Session


async def candidate_of(session: Session, agent_id: UUID, target: Target) -> Candidate:
    """Return the agent with the settings to be tried. Raises NotFound."""
    agent = await agents.get_agent(session, agent_id)
    del target
    return Candidate(replace(agent), fingerprint_of(agent.settings))


def fingerprint_of(settings: Settings) -> str:
    """Return a name that only these very settings have."""
    return hashlib.sha256(msgspec.json.encode(settings, order="deterministic")).hexdigest()
