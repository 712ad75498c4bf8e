"""Administration of people over REST: by the token of an administrator, or by a key of the platform."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from gptagent.features.admin import service
from gptagent.features.admin.api import MAX_NUMBER, ReasonBody, Search
from gptagent.features.admin.guard import check_grant
from gptagent.features.admin.impersonation import Impersonate, begin_impersonation, end_impersonation
from gptagent.features.admin.model import IMPERSONATION_LIFE, PersonRow
from gptagent.features.admin.reset_links import make_reset_link
from gptagent.features.identity.model import Links, name_device
from gptagent.features.identity.tokens import AccessClaims, AccessTokens
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import Body, CurrentScope, Wire, person_of
from gptagent.kernel.paging import Order, Page, page_of
from gptagent.kernel.rest import api_router

BY_ID = {"-id": Order("-id", "person_id", "text", descending=True)}


class ImpersonationBody(Body):
    """`workspace` is the number of the only one that is entered."""

    workspace: Annotated[int, Field(ge=1, le=MAX_NUMBER)]
    reason: str


class ResetLinkBody(Body):
    """`link`: the answer has it, this once. `letter`: the person gets it, and nobody else sees it."""

    by: Literal["link", "letter"]


class PersonOut(Wire):
    id: UUID
    full_name: str
    email: str
    created_at: datetime
    suspended_at: datetime | None
    erased_at: datetime | None
    is_platform_admin: bool
    workspaces: int
    last_seen_at: datetime | None
    has_second_factor: bool


class WorkspaceOut(Wire):
    """`is_open`: the person can enter it."""

    number: int
    name: str
    role: str
    status: str
    is_open: bool


class WorkspacesOut(Wire):
    items: list[WorkspaceOut]


class PeopleOut(Wire):
    items: list[PersonOut]
    next_cursor: str | None


class ImpersonationOut(Wire):
    """The token is not renewed: ask for another one, with a reason."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - RFC 6749's word
    expires_in: int
    workspace: int


class ResetLinkOut(Wire):
    """`link` is null if a letter took it along."""

    link: str | None


@dataclass(frozen=True, slots=True)
class PeopleApi:
    db: Database
    tokens: AccessTokens
    links: Links

    async def confirmed(self, request: Request) -> None:
        """Dependency of all operations. Raises Forbidden."""
        await check_grant(request, self.db)

    def router(self) -> APIRouter:
        router = api_router("/admin/people", tags=["administration"])
        router.dependencies.append(Depends(self.confirmed))
        router.get("", summary="List people")(self.people)
        router.get("/{person_id}", summary="Get a person")(self.person)
        router.get("/{person_id}/workspaces", summary="List the workspaces of a person")(self.workspaces)
        place = "/{person_id}/suspension"
        router.put(place, status_code=204, summary="Suspend a person")(self.suspend_person)
        router.delete(place, status_code=204, summary="Lift their suspension")(self.resume_person)
        place = "/{person_id}/administrator"
        router.put(place, status_code=204, summary="Make an administrator of the platform")(self.appoint)
        router.delete(place, status_code=204, summary="Withdraw that")(self.dismiss)
        place = "/{person_id}/impersonation"
        router.post(place, summary="See with a person's eyes")(self.impersonate)
        router.delete(place, status_code=204, summary="Stop that")(self.stop)
        router.post("/{person_id}/reset-link", summary="Make a link to a new password")(self.reset_link)
        return router

    async def people(
        self, scope: CurrentScope, page: Annotated[Page, page_of(BY_ID, "-id")], search: Search = ""
    ) -> PeopleOut:
        """Return people by the exact address or the beginning of the name, the newest first."""
        require(scope, policy.PLATFORM_VIEW)
        before = UUID(page.after[1]) if page.after else None
        async with self.db.session(scope) as session:
            rows = await service.list_people(session, search, before=before, limit=page.limit + 1)
        items, after = page.cut(rows, lambda row: (str(row.person_id), row.person_id))
        return PeopleOut(items=[_person(row) for row in items], next_cursor=after)

    async def person(self, scope: CurrentScope, person_id: UUID) -> PersonOut:
        require(scope, policy.PLATFORM_VIEW)
        async with self.db.session(scope) as session:
            return _person(await service.get_person(session, person_id))

    async def workspaces(self, scope: CurrentScope, person_id: UUID) -> WorkspacesOut:
        require(scope, policy.PLATFORM_VIEW)
        async with self.db.session(scope) as session:
            await service.get_person(session, person_id)
            found = await service.list_memberships(session, person_id)
        return WorkspacesOut(items=[WorkspaceOut.model_validate(one) for one in found])

    async def suspend_person(self, scope: CurrentScope, person_id: UUID, body: ReasonBody) -> None:
        """Every log-in, token and open stream of theirs ends, and no new log-in succeeds."""
        require(scope, policy.PLATFORM_MANAGE)
        async with self.db.session(scope) as session:
            await service.suspend_person(session, person_id, body.reason)

    async def resume_person(self, scope: CurrentScope, person_id: UUID) -> None:
        require(scope, policy.PLATFORM_MANAGE)
        async with self.db.session(scope) as session:
            await service.resume_person(session, person_id)

    async def appoint(self, scope: CurrentScope, person_id: UUID) -> None:
        require(scope, policy.PLATFORM_MANAGE)
        async with self.db.session(scope) as session:
            await service.appoint_administrator(session, person_id)

    async def dismiss(self, scope: CurrentScope, person_id: UUID) -> None:
        """Take the right and all that came by it. The last administrator stays."""
        require(scope, policy.PLATFORM_MANAGE)
        async with self.db.session(scope) as session:
            await service.dismiss_administrator(session, person_id)

    async def impersonate(
        self, request: Request, scope: CurrentScope, person_id: UUID, body: ImpersonationBody
    ) -> ImpersonationOut:
        """Return a token that is the person's in one workspace, for an hour at most, for a reason.

        The owners see it in their audit, the person in their log-ins. It changes nothing of the account.
        """
        require(scope, policy.PLATFORM_IMPERSONATE)
        now = utcnow()
        device = name_device(request.headers.get("user-agent", ""))
        command = Impersonate(person_id, body.workspace, body.reason, device)
        begun = await begin_impersonation(self.db, scope, command, now=now)
        claims = AccessClaims(person_id, begun.org_id, begun.session_id, person_of(request))
        return ImpersonationOut(
            access_token=self.tokens.issue(claims, now=now, life=IMPERSONATION_LIFE),
            expires_in=int(IMPERSONATION_LIFE.total_seconds()),
            workspace=begun.place.number,
        )

    async def stop(self, scope: CurrentScope, person_id: UUID) -> None:
        """End what you have begun with this person's eyes, over the API or in a browser."""
        require(scope, policy.PLATFORM_IMPERSONATE)
        await end_impersonation(self.db, scope, person_id)

    async def reset_link(self, scope: CurrentScope, person_id: UUID, body: ResetLinkBody) -> ResetLinkOut:
        """Make a link that works once, for an hour. Older ones are void. Not for administrators' accounts."""
        require(scope, policy.PLATFORM_MANAGE)
        by_letter = body.by == "letter"
        link = await make_reset_link(self.db, scope, person_id, self.links, by_letter=by_letter)
        return ResetLinkOut(link=link)


def _person(row: PersonRow) -> PersonOut:
    fields = asdict(row)
    return PersonOut(id=fields.pop("person_id"), **fields)
