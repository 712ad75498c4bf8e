"""What settings refer to: it must be there when it is chosen, and is flagged once it is lost.

A pipeline is named `{connection}/{pipeline}`, a stage `{connection}/{pipeline}/{stage}`, a custom field
`cf_{id}` by the CRM's own number, whichever of the workspace's accounts has it.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from gptagent.features.agents.checking import NOT_OFFERED
from gptagent.features.agents.model import (
    CONTACT_FIELDS,
    CUSTOM_FIELD,
    LEAD_FIELDS,
    WRITTEN_CONTACT_FIELDS,
    WRITTEN_LEAD_FIELDS,
    Agent,
    PipelineRule,
    Problem,
    Settings,
)
from gptagent.features.crm import service as crm
from gptagent.features.crm.actions import service as actions
from gptagent.features.crm.actions.model import WrittenKind
from gptagent.features.crm.service import MirroredField
from gptagent.features.knowledge import service as knowledge
from gptagent.kernel.db import Session
from gptagent.kernel.errors import FieldError


def references_of(settings: Settings) -> dict[str, list[str]]:
    """Return what each setting names, by its path."""
    return {
        "pipelines.chosen": [name for rule in settings.pipelines.chosen for name in names_of(rule)],
        "channels.chosen": list(settings.channels.chosen),
        "knowledge.categories": [str(one) for one in settings.knowledge.categories],
        "readable.lead": [one for one in settings.readable.lead if one not in LEAD_FIELDS],
        "readable.contact": [one for one in settings.readable.contact if one not in CONTACT_FIELDS],
        "update_rules.lead": [
            one.field for one in settings.update_rules.lead if one.field not in WRITTEN_LEAD_FIELDS
        ],
        "update_rules.contact": [
            one.field for one in settings.update_rules.contact if one.field not in WRITTEN_CONTACT_FIELDS
        ],
    }


def names_of(rule: PipelineRule) -> Iterator[str]:
    pipeline = pipeline_name(rule.connection_id, rule.pipeline_id)
    yield pipeline
    told = [one.stage_id for one in rule.instructions]
    followed = [one.stage_id for one in rule.follow_ups]
    aims = [one.stage_id for one in rule.goals]
    aims += [one.next_stage_id for one in rule.goals if one.next_stage_id is not None]
    for stage in dict.fromkeys([*rule.stages, *told, *followed, *aims]):
        yield f"{pipeline}/{stage}"


def pipeline_name(connection_id: UUID, pipeline_id: int) -> str:
    return f"{connection_id}/{pipeline_id}"


@dataclass(frozen=True, slots=True)
class Offered:
    """What is there to choose from, by the path of the setting that names it."""

    by_path: Mapping[str, frozenset[str]]

    def problems(self, settings: Settings) -> list[Problem]:
        """Return each reference to something that is not there."""
        return [
            Problem(path, reference)
            for path, references in references_of(settings).items()
            for reference in references
            if reference not in self.by_path[path]
        ]


async def load_offered(session: Session, settings: Iterable[Settings]) -> Offered:
    """Return what these documents may refer to; what none of them speaks of is not read."""
    spoken_of = {path for one in settings for path, references in references_of(one).items() if references}
    return Offered(
        {path: await load(session) if path in spoken_of else frozenset() for path, load in _LOADERS.items()}
    )


async def unknown_references(session: Session, old: Settings, new: Settings) -> list[FieldError]:
    """Return a fault for each setting that newly names something that is not there.

    What was chosen before and is lost may stay, or nothing else could be saved.
    """
    before = references_of(old)
    offered = await load_offered(session, [new])
    faults = {
        one.setting: FieldError(one.setting, NOT_OFFERED)
        for one in offered.problems(new)
        if one.reference not in before[one.setting]
    }
    return list(faults.values())


async def find_problems(session: Session, agents: Iterable[Agent]) -> dict[UUID, list[Problem]]:
    """Return what each agent's settings name that is not there any more."""
    found = list(agents)
    offered = await load_offered(session, [agent.settings for agent in found])
    return {agent.id: offered.problems(agent.settings) for agent in found}


async def _pipelines(session: Session) -> frozenset[str]:
    found = await crm.list_pipelines(session)
    names = {pipeline_name(one.connection_id, one.id): one.stages for one in found}
    stages = {f"{name}/{stage.id}" for name, these in names.items() for stage in these}
    return frozenset(names) | stages


async def _channels(session: Session) -> frozenset[str]:
    """Return the channels that chats came from, as far as they were seen."""
    connections = await crm.list_connections(session)
    return frozenset(
        [channel.origin for one in connections for channel in await crm.list_channels(session, one.id)]
    )


async def _categories(session: Session) -> frozenset[str]:
    return frozenset(map(str, (await knowledge.read_tree(session)).by_id))


async def _lead_fields(session: Session) -> frozenset[str]:
    connections = await crm.list_connections(session)
    fields = [field for one in connections for field in await crm.list_fields(session, one.id, "leads")]
    return frozenset(f"{CUSTOM_FIELD}{field.id}" for field in fields)


async def _contact_fields(session: Session) -> frozenset[str]:
    connections = await crm.list_connections(session)
    fields = [field for one in connections for field in await crm.list_fields(session, one.id, "contacts")]
    return frozenset(f"{CUSTOM_FIELD}{field.id}" for field in fields)


async def _written_lead_fields(session: Session) -> frozenset[str]:
    return frozenset(f"{CUSTOM_FIELD}{one.id}" for one in await written_fields(session, "leads"))


async def _written_contact_fields(session: Session) -> frozenset[str]:
    return frozenset(f"{CUSTOM_FIELD}{one.id}" for one in await written_fields(session, "contacts"))


async def written_fields(session: Session, kind: WrittenKind) -> list[MirroredField]:
    """Return the custom fields of all accounts that an agent may write from what a customer says."""
    connections = await crm.list_connections(session)
    fields = [field for one in connections for field in await crm.list_fields(session, one.id, kind)]
    return [field for field in fields if actions.takes_words(field)]


_LOADERS: Mapping[str, Callable[[Session], Awaitable[frozenset[str]]]] = {
    "pipelines.chosen": _pipelines,
    "channels.chosen": _channels,
    "knowledge.categories": _categories,
    "readable.lead": _lead_fields,
    "readable.contact": _contact_fields,
    "update_rules.lead": _written_lead_fields,
    "update_rules.contact": _written_contact_fields,
}
