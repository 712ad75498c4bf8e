"""What administrators of the platform see and do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

PAGE_SIZE = 50
REASON_MIN_CHARS = 10
REASON_MAX_CHARS = 500
IMPERSONATION_LIFE = timedelta(minutes=60)
KEY_NAME_MAX_CHARS = 100
KEY_LIVES = (30, 90, 365)  # days


@dataclass(frozen=True, slots=True)
class OrganizationRow:
    """`last_active_at`: the last message or privileged action; None if there was none yet."""

    org_id: UUID
    number: int
    slug: str
    name: str
    created_at: datetime
    suspended_at: datetime | None
    delete_at: datetime | None
    members: int
    agents: int
    last_active_at: datetime | None


@dataclass(frozen=True, slots=True)
class MemberRow:
    person_id: UUID
    full_name: str = field(repr=False)
    email: str = field(repr=False)
    role: str
    status: str
    is_platform_admin: bool
    is_suspended: bool


@dataclass(frozen=True, slots=True)
class PersonRow:
    """`last_seen_at`: by a log-in of their own that has not ended."""

    person_id: UUID
    full_name: str = field(repr=False)
    email: str = field(repr=False)
    created_at: datetime
    suspended_at: datetime | None
    erased_at: datetime | None
    is_platform_admin: bool
    workspaces: int
    last_seen_at: datetime | None
    has_second_factor: bool


@dataclass(frozen=True, slots=True)
class MembershipRow:
    org_id: UUID
    number: int
    name: str
    role: str
    status: str
    is_suspended: bool

    @property
    def is_open(self) -> bool:
        """Whether the person can enter it."""
        return self.status == "active" and not self.is_suspended


@dataclass(frozen=True, slots=True)
class PlatformKey:
    """A key of a program that administers the platform. The key itself is shown once, when it is made."""

    id: UUID
    name: str
    key_start: str
    key_end: str
    scopes: frozenset[str]
    created_by: UUID | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    def is_live(self, now: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


@dataclass(frozen=True, slots=True)
class Figures:
    """The estimates are PostgreSQL's own and cost nothing."""

    database_bytes: int
    people: int
    organizations: int
    agents_estimate: int
    messages_estimate: int
    administrators: int


@dataclass(frozen=True, slots=True)
class Installation:
    """Facts an administrator may know. `settings`: whether each is set; never a value that is secret."""

    version: str
    environment: str
    public_address: str
    settings: Mapping[str, bool]
