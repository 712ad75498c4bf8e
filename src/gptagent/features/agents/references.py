"""What settings refer to: it must be there when it is chosen, and is flagged once it is lost."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from gptagent.features.agents.checking import NOT_OFFERED
from gptagent.features.agents.model import Agent, Problem, Settings
from gptagent.features.knowledge import service as knowledge
from gptagent.kernel.db import Session
from gptagent.kernel.errors import FieldError


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


def references_of(settings: Settings) -> dict[str, list[str]]:
    return {"knowledge.categories": [str(one) for one in settings.knowledge.categories]}


async def load_offered(session: Session, settings: Iterable[Settings]) -> Offered:
    """Return what these documents may refer to; what none of them speaks of is not read."""
    spoken_of = {path for one in settings for path, references in references_of(one).items() if references}
    categories: Iterable[UUID] = ()
    if "knowledge.categories" in spoken_of:
        categories = (await knowledge.read_tree(session)).by_id
    return Offered({"knowledge.categories": frozenset(map(str, categories))})


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
