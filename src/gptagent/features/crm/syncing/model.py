"""A run that copies a CRM's account, and its parts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from gptagent.features.crm.mirror.model import Counts

PartName = Literal["pipelines", "fields", "users", "tags", "salesbots", "channels", "contacts", "leads"]
# In this order: what later parts refer to comes first, what is most comes last.
PARTS: tuple[PartName, ...] = (
    "pipelines",
    "fields",
    "users",
    "tags",
    "salesbots",
    "channels",
    "contacts",
    "leads",
)
# `absent`: the account has no such thing, as amoCRM has no list of salesbots.
PartState = Literal["waiting", "running", "done", "failed", "absent"]
SyncKind = Literal["manual", "scheduled", "first"]
SyncState = Literal["queued", "running", "completed", "failed"]

EVERY = timedelta(hours=24)
# What the CRM deleted shows only when everything is read.
FULL_EVERY = timedelta(days=7)
# The CRM's clock and ours differ, and its lists may lag behind its writes.
MARGIN = timedelta(minutes=10)
# A run that has not moved for so long was lost with its job.
STALE = timedelta(hours=1)
# After a failed run the next scheduled one waits so long; a person may ask at once.
PAUSE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Part:
    """`step` and `page` are the list and page to be read next, `since` where reading begins: all hold over a
    restart. Without `since` everything is read.
    """

    name: PartName
    state: PartState = "waiting"
    read: int = 0
    added: int = 0
    removed: int = 0
    step: int = 0
    page: int = 1
    since: datetime | None = None
    error: str | None = None

    @property
    def is_over(self) -> bool:
        return self.state in {"done", "failed", "absent"}


@dataclass(frozen=True, slots=True)
class Sync:
    """One run. `is_full`: it reads everything and so sees what is gone."""

    id: UUID
    connection_id: UUID
    kind: SyncKind
    state: SyncState
    is_full: bool
    parts: tuple[Part, ...]
    error_code: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    updated_at: datetime
    claim: int = 0

    @property
    def is_under_way(self) -> bool:
        return self.state in {"queued", "running"}

    @property
    def has_failures(self) -> bool:
        return any(part.state == "failed" for part in self.parts)

    @property
    def parts_over(self) -> int:
        return sum(part.is_over for part in self.parts)


def fresh_parts(since: dict[PartName, datetime | None]) -> tuple[Part, ...]:
    return tuple(Part(name, since=since.get(name)) for name in PARTS)


def advanced(part: Part, counts: Counts, *, has_more: bool) -> Part:
    """Return the part with what one page brought, at the next page or the next list."""
    step, page = (part.step, part.page + 1) if has_more else (part.step + 1, 1)
    return replace(
        part,
        state="running",
        read=part.read + counts.read,
        added=part.added + counts.added,
        removed=part.removed + counts.removed,
        step=step,
        page=page,
        error=None,
    )


def with_part(parts: Sequence[Part], changed: Part) -> tuple[Part, ...]:
    return tuple(changed if part.name == changed.name else part for part in parts)
