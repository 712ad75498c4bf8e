"""Administration over REST: by the token of an administrator, or by a key of the platform."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request

from gptagent.features.admin import keys, service
from gptagent.features.admin.guard import check_grant
from gptagent.features.admin.model import KEY_LIVES, Installation, OrganizationRow
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import Body, CurrentScope, QueryText, Wire
from gptagent.kernel.paging import Order, Page, page_of
from gptagent.kernel.rest import api_router

MAX_NUMBER = 2**63 - 1
Number = Annotated[int, Path(ge=1, le=MAX_NUMBER)]
BY_NUMBER = {"-number": Order("-number", "number", "number", descending=True, id_type="bigint")}
Search = Annotated[QueryText, Query(max_length=255)]


class ReasonBody(Body):
    reason: str


class NewKeyBody(Body):
    name: str
    scopes: list[str]
    days: int = KEY_LIVES[1]


class OrganizationOut(Wire):
    number: int
    slug: str
    name: str
    created_at: datetime
    suspended_at: datetime | None
    delete_at: datetime | None
    members: int
    agents: int
    last_active_at: datetime | None


class OrganizationsOut(Wire):
    items: list[OrganizationOut]
    next_cursor: str | None


class MemberOut(Wire):
    person_id: UUID
    full_name: str
    email: str
    role: str
    status: str
    is_platform_admin: bool
    is_suspended: bool


class MembersOut(Wire):
    items: list[MemberOut]


class KeyOut(Wire):
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


class KeysOut(Wire):
    items: list[KeyOut]


class NewKeyOut(Wire):
    """`key` is never shown again."""

    id: UUID
    key: str


class InstallationOut(Wire):
    version: str
    environment: str
    public_address: str
    settings: dict[str, bool]
    database_bytes: int
    people: int
    organizations: int
    agents_estimate: int
    messages_estimate: int
    administrators: int


@dataclass(frozen=True, slots=True)
class AdminApi:
    db: Database
    installation: Installation

    async def confirmed(self, request: Request) -> None:
        """Dependency of all operations. Raises Forbidden."""
        await check_grant(request, self.db)

    def router(self) -> APIRouter:
        router = api_router("/admin", tags=["administration"])
        router.dependencies.append(Depends(self.confirmed))
        router.get("/installation", summary="Get facts of the installation")(self.facts)
        router.get("/organizations", summary="List workspaces")(self.organizations)
        router.get("/organizations/{number}", summary="Get a workspace")(self.organization)
        router.get("/organizations/{number}/members", summary="List the members of a workspace")(self.members)
        place = "/organizations/{number}/suspension"
        router.put(place, status_code=204, summary="Suspend a workspace")(self.suspend_organization)
        router.delete(place, status_code=204, summary="Lift its suspension")(self.resume_organization)
        router.get("/keys", summary="List keys of the platform")(self.keys)
        router.post("/keys", status_code=201, summary="Make a key of the platform")(self.create_key)
        router.delete("/keys/{key_id}", status_code=204, summary="Revoke a key of the platform")(
            self.revoke_key
        )
        return router

    async def facts(self, scope: CurrentScope) -> InstallationOut:
        require(scope, policy.PLATFORM_VIEW)
        async with self.db.session(scope) as session:
            figures = await service.get_figures(session)
        known = self.installation
        return InstallationOut(
            version=known.version,
            environment=known.environment,
            public_address=known.public_address,
            settings=dict(known.settings),
            database_bytes=figures.database_bytes,
            people=figures.people,
            organizations=figures.organizations,
            agents_estimate=figures.agents_estimate,
            messages_estimate=figures.messages_estimate,
            administrators=figures.administrators,
        )

    async def organizations(
        self, scope: CurrentScope, page: Annotated[Page, page_of(BY_NUMBER, "-number")], search: Search = ""
    ) -> OrganizationsOut:
        """Return workspaces by a part of the name or by the number, the newest first."""
        require(scope, policy.PLATFORM_VIEW)
        before = int(page.after[1]) if page.after else None
        async with self.db.session(scope) as session:
            rows = await service.list_organizations(session, search, before=before, limit=page.limit + 1)
        items, after = page.cut(rows, lambda row: (row.number, row.number))
        return OrganizationsOut(items=[_organization(row) for row in items], next_cursor=after)

    async def organization(self, scope: CurrentScope, number: Number) -> OrganizationOut:
        require(scope, policy.PLATFORM_VIEW)
        async with self.db.session(scope) as session:
            return _organization(await service.get_organization(session, number))

    async def members(self, scope: CurrentScope, number: Number) -> MembersOut:
        """Return who belongs to it, owners first."""
        require(scope, policy.PLATFORM_VIEW)
        async with self.db.session(scope) as session:
            place = await service.get_organization(session, number)
            found = await service.list_members(session, place.org_id)
        return MembersOut(items=[MemberOut.model_validate(one) for one in found])

    async def suspend_organization(self, scope: CurrentScope, number: Number, body: ReasonBody) -> None:
        """Nobody enters it from now on, and its agents are silent."""
        require(scope, policy.PLATFORM_MANAGE)
        async with self.db.session(scope) as session:
            await service.suspend_organization(session, number, body.reason)

    async def resume_organization(self, scope: CurrentScope, number: Number) -> None:
        require(scope, policy.PLATFORM_MANAGE)
        async with self.db.session(scope) as session:
            await service.resume_organization(session, number)

    async def keys(self, scope: CurrentScope) -> KeysOut:
        require(scope, policy.PLATFORM_VIEW)
        async with self.db.session(scope) as session:
            found = await keys.list_keys(session)
        return KeysOut(items=[KeyOut.model_validate(key) for key in found])

    async def create_key(self, scope: CurrentScope, body: NewKeyBody) -> NewKeyOut:
        require(scope, policy.PLATFORM_MANAGE)
        async with self.db.session(scope) as session:
            key_id, key = await keys.create_key(session, body.name, body.scopes, body.days, now=utcnow())
        return NewKeyOut(id=key_id, key=key)

    async def revoke_key(self, scope: CurrentScope, key_id: UUID) -> None:
        require(scope, policy.PLATFORM_MANAGE)
        async with self.db.session(scope) as session:
            await keys.revoke_key(session, key_id)


def _organization(row: OrganizationRow) -> OrganizationOut:
    fields = asdict(row)
    del fields["org_id"]
    return OrganizationOut(**fields)
