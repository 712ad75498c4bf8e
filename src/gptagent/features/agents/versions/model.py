"""A published version of an agent's settings, and what differs between two documents. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec

from gptagent.features.agents.checking import described
from gptagent.features.agents.model import Settings
from gptagent.features.agents.table import SETTINGS

NOTE_MAX_CHARS = 500
DRAFT_CHANGED = "Somebody has changed the draft meanwhile. Look at it again first."
NOT_PASSED = (
    "Version {number} has not passed the agent's scenarios as they are asked for now. "
    "It was published before, so it may come back all the same."
)
# Of one agent; older ones are forgotten. A change a minute for two working days stays within it.
VERSIONS_KEPT = 1_000


@dataclass(frozen=True, slots=True)
class AgentVersion:
    """`restored_from` is the version it published anew. Without `actor_kind` nobody recorded whose it is."""

    agent_id: UUID
    number: int
    settings: Settings
    note: str
    restored_from: int | None
    actor_kind: str | None
    actor_id: UUID | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewVersion:
    """What is said of a version when it is published. `held_back`: though a condition spoke against it."""

    note: str = ""
    restored_from: int | None = None
    held_back: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """A setting by its path, with its value in both documents as plain JSON."""

    setting: str
    before: Any
    after: Any


def sign_of(settings: Settings | None) -> str:
    """Return a sign that changes with any of the settings; of none it is empty."""
    return "" if settings is None else sha256(msgspec.json.encode(settings)).hexdigest()[:16]


def differences(before: Settings, after: Settings) -> Iterator[Difference]:
    """Yield each setting whose value differs, in the order of the table of settings."""
    old, new = (msgspec.json.decode(msgspec.json.encode(described(one))) for one in (before, after))
    for path in SETTINGS:
        if old[path] != new[path]:
            yield Difference(path, old[path], new[path])
