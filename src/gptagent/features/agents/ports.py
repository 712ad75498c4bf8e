"""What others may hold against the publishing of an agent's settings."""

from typing import Protocol

from gptagent.features.agents.model import Agent, Settings
from gptagent.kernel.db import Session


class PublishCondition(Protocol):
    """Asked in the transaction that publishes, so it must be quick: it reads what is known, and runs nothing.

    It is asked whenever settings would be published. The way back to an earlier version stays open: what it
    has against that one is told, and who wants it all the same gets it.
    """

    async def __call__(self, session: Session, agent: Agent, wanted: Settings, /) -> None:
        """Raise Conflict with the reason if these settings may not be published (yet)."""


async def may_always_publish(_session: Session, _agent: Agent, _wanted: Settings, /) -> None:
    """Hold nothing against it."""
