"""Workspaces, members, roles."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from gptagent.features.identity.model import WebSession

Role = Literal["owner", "admin", "member", "viewer"]
NAME_MAX_CHARS = 255
SLUG_MAX_CHARS = 48
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

    `delete_at`: when it will be deleted, if its owner has asked for that.
    """

    org_id: UUID
    number: int
    slug: str
    name: str
    role: Role
    delete_at: datetime | None = None

    @property
    def path(self) -> str:
        return f"/manage/{self.number}-{self.slug}"


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
