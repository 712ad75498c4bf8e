"""Workspaces, members, roles."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, get_args
from uuid import UUID

from gptagent.features.identity.model import WebSession

Role = Literal["owner", "admin", "member", "viewer"]
GuestRole = Literal["admin", "member", "viewer"]  # nobody is invited to own
ROLES: tuple[Role, ...] = get_args(Role)
GUEST_ROLES: tuple[GuestRole, ...] = get_args(GuestRole)
MemberStatus = Literal["active", "suspended"]
INVITATION_LIFE = timedelta(days=7)
DELETION_GRACE = timedelta(days=7)  # a workspace stands for so long after its owner asked to delete it
OPEN_INVITATIONS_MAX = 200
OWNED_WORKSPACES_MAX = 20
NAME_MAX_CHARS = 255
SLUG_MAX_CHARS = 48
RESUME_MAX_HOURS = 720
COMMAND_MIN_CHARS, COMMAND_MAX_CHARS = 2, 50
API_KEY_PREFIX = "gpa_"  # by which a key is told from an access token, and found by secret scanners

# Each Cyrillic letter and its Latin spelling (after the rules of passports, ICAO Doc 9303).
_LATIN = (
    "а:a б:b в:v г:g д:d е:e ё:e ж:zh з:z и:i й:i к:k л:l м:m н:n о:o п:p р:r с:s т:t у:u ф:f х:kh ц:ts "
    "ч:ch ш:sh щ:shch ъ: ы:y ь: э:e ю:iu я:ia"
)
_TRANSLITERATION = dict(pair.split(":") for pair in _LATIN.split())


@dataclass(frozen=True, slots=True)
class Workspace:
    """`number` identifies it in addresses; the slug is for people and may be wrong.

    `delete_at`: when it will be deleted, if its owner has asked for that. `needs_second_factor`: it lets in
    only log-ins that have shown one.
    """

    org_id: UUID
    number: int
    slug: str
    name: str
    role: Role
    delete_at: datetime | None = None
    needs_second_factor: bool = False

    @property
    def path(self) -> str:
        return f"/manage/{self.number}-{self.slug}"


@dataclass(frozen=True, slots=True)
class WorkspaceSettings:
    """What a workspace is called and writes in. `delete_at`, `needs_second_factor`: see Workspace."""

    number: int
    slug: str
    name: str
    locale: str
    created_at: datetime
    delete_at: datetime | None = None
    needs_second_factor: bool = False
    stop_on_human: bool = False
    resume_after_hours: int = 0
    resume_command: str = ""


@dataclass(frozen=True, slots=True)
class Stopping:
    """What happens when a person writes in a chat that an agent answers.

    `stop_on_human`: the agent falls silent there. It resumes `resume_after_hours` after the person's last
    message (0: by hand only), or once a person writes `resume_command` into the chat.
    """

    stop_on_human: bool
    resume_after_hours: int
    resume_command: str

    def is_command(self, text: str) -> bool:
        return text.strip().casefold() == self.resume_command.casefold()


@dataclass(frozen=True, slots=True)
class Member:
    """A person in a workspace. `last_seen_at` is None for somebody who is logged in nowhere."""

    person_id: UUID
    full_name: str = field(repr=False)
    email: str = field(repr=False)
    role: Role
    status: MemberStatus
    joined_at: datetime
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Invitation:
    """An open invitation as the workspace sees it. Without an address whoever has the link is meant."""

    id: UUID
    email: str | None = field(repr=False)
    role: GuestRole
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Offer:
    """An open invitation as whoever has its link may know it, except for `email`: that is compared only.

    `by_letter`: its token was never shown to anybody, so whoever has it reads the mailbox it was sent to.
    """

    org_id: UUID
    invitation_id: UUID
    workspace: str
    role: GuestRole
    invited_by: str | None = field(repr=False)
    email: str | None = field(repr=False)
    by_letter: bool


@dataclass(frozen=True, slots=True)
class Visitor:
    """The person behind a session cookie, with the workspaces they may enter."""

    session: WebSession
    workspaces: tuple[Workspace, ...]


def make_slug(name: str) -> str:
    """Return a name in the letters of addresses; 'workspace' if nothing of it is left."""
    latin = "".join(_TRANSLITERATION.get(char, char) for char in name.lower())
    slug = re.sub(r"[^a-z0-9]+", "-", latin).strip("-")[:SLUG_MAX_CHARS].strip("-")
    return slug or "workspace"


@dataclass(frozen=True, slots=True)
class NewApiKey:
    """What a program's key is to be. `life_days`: None for ever."""

    name: str
    description: str
    scopes: frozenset[str]
    life_days: int | None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A program's key, without the key itself; people know it by its ends.

    `created_by_name` is None if that person is gone.
    """

    id: UUID
    name: str
    description: str
    key_start: str
    key_end: str
    scopes: tuple[str, ...]
    created_by: UUID | None
    created_by_name: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    def state(self, now: datetime) -> Literal["active", "expired", "revoked"]:
        """Return whether the key still opens anything."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"


def is_held(entered: WebSession, workspace: Workspace) -> bool:
    """Whether the workspace asks for a second factor that this log-in has not shown.

    Its own sign-in provider asks for as many as it likes, and an administrator who looks through somebody's
    eyes has shown their own.
    """
    by_others = entered.workspace_id is not None or entered.impersonator_id is not None
    return workspace.needs_second_factor and not entered.is_strong and not by_others


@dataclass(frozen=True, slots=True)
class Entitlements:
    """What a plan lets a workspace keep and use. A number of None: any; `models` None: whichever is named.

    The installation's own model, which an agent has that names none, is every plan's. `field_updates`:
    whether agents may write fields of the CRM by rules.
    """

    articles_max: int | None
    storage_bytes_max: int
    agents_max: int | None = None
    instructions_max_chars: int = 40_000
    models: frozenset[str] | None = None
    field_updates: bool = True


GIGABYTE = 1024**3
# Until plans are sold every workspace has the largest.
ENTITLEMENTS: Mapping[str, Entitlements] = {
    "free": Entitlements(500, GIGABYTE, 1, 20_000, frozenset({"gpt-4.1", "gpt-5"}), False),
    "premium": Entitlements(
        100_000, 10 * GIGABYTE, 10, 20_000, frozenset({"gpt-4.1", "gpt-5", "gemini-2.5-flash"})
    ),
    "vip": Entitlements(None, 100 * GIGABYTE),
}
