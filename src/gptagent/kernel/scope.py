"""The only ticket to a tenant's data."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

ActorKind = Literal["person", "system", "crm"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a person of the workspace, the platform itself, or the CRM through its webhook."""

    kind: ActorKind
    id: UUID | None = None


SYSTEM = Actor("system")


@dataclass(frozen=True, slots=True)
class Scope:
    """Tenant, actor and rights of one request or job. Every verb takes it first."""

    org_id: UUID
    actor: Actor = SYSTEM
    permissions: AbstractSet[str] = field(default_factory=frozenset)
    request_id: str = ""

    def key(self, *parts: object) -> str:
        """Return a cache, rate-limit, realtime or blob key that no other tenant can have."""
        return ":".join((self.org_id.hex, *map(str, parts)))
