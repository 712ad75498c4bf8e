"""The page an invitation's link opens: the link is the credential, and says nothing once it is used."""

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.identity import service as identity
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.identity.model import PASSWORD_MIN_CHARS, Links
from gptagent.features.identity.service import NewPerson
from gptagent.features.organizations import service
from gptagent.features.organizations.api import device_of, origin_of
from gptagent.features.organizations.model import Offer, Workspace
from gptagent.features.organizations.web import keep_session, visitor_of
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, NotFound, RateLimited
from gptagent.kernel.http import client_address, locale_of
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Actor, Origin
from gptagent.ui.web import Notice, Pages, field_errors, message_of, words


@dataclass(frozen=True, slots=True)
class InvitationPages:
    db: Database
    pages: Pages
    limits: LoginLimits
    links: Links

    def router(self) -> APIRouter:
        router = page_router("/invitation/{token}")
        router.get("")(self.show)
        router.post("")(self.accept)
        router.post("/register")(self.register)
        return router

    async def show(self, request: Request, token: str) -> Response:
        await self.limits.check_link(client_address(request))
        return await self._page(request, token)

    async def accept(self, request: Request, token: str) -> Response:
        """Let the person who is logged in into the workspace."""
        await self.limits.check_link(client_address(request))
        visitor = visitor_of(request)
        if visitor is None or visitor.session.workspace_id is not None:
            return await self._page(request, token)
        actor = Actor("person", visitor.session.person_id, visitor.session.impersonator_id)
        origin = Origin(actor, request.state.request_id, client_address(request))
        try:
            workspace = await service.accept_invitation(self.db, token, origin)
        except AppError as error:
            return await self._page(request, token, error=error)
        return self._entered(workspace)

    async def register(self, request: Request, token: str) -> Response:
        """Create a person by the invitation, whether registration is open or not."""
        form = await request.form()
        person = NewPerson(
            words(form, "email"),
            words(form, "given_name"),
            words(form, "password"),
            locale_of(request),
            family_name=words(form, "family_name"),
        )
        try:
            await self.limits.check_link(client_address(request))
            person_id, workspace = await service.accept_as_newcomer(
                self.db, token, person, origin_of(request), self.links
            )
        except RateLimited:
            raise
        except AppError as error:
            return await self._page(request, token, form=form, error=error)
        async with self.db.installation(person_id) as session:
            cookie, _ends = await identity.open_session(
                session, person_id, remember=True, now=utcnow(), device=device_of(request)
            )
        response = self._entered(workspace)
        keep_session(response, cookie, secure=self.pages.secure, remember=True)
        return response

    def _entered(self, workspace: Workspace) -> Response:
        welcome = Notice("success", "Welcome to {name}", params={"name": workspace.name})
        return self.pages.redirect(f"{workspace.path}/dashboard", welcome)

    async def _page(
        self, request: Request, token: str, *, form: FormData | None = None, error: AppError | None = None
    ) -> Response:
        visitor = visitor_of(request)
        try:
            offer, name = await self._read(token, request)
        except NotFound:
            return self.pages.show(request, "organizations/invitation_closed.html", status=404)
        names = ("given_name", "family_name", "email")
        return self.pages.show(
            request,
            "organizations/invitation.html",
            status=(422 if error.fields else error.status) if error else 200,
            offer=offer,
            person_name=name,
            is_limited=visitor is not None and visitor.session.workspace_id is not None,
            token=token,
            values={key: words(form, key) if form else "" for key in names},
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            minimum=PASSWORD_MIN_CHARS,
        )

    async def _read(self, token: str, request: Request) -> tuple[Offer, str]:
        """Return the invitation and the name of who is logged in, empty for nobody."""
        visitor = visitor_of(request)
        async with self.db.installation(visitor.session.person_id if visitor else None) as session:
            offer = await service.find_offer(session, token)
            person = await identity.get_person(session, visitor.session.person_id) if visitor else None
        return offer, person.full_name if person else ""
