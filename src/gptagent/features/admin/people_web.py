"""The pages of administration about people, and looking through their eyes."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.admin import service
from gptagent.features.admin.guard import confirm_href, confirmed, is_confirmed, session_of
from gptagent.features.admin.impersonation import Impersonate, begin_impersonation
from gptagent.features.admin.model import IMPERSONATION_LIFE, PAGE_SIZE, REASON_MAX_CHARS
from gptagent.features.admin.reset_links import make_reset_link
from gptagent.features.identity import service as identity
from gptagent.features.identity.model import RESET_LIFE, Links, name_device
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import AppError, NotFound
from gptagent.kernel.http import CurrentScope, QueryText, return_cookie, session_cookie
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, field_errors, message_of, words

SEE_OTHER = 303
Verb = Callable[[Session, UUID], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class PeoplePages:
    db: Database
    pages: Pages
    links: Links

    def router(self) -> APIRouter:
        router = page_router("/admin/people", dependencies=[Depends(confirmed)])
        router.get("")(self.list)
        router.get("/{person_id}")(self.detail)
        router.post("/{person_id}/suspend")(self.suspend)
        router.post("/{person_id}/resume")(self.resume)
        router.post("/{person_id}/appoint")(self.appoint)
        router.post("/{person_id}/dismiss")(self.dismiss)
        router.post("/{person_id}/impersonate")(self.impersonate)
        router.post("/{person_id}/reset-link")(self.reset_link)
        return router

    async def list(
        self, request: Request, scope: CurrentScope, q: QueryText = "", before: UUID | None = None
    ) -> Response:
        require(scope, policy.PLATFORM_VIEW)
        async with self.db.session(scope) as session:
            rows = await service.list_people(session, q, before=before, limit=PAGE_SIZE + 1)
            shell = await self.pages.shell(request, session)
        older = rows[PAGE_SIZE - 1].person_id if len(rows) > PAGE_SIZE else None
        return self.pages.show(
            request, "admin/people.html", shell, rows=rows[:PAGE_SIZE], older=older, q=q, before=before
        )

    async def detail(self, request: Request, scope: CurrentScope, person_id: UUID) -> Response:
        require(scope, policy.PLATFORM_VIEW)
        return await self._detail(request, scope, person_id)

    async def suspend(self, request: Request, scope: CurrentScope, person_id: UUID) -> Response:
        require(scope, policy.PLATFORM_MANAGE)
        reason = words(await request.form(), "reason")
        verb = partial(service.suspend_person, reason=reason)
        done = "The person is out: every log-in of theirs has ended."
        return await self._act(request, scope, person_id, verb, done, suspend_reason=reason)

    async def resume(self, request: Request, scope: CurrentScope, person_id: UUID) -> Response:
        require(scope, policy.PLATFORM_MANAGE)
        done = "The person can log in again."
        return await self._act(request, scope, person_id, service.resume_person, done)

    async def appoint(self, request: Request, scope: CurrentScope, person_id: UUID) -> Response:
        require(scope, policy.PLATFORM_MANAGE)
        done = "The person administers the platform now."
        return await self._act(request, scope, person_id, service.appoint_administrator, done)

    async def dismiss(self, request: Request, scope: CurrentScope, person_id: UUID) -> Response:
        require(scope, policy.PLATFORM_MANAGE)
        done = "The person administers the platform no more."
        answer = await self._act(request, scope, person_id, service.dismiss_administrator, done)
        if person_id == scope.actor.id and answer.status_code == SEE_OTHER:
            return self.pages.redirect("/manage", Notice("success", "You administer the platform no more."))
        return answer

    async def impersonate(self, request: Request, scope: CurrentScope, person_id: UUID) -> Response:
        """Change over to the person; the administrator's own log-in waits in a cookie of its own."""
        require(scope, policy.PLATFORM_IMPERSONATE)
        form = await request.form()
        number, reason = words(form, "workspace"), words(form, "reason")
        device = name_device(request.headers.get("user-agent", ""))
        chosen = int(number) if number.isascii() and number.isdecimal() and len(number) < 18 else 0
        command = Impersonate(person_id, chosen, reason, device)
        try:
            begun = await begin_impersonation(self.db, scope, command, now=utcnow())
        except NotFound:
            raise
        except AppError as error:
            return await self._detail(
                request, scope, person_id, error, impersonate_reason=reason, workspace=number
            )
        place = begun.place
        response = self.pages.redirect(f"/manage/{place.number}-{place.slug}/dashboard")
        own = request.cookies[session_cookie(secure=self.pages.secure)]
        _keep(response, return_cookie(secure=self.pages.secure), own, self.pages)
        _keep(response, session_cookie(secure=self.pages.secure), begun.token, self.pages)
        return response

    async def reset_link(self, request: Request, scope: CurrentScope, person_id: UUID) -> Response:
        """Show the link in the answer itself: it is kept nowhere, so there is nothing to be led to."""
        require(scope, policy.PLATFORM_MANAGE)
        by_letter = words(await request.form(), "by") == "letter"
        try:
            link = await make_reset_link(self.db, scope, person_id, self.links, by_letter=by_letter)
        except NotFound:
            raise
        except AppError as error:
            return await self._detail(request, scope, person_id, error)
        if link is None:
            return self._done(person_id, "The letter with the link is on its way.")
        return await self._detail(request, scope, person_id, link=link)

    async def _act(
        self, request: Request, scope: Scope, person_id: UUID, verb: Verb, done: str, **typed: str
    ) -> Response:
        try:
            async with self.db.session(scope) as session:
                await verb(session, person_id)
        except NotFound:
            raise
        except AppError as error:
            return await self._detail(request, scope, person_id, error, **typed)
        return self._done(person_id, done)

    def _done(self, person_id: UUID, sentence: str) -> Response:
        return self.pages.redirect(f"/admin/people/{person_id}", Notice("success", sentence))

    async def _detail(
        self,
        request: Request,
        scope: Scope,
        person_id: UUID,
        error: AppError | None = None,
        *,
        link: str = "",
        **typed: str,
    ) -> Response:
        async with self.db.session(scope) as session:
            person = await service.get_person(session, person_id)
            memberships = await service.list_memberships(session, person_id)
            shell = await self.pages.shell(request, session)
        values: dict[str, Any] = {"suspend_reason": "", "impersonate_reason": "", "workspace": "", **typed}
        return self.pages.show(
            request,
            "admin/person.html",
            shell,
            status=error.status if error else 200,
            person=person,
            memberships=memberships,
            is_self=person_id == scope.actor.id,
            reason_max=REASON_MAX_CHARS,
            failure=message_of(request, error) if error and not error.fields else "",
            errors=field_errors(request, error) if error else {},
            is_confirmed=is_confirmed(request),
            confirm_href=confirm_href(request),
            link=link,
            link_minutes=int(RESET_LIFE.total_seconds() // 60),
            sends_letters=self.links.sends_letters,
            values=values,
        )


@dataclass(frozen=True, slots=True)
class ImpersonationPages:
    """The way back. It lies outside of /admin, where nobody comes with somebody else's eyes."""

    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router()
        router.post("/impersonation/stop")(self.stop)
        return router

    async def stop(self, request: Request) -> Response:
        """End it, and return to the administrator's own log-in if that has not ended meanwhile."""
        borrowed = session_of(request)
        if borrowed.impersonator_id is None:
            raise NotFound
        async with self.db.installation(borrowed.person_id) as session:
            await identity.end_session(session, borrowed.id)
        names = {
            "own": return_cookie(secure=self.pages.secure),
            "session": session_cookie(secure=self.pages.secure),
        }
        token = request.cookies.get(names["own"], "")
        async with self.db.installation() as session:
            own = await identity.find_session(session, token)
        is_back = own is not None and own.person_id == borrowed.impersonator_id
        ended = Notice("success", "You see with your own eyes again.")
        response = self.pages.redirect(f"/admin/people/{borrowed.person_id}" if is_back else "/login", ended)
        response.delete_cookie(names["own"], secure=self.pages.secure, httponly=True, samesite="lax")
        if own is not None and is_back:
            left = max(1, int((own.expires_at - utcnow()).total_seconds()))
            _keep(response, names["session"], token, self.pages, seconds=left)
        else:
            response.delete_cookie(names["session"], secure=self.pages.secure, httponly=True, samesite="lax")
        return response


def _keep(response: Response, name: str, token: str, pages: Pages, *, seconds: int = 0) -> None:
    life = seconds or int(IMPERSONATION_LIFE.total_seconds())
    response.set_cookie(name, token, life, secure=pages.secure, httponly=True, samesite="lax")
