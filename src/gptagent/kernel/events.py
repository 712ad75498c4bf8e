"""Facts that features publish and later features hear.

Two kinds of subscribers, both listed in bootstrap.py: in-transaction ones (same session, rows only, a failure
rolls everything back) and outbox ones, which are ordinary jobs (after commit, at least once).
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from gptagent.kernel.db import Session


@dataclass(frozen=True, slots=True)
class Event:
    """Base of facts. Fields are ids and plain values."""

    name: ClassVar[str] = "event"


InTransaction = Callable[[Session, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Subscribers:
    """`in_transaction` handlers run at once; `outbox` names jobs whose payload is the event's ids."""

    in_transaction: Mapping[type[Event], Sequence[InTransaction]] = field(default_factory=dict)
    outbox: Mapping[type[Event], Sequence[str]] = field(default_factory=dict)

    async def publish(self, session: Session, event: Event) -> None:
        """Tell everyone who listens, within the caller's transaction."""
        for handler in self.in_transaction.get(type(event), ()):
            await handler(session, event)
        for job in self.outbox.get(type(event), ()):
            payload = {item.name: str(getattr(event, item.name)) for item in fields(event)}
            await session.enqueue(job, payload)
