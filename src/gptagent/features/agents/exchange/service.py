"""Verbs of agents as files: what is in them is found here by its name."""

from collections.abc import Mapping
from uuid import UUID

import msgspec

from gptagent.features.agents import service
from gptagent.features.agents.checking import merge
from gptagent.features.agents.exchange.matching import Matching, Names, Unmatched
from gptagent.features.agents.model import CUSTOM_FIELD, Agent, Settings
from gptagent.features.agents.references import pipeline_name, references_of, written_fields
from gptagent.features.crm import service as crm
from gptagent.features.crm.actions.model import WrittenKind
from gptagent.features.knowledge import service as knowledge
from gptagent.kernel.db import Session

ABOVE = " / "  # between the titles of a category and of those above it


async def name_references(session: Session, settings: Settings) -> dict[str, dict[str, str]]:
    """Return what is called how of what the settings refer to, as far as it is still there."""
    ours = await _names(session)
    return {
        path: {one: ours[path][one] for one in references if one in ours[path]}
        for path, references in references_of(settings).items()
    }


async def take_file(
    session: Session, name: str, settings: Mapping[str, object], names: Names, *, locale: str
) -> tuple[Agent, list[Unmatched]]:
    """Create a silent agent from a file, what it refers to found here by its name; return what is not, too.

    Raises as `import_agent` does.
    """
    document, faults = merge(service.first_settings(locale), settings)
    if faults:  # it says all of them, also what the plan has against it
        return await service.import_agent(session, name, settings, locale=locale), []
    matching = Matching(names, await _names(session))
    found = msgspec.to_builtins(matching.match(document))
    return await service.import_agent(session, name, found, locale=locale), matching.unmatched


async def _names(session: Session) -> dict[str, dict[str, str]]:
    """Return the names of all that settings may refer to. A category's has those above it, too."""
    connections = await crm.list_connections(session)
    tree = await knowledge.read_tree(session)
    pipelines, channels = {}, {}
    for pipeline in await crm.list_pipelines(session):
        key = pipeline_name(pipeline.connection_id, pipeline.id)
        pipelines[key] = pipeline.name
        pipelines |= {f"{key}/{stage.id}": stage.name for stage in pipeline.stages}
    for connection in connections:
        for channel in await crm.list_channels(session, connection.id):
            channels[channel.origin] = crm.CHANNELS.get(channel.origin, channel.origin)
    return {
        "pipelines.chosen": pipelines,
        "channels.chosen": channels,
        "knowledge.categories": {
            str(one): ABOVE.join(above.title for above in tree.path(one)) for one in tree.by_id
        },
        "readable.lead": await _fields(session, [one.id for one in connections], "leads"),
        "readable.contact": await _fields(session, [one.id for one in connections], "contacts"),
        "update_rules.lead": {
            f"{CUSTOM_FIELD}{one.id}": one.name for one in await written_fields(session, "leads")
        },
        "update_rules.contact": {
            f"{CUSTOM_FIELD}{one.id}": one.name for one in await written_fields(session, "contacts")
        },
    }


async def _fields(session: Session, connections: list[UUID], kind: WrittenKind) -> dict[str, str]:
    return {
        f"{CUSTOM_FIELD}{one.id}": one.name
        for connection in connections
        for one in await crm.list_fields(session, connection, kind)
    }
