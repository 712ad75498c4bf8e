"""What the lists of a scenario's form offer."""

from collections.abc import Sequence
from typing import Any

from gptagent.features.agents import service as agents
from gptagent.features.crm import service as crm
from gptagent.features.dialog.scenarios.forms import stage_key
from gptagent.features.dialog.scenarios.model import Where
from gptagent.kernel.db import Session


async def offered(session: Session) -> dict[str, Any]:
    """Return the agents, channels and stages that may be chosen."""
    connections = await crm.list_connections(session)
    channels = {
        one.origin: crm.CHANNELS.get(one.origin, one.origin)
        for connection in connections
        for one in await crm.list_channels(session, connection.id)
    }
    return {
        "agents": [(str(one.id), one.name) for one in await agents.list_agents(session)],
        "channels": sorted(channels.items(), key=lambda one: one[1]),
        "stages": await _stages(session),
    }


async def _stages(session: Session) -> Sequence[tuple[str, str]]:
    found = []
    for pipeline in await crm.list_pipelines(session):
        place = Where("", pipeline.connection_id, pipeline.id)
        found.append((stage_key(place), pipeline.name))
        for stage in pipeline.stages:
            if stage.removed_at is None:
                at = Where("", pipeline.connection_id, pipeline.id, stage.id)
                found.append((stage_key(at), f"{pipeline.name} › {stage.name}"))
    return found
