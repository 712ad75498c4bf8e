"""The page of members and invitations. Links are shown in the answer that made them, and nowhere else."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.organizations import policy, service
from gptagent.features.organizations.model import GUEST_ROLES, INVITATION_LIFE, ROLES, Member, Role
from gptagent.features.organizations.service import Made, Post, require
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, Conflict, Forbidden, Invalid, RateLimited
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

Verb = Callable[[Session, UUID], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Row:
    """A member as the reader may see and treat them."""

    member: Member
    is_self: bool
    may_change: bool
    roles: tuple[Role, ...]


@dataclass(frozen=True, slots=True)
class MemberPages:
    db: Database
    pages: Pages
    post: Post

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/settings/members")
        router.get("")(self.list)
        router.post("/invitations")(self.invite)
        router.post("/invitations/{invitation_id}/resend")(self.resend)
        router.post("/invitations/{invitation_id}/revoke")(self.revoke)
        router.post("/leave")(self.leave)
        router.post("/{person_id}/role")(self.change_role)
        router.post("/{person_id}/suspend")(self.suspend)
        router.post("/{person_id}/resume")(self.resume)
        router.post("/{person_id}/remove")(self.remove)
        return router

    async def list(self, request: Request, scope: CurrentScope, part: str = "") -> Response:
        require(scope, policy.VIEW)
        return await self._page(request, scope, part=part)

    async def invite(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.MANAGE_MEMBERS)
        form = await request.form()
        by_link = words(form, "by") == "link"
        typed = {"email": words(form, "email"), "role": words(form, "role"), "by": words(form, "by")}
        try:
            email = None if by_link else typed["email"]
            made = await service.send_invitation(self.db, scope, email, typed["role"], self.post)
        except (Invalid, Conflict, Forbidden, RateLimited) as error:
            return await self._page(request, scope, typed=typed, error=error)
        return await self._made(request, scope, made)

    async def resend(self, request: Request, scope: CurrentScope, invitation_id: UUID) -> Response:
        require(scope, policy.MANAGE_MEMBERS)
        try:
            made = await service.send_invitation_again(self.db, scope, invitation_id, self.post)
        except RateLimited as error:
            return self._refused(request, error)
        return await self._made(request, scope, made)

    async def _made(self, request: Request, scope: Scope, made: Made) -> Response:
        """Show the link in this very answer: it stays in no cookie. A letter's is shown to nobody."""
        if made.link is not None:
            return await self._page(request, scope, link=made.link)
        sent = Notice("success", "The invitation is on its way", "It leaves by e-mail.")
        return self.pages.redirect(f"{base_of(request)}/settings/members", sent)

    async def revoke(self, request: Request, scope: CurrentScope, invitation_id: UUID) -> Response:
        require(scope, policy.MANAGE_MEMBERS)
        async with self.db.session(scope) as session:
            await service.revoke_invitation(session, invitation_id)
        gone = Notice("success", "The invitation is taken back", "Its link does not work any more.")
        return self.pages.redirect(f"{base_of(request)}/settings/members", gone)

    async def leave(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.VIEW)
        try:
            async with self.db.session(scope) as session:
                await service.leave_workspace(session)
        except Conflict as error:
            return self._refused(request, error)
        return self.pages.redirect("/manage", Notice("success", "You have left the workspace"))

    async def change_role(self, request: Request, scope: CurrentScope, person_id: UUID) -> Response:
        require(scope, policy.MANAGE_MEMBERS)
        role = words(await request.form(), "role")

        async def change(session: Session, person_id: UUID) -> None:
            await service.change_role(session, person_id, role)

        return await self._act(request, scope, person_id, change, Notice("success", "The role is changed"))

    async def suspend(self, request: Request, scope: CurrentScope, person_id: UUID) -> Response:
        require(scope, policy.MANAGE_MEMBERS)
        done = Notice("success", "The access is suspended", "Open pages of this person end within seconds.")
        return await self._act(request, scope, person_id, service.suspend_member, done)

    async def resume(self, request: Request, scope: CurrentScope, person_id: UUID) -> Response:
        require(scope, policy.MANAGE_MEMBERS)
        done = Notice("success", "The access is given back")
        return await self._act(request, scope, person_id, service.resume_member, done)

    async def remove(self, request: Request, scope: CurrentScope, person_id: UUID) -> Response:
        require(scope, policy.MANAGE_MEMBERS)
        done = Notice("success", "The person is removed", "Open pages of this person end within seconds.")
        return await self._act(request, scope, person_id, service.remove_member, done)

    async def _act(
        self, request: Request, scope: Scope, person_id: UUID, verb: Verb, done: Notice
    ) -> Response:
        try:
            async with self.db.session(scope) as session:
                await verb(session, person_id)
        except (Invalid, Conflict, Forbidden) as error:
            return self._refused(request, error)
        if person_id == scope.actor.id and verb == service.remove_member:
            return self.pages.redirect("/manage", Notice("success", "You have left the workspace"))
        return self.pages.redirect(f"{base_of(request)}/settings/members", done)

    def _refused(self, request: Request, error: AppError) -> Response:
        """The buttons offered are the allowed ones, so what is refused has changed meanwhile: look again."""
        refused = Notice("danger", error.fields[0].message if error.fields else error.message)
        return self.pages.redirect(f"{base_of(request)}/settings/members", refused)

    async def _page(
        self,
        request: Request,
        scope: Scope,
        *,
        part: str = "",
        typed: dict[str, str] | None = None,
        error: AppError | None = None,
        link: str = "",
    ) -> Response:
        may_manage = policy.MANAGE_MEMBERS in scope.permissions
        async with self.db.session(scope) as session:
            members = await service.list_members(session)
            invitations = await service.list_invitations(session) if may_manage else []
            shell = None if part else await self.pages.shell(request, session)
        rows = _rows(members, scope)
        if part:
            return self.pages.part(
                request,
                "organizations/_members.html",
                rows=rows,
                invitations=invitations,
                may_manage=may_manage,
            )
        return self.pages.show(
            request,
            "organizations/members.html",
            shell,
            status=error.status if error else 200,
            rows=rows,
            invitations=invitations,
            may_manage=may_manage,
            link=link,
            sends_letters=self.post.links.sends_letters,
            typed=typed or {"email": "", "role": "member", "by": "email"},
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            guest_roles=GUEST_ROLES,
            days=INVITATION_LIFE.days,
        )


def _rows(members: list[Member], scope: Scope) -> list[Row]:
    own = next((one.role for one in members if one.person_id == scope.actor.id), None)
    return [
        Row(
            one,
            is_self=one.person_id == scope.actor.id,
            may_change=own is not None and policy.may_change(own, one.role),
            roles=tuple(role for role in ROLES if own is not None and policy.may_change(own, one.role, role)),
        )
        for one in members
    ]
