"""Workspaces, members and invitations over REST."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field, SecretStr

from gptagent.features.organizations import policy, service
from gptagent.features.organizations.account.guard import refuse_borrowed, require_confirmed
from gptagent.features.organizations.model import (
    RESUME_MAX_HOURS,
    GuestRole,
    Member,
    MemberStatus,
    Role,
    Workspace,
    WorkspaceSettings,
)
from gptagent.features.organizations.service import Made, Post, require
from gptagent.kernel.db import Database
from gptagent.kernel.http import Body, CurrentScope, Wire, locale_of, person_of
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, api_router

Language = Literal["ru", "en"]


class NewWorkspaceBody(Body):
    name: str
    locale: Language | None = None


class WorkspacePatch(Body):
    """Fields left out, or null, stay as they are; a new name without a slug makes one.

    `needs_second_factor` is an owner's, who has one: from then on nobody works here without.
    `stop_on_human`: agents fall silent in a chat once a person writes there, and resume
    `resume_after_hours` after the person's last message (0: by hand only), or when a person writes
    `resume_command` there.
    """

    name: str | None = None
    slug: str | None = None
    locale: Language | None = None
    needs_second_factor: bool | None = None
    stop_on_human: bool | None = None
    resume_after_hours: int | None = Field(None, ge=0, le=RESUME_MAX_HOURS)
    resume_command: str | None = None


class DeletionBody(Body):
    """The workspace's name, to show that this one is meant."""

    name: str


class JoinBody(Body):
    token: SecretStr


class MembershipOut(Wire):
    number: int
    slug: str
    name: str
    role: Role
    delete_at: datetime | None

    @classmethod
    def of(cls, workspace: Workspace) -> "MembershipOut":
        return cls(
            number=workspace.number,
            slug=workspace.slug,
            name=workspace.name,
            role=workspace.role,
            delete_at=workspace.delete_at,
        )


class MembershipsOut(Wire):
    items: list[MembershipOut]
    next_cursor: str | None


class SettingsOut(Wire):
    number: int
    slug: str
    name: str
    locale: str
    created_at: datetime
    delete_at: datetime | None
    needs_second_factor: bool
    stop_on_human: bool
    resume_after_hours: int
    resume_command: str


class MemberPatch(Body):
    role: Role | None = None
    status: MemberStatus | None = None


class MemberOut(Wire):
    """`email` and `last_seen_at` are shown to those who manage members, and to the person."""

    person_id: UUID
    full_name: str
    email: str | None
    role: Role
    status: MemberStatus
    joined_at: datetime
    last_seen_at: datetime | None


class MembersOut(Wire):
    items: list[MemberOut]
    next_cursor: str | None


class NewInvitationBody(Body):
    """Without an address whoever has the link is invited."""

    role: GuestRole
    email: str | None = None


class InvitationOut(Wire):
    id: UUID
    email: str | None
    role: GuestRole
    created_at: datetime
    expires_at: datetime


class NewInvitationOut(InvitationOut):
    """`link` is shown this once; null if a letter took it along."""

    link: str | None


class InvitationsOut(Wire):
    items: list[InvitationOut]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class WorkspacesApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("", tags=["workspaces"])
        router.get("/workspaces", summary="List the workspaces one belongs to")(self.list)
        router.post("/workspaces", status_code=201, summary="Create a workspace")(self.create)
        router.post("/workspaces/join", summary="Accept an invitation")(self.join)
        router.get("/workspace", summary="Get the workspace")(self.get)
        router.patch("/workspace", summary="Change the workspace's name, language or access")(self.update)
        router.put("/workspace/deletion", summary="Delete the workspace in seven days")(self.request_deletion)
        router.delete("/workspace/deletion", summary="Keep the workspace")(self.cancel_deletion)
        router.delete("/workspace/membership", status_code=204, summary="Leave the workspace")(self.leave)
        return router

    async def list(
        self,
        request: Request,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.WORKSPACE_ORDERS, "number")],
    ) -> MembershipsOut:
        person_id = person_of(request)
        require(scope, policy.VIEW)
        async with self.db.installation() as session:
            found, after = await service.page_workspaces(session, person_id, page)
        if scope.actor.impersonator is not None:  # who looks through their eyes does so in one workspace
            found = [one for one in found if one.org_id == scope.org_id]
        return MembershipsOut(items=[MembershipOut.of(one) for one in found], next_cursor=after)

    async def create(self, request: Request, scope: CurrentScope, body: NewWorkspaceBody) -> MembershipOut:
        person_id = person_of(request)
        require(scope, policy.VIEW)
        refuse_borrowed(request)
        locale = body.locale or locale_of(request)
        made = await service.open_workspace(
            self.db, body.name, locale=locale, origin=scope.origin, person_id=person_id
        )
        return MembershipOut.of(made)

    async def join(self, request: Request, scope: CurrentScope, body: JoinBody) -> MembershipOut:
        """Accept an invitation by the token in its link. Log in to the workspace for a token of it."""
        person_of(request)
        require(scope, policy.VIEW)
        refuse_borrowed(request)
        joined = await service.accept_invitation(self.db, body.token.get_secret_value(), scope.origin)
        return MembershipOut.of(joined)

    async def get(self, scope: CurrentScope) -> SettingsOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return _settings(await service.get_settings(session))

    async def update(self, scope: CurrentScope, match: CurrentMatch, body: WorkspacePatch) -> SettingsOut:
        require(scope, policy.MANAGE_WORKSPACE)
        if body.needs_second_factor is not None:
            require(scope, policy.OWN_WORKSPACE)
        async with self.db.session(scope) as session:
            if match:
                match.check(_settings(await service.get_settings(session, lock=True)))
            return _settings(await service.update_settings(session, body.model_dump(exclude_none=True)))

    async def request_deletion(
        self, request: Request, scope: CurrentScope, body: DeletionBody
    ) -> SettingsOut:
        """Delete the workspace in seven days, unless an owner takes it back; agents fall silent at once.

        Confirm first that it is you, as for what is sensitive in an account.
        """
        require(scope, policy.OWN_WORKSPACE)
        async with self.db.session(scope) as session:
            await require_confirmed(request, session)
            return _settings(await service.request_deletion(session, body.name))

    async def cancel_deletion(self, scope: CurrentScope) -> SettingsOut:
        require(scope, policy.OWN_WORKSPACE)
        async with self.db.session(scope) as session:
            return _settings(await service.cancel_deletion(session))

    async def leave(self, request: Request, scope: CurrentScope) -> None:
        person_of(request)
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            await service.leave_workspace(session)


def _settings(settings: WorkspaceSettings) -> SettingsOut:
    return SettingsOut.model_validate(settings)


@dataclass(frozen=True, slots=True)
class MembersApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/members", tags=["members"])
        router.get("", summary="List members")(self.list)
        router.get("/{person_id}", summary="Get a member")(self.get)
        router.patch("/{person_id}", summary="Change a member's role, suspend or resume")(self.update)
        router.delete("/{person_id}", status_code=204, summary="Remove a member")(self.remove)
        return router

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.MEMBER_ORDERS, "joined_at")],
        role: Role | None = None,
        status: MemberStatus | None = None,
    ) -> MembersOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            found, after = await service.page_members(session, page, role=role, status=status)
        return MembersOut(items=[_member(one, scope) for one in found], next_cursor=after)

    async def get(self, scope: CurrentScope, person_id: UUID) -> MemberOut:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            return _member(await service.get_member(session, person_id), scope)

    async def update(
        self, scope: CurrentScope, match: CurrentMatch, person_id: UUID, body: MemberPatch
    ) -> MemberOut:
        require(scope, policy.MANAGE_MEMBERS)
        async with self.db.session(scope) as session:
            if match:
                match.check(_member(await service.get_member(session, person_id, lock=True), scope))
            if body.role is not None:
                await service.change_role(session, person_id, body.role)
            if body.status is not None:
                verb = service.suspend_member if body.status == "suspended" else service.resume_member
                await verb(session, person_id)
            return _member(await service.get_member(session, person_id), scope)

    async def remove(self, scope: CurrentScope, match: CurrentMatch, person_id: UUID) -> None:
        require(scope, policy.MANAGE_MEMBERS)
        async with self.db.session(scope) as session:
            if match:
                match.check(_member(await service.get_member(session, person_id, lock=True), scope))
            await service.remove_member(session, person_id)


def _member(member: Member, scope: CurrentScope) -> MemberOut:
    shown = MemberOut.model_validate(member)
    if policy.MANAGE_MEMBERS in scope.permissions or member.person_id == scope.actor.id:
        return shown
    return shown.model_copy(update={"email": None, "last_seen_at": None})


@dataclass(frozen=True, slots=True)
class InvitationsApi:
    db: Database
    post: Post

    def router(self) -> APIRouter:
        router = api_router("/invitations", tags=["invitations"])
        router.get("", summary="List open invitations")(self.list)
        router.post("", status_code=201, summary="Invite somebody")(self.create)
        router.get("/{invitation_id}", summary="Get an open invitation")(self.get)
        router.post("/{invitation_id}/resend", summary="Make a new link")(self.resend)
        router.delete("/{invitation_id}", status_code=204, summary="Take an invitation back")(self.revoke)
        return router

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(service.INVITATION_ORDERS, "-created_at")],
    ) -> InvitationsOut:
        require(scope, policy.MANAGE_MEMBERS)
        async with self.db.session(scope) as session:
            found, after = await service.page_invitations(session, page)
        shown = [InvitationOut.model_validate(one) for one in found]
        return InvitationsOut(items=shown, next_cursor=after)

    async def create(self, scope: CurrentScope, body: NewInvitationBody) -> NewInvitationOut:
        require(scope, policy.MANAGE_MEMBERS)
        made = await service.send_invitation(self.db, scope, body.email, body.role, self.post)
        return _with_link(made)

    async def get(self, scope: CurrentScope, invitation_id: UUID) -> InvitationOut:
        require(scope, policy.MANAGE_MEMBERS)
        async with self.db.session(scope) as session:
            return InvitationOut.model_validate(await service.get_invitation(session, invitation_id))

    async def resend(self, scope: CurrentScope, invitation_id: UUID) -> NewInvitationOut:
        """Make a new link, for a whole week again; the old one is void."""
        require(scope, policy.MANAGE_MEMBERS)
        made = await service.send_invitation_again(self.db, scope, invitation_id, self.post)
        return _with_link(made)

    async def revoke(self, scope: CurrentScope, match: CurrentMatch, invitation_id: UUID) -> None:
        require(scope, policy.MANAGE_MEMBERS)
        async with self.db.session(scope) as session:
            if match:
                current = await service.get_invitation(session, invitation_id)
                match.check(InvitationOut.model_validate(current))
            await service.revoke_invitation(session, invitation_id)


def _with_link(made: Made) -> NewInvitationOut:
    shown = InvitationOut.model_validate(made.invitation).model_dump()
    return NewInvitationOut(**shown, link=made.link)
