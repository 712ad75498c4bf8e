"""Onboarding, ticked by the state of the workspace, and the periods whose replies are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from typing import Literal

from gptagent.features.agents.model import Agent
from gptagent.features.crm.model import Connection
from gptagent.features.knowledge.model import KnowledgeCounts

StepName = Literal["knowledge", "agent", "crm", "answer"]
Period = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Step:
    """`fact` is what was found when the step is done."""

    name: StepName
    is_done: bool
    fact: str = ""


@dataclass(frozen=True, slots=True)
class Replies:
    """Replies of a period and of the one before it."""

    now: int
    before: int

    @property
    def change(self) -> float | None:
        """By which share of the earlier period this one is larger; None if there is nothing to compare."""
        return (self.now - self.before) / self.before if self.before else None


def steps(
    agents: Sequence[Agent], counts: KnowledgeCounts, connections: Sequence[Connection], *, has_replied: bool
) -> tuple[Step, ...]:
    """Return the way to the first answer, in the order it is walked."""
    active = next((agent.name for agent in agents if agent.is_active), "")
    connected = next((one.host for one in connections if one.status == "connected"), "")
    return (
        Step("knowledge", counts.active_articles + counts.completed_documents + counts.site_pages > 0),
        Step("agent", bool(active), active),
        Step("crm", bool(connected), connected),
        Step("answer", has_replied),
    )


def periods(now: datetime, zone: tzinfo) -> tuple[Period, ...]:
    """Return month, seven days and day, each followed by the one before it, by the reader's calendar."""
    here = now.astimezone(zone)
    day = datetime.combine(here.date(), time(), zone)
    month = day.replace(day=1)
    last_month = (month - timedelta(days=1)).replace(day=1)
    return (
        (month, now),
        (last_month, month),
        (now - timedelta(days=7), now),
        (now - timedelta(days=14), now - timedelta(days=7)),
        (day, now),
        (day - timedelta(days=1), day),
    )
