"""Who asks on the test bench: nobody in particular, what is in some categories, or an agent with its own."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from gptagent.features.knowledge.categories.model import Within, within
from gptagent.features.knowledge.categories.service import check_categories
from gptagent.kernel.db import Session
from gptagent.kernel.errors import Invalid


@dataclass(frozen=True, slots=True)
class Asker:
    """An agent, and what of the base it answers from; None is the whole."""

    id: UUID
    name: str
    within: Within | None


# Agents stand above the knowledge base, so whoever wires the bench says which there are.
Askers = Callable[[Session], Awaitable[Sequence[Asker]]]


async def part_asked(
    session: Session, askers: Askers, agent_id: UUID | None, categories: Sequence[UUID]
) -> Within | None:
    """Return what of the base is asked: the agent's part, or what is in these categories, else everything.

    Raises Invalid if both are named, or one is not there.
    """
    if agent_id is None:
        await check_categories(session, categories)
        return within(categories or None)
    if categories:
        raise Invalid.field("categories", "The agent has its own categories. Choose either.")
    asker = next((one for one in await askers(session) if one.id == agent_id), None)
    if asker is None:
        raise Invalid.field("agent_id", "There is no such agent.")
    return asker.within
