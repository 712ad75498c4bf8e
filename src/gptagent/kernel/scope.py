"""The only ticket to a tenant's data."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

ActorKind = Literal["person", "api_key", "operator", "system", "crm"]

# Stands where a workspace's id would, for what belongs to the whole installation: its audit chain, sign-in
# providers, keys of its administrators. No workspace has it.
PLATFORM_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person, a program with a key, the operator at the command line, the platform itself, or the
    CRM through its webhook. `impersonator` is the administrator behind a person's session.
    """

    kind: ActorKind
    id: UUID | None = None
    impersonator: UUID | None = None


SYSTEM = Actor("system")


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks, through which request, from which network address."""

    actor: Actor = SYSTEM
    request_id: str = ""
    address: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Scope:
    """Tenant, actor and rights of one request or job. Every verb takes it first."""

    org_id: UUID
    actor: Actor = SYSTEM
    permissions: AbstractSet[str] = field(default_factory=frozenset)
    request_id: str = ""
    address: str = field(default="", repr=False)

    @property
    def origin(self) -> Origin:
        return Origin(self.actor, self.request_id, self.address)

    def key(self, *parts: object) -> str:
        """Return a cache, rate-limit, realtime or blob key that no other tenant can have."""
        return ":".join((self.org_id.hex, *map(str, parts)))
