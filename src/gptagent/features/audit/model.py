"""What the record holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

# Field -> (before, after). None where the values are personal: those are kept sealed or not at all.
Changes = Mapping[str, tuple[object, object] | None]


@dataclass(frozen=True, slots=True)
class Entry:
    """A privileged action to be recorded.

    `action` is `noun.verb`, as listed in docs/reference/audit.md. `personal` are values of the person
    `personal_of`, kept under that person's key: erasing the person makes them unreadable.
    """

    action: str
    target_kind: str
    target_id: str = ""
    changes: Changes = field(default_factory=dict)
    personal: Mapping[str, str] = field(default_factory=dict, repr=False)
    personal_of: UUID | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row of the record. `address` and `personal` are None if they were never kept or have been erased."""

    seq: int
    at: datetime
    actor_kind: str
    actor_id: UUID | None
    acting_for: UUID | None
    action: str
    target_kind: str
    target_id: str
    changes: Changes
    request_id: str
    address: str | None = field(repr=False)
    personal: Mapping[str, str] | None = field(repr=False)
    personal_of: UUID | None
    hash: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are asked for; None: any. `person_id` acted or was impersonated; `until` is exclusive."""

    action: str | None = None
    person_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Named:
    """Somebody or something a row names. Whoever is not found at all was deleted."""

    name: str = field(repr=False)
    is_erased: bool = False
