"""Which agents a list shows, and what may be done to several of them at once."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

BulkAction = Literal["activate", "deactivate", "set_model", "delete"]
BULK_MAX = 100
SEARCH_MAX_CHARS = 255


@dataclass(frozen=True, slots=True)
class AgentFilter:
    """`model` is the one that writes the answers: an agent that names none has the installation's.

    An agent fits that was changed from `changed_from` on and before `changed_before`.
    """

    search: str = ""
    is_active: bool | None = None
    has_draft: bool | None = None
    model: str = ""
    changed_from: datetime | None = None
    changed_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class AgentCounts:
    """How many agents there are; those of `drafts` have changes that wait to be published.

    `models` are those that agents name themselves, in order.
    """

    total: int
    active: int
    drafts: int
    models: tuple[str, ...]
