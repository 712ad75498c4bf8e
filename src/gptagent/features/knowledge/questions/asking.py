"""Who asks on the test bench, and at which stage: nobody in particular, of some categories, or an agent."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from gptagent.features.knowledge.categories.model import Within, within
from gptagent.features.knowledge.categories.service import check_categories
from gptagent.features.knowledge.staging.model import At
from gptagent.features.knowledge.staging.service import are_known
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Invalid


@dataclass(frozen=True, slots=True)
class Asker:
    """An agent, and what of the base it answers from; None is all that is the workspace's."""

    id: UUID
    name: str
    within: Within | None


# Agents stand above the knowledge base, so whoever wires the bench says which there are.
Askers = Callable[[Session], Awaitable[Sequence[Asker]]]


async def part_asked(
    session: Session,
    askers: Askers,
    agent_id: UUID | None,
    categories: Sequence[UUID],
    at: At | None = None,
) -> Within | None:
    """Return what of the base is asked: the agent's part with its own files, or what is in these categories,
    else all that is the workspace's; `at` a stage what is for others is left out.

    Raises Invalid if both are named, or one is not there.
    """
    if at is not None and at.stage is not None and not await are_known(session, [at.stage]):
        raise Invalid.field("stage", "There is no such stage.")
    if agent_id is None:
        await check_categories(session, categories)
        return within(categories or None, at)
    if categories:
        raise Invalid.field("categories", "The agent has its own categories. Choose either.")
    asker = next((one for one in await askers(session) if one.id == agent_id), None)
    if asker is None:
        raise Invalid.field("agent_id", "There is no such agent.")
    return within(asker.within.categories if asker.within else None, at, agent_id)
