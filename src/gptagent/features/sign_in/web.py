"""Pages of signing in by a provider: begin, come back, a workspace's own log-in page, linking."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.identity.limits import LoginLimits
from gptagent.features.organizations.account.guard import ask_to_confirm
from gptagent.features.organizations.entrance import HOME, Entrance, visitor_of
from gptagent.features.sign_in import service
from gptagent.features.sign_in.model import STATE_LIFE
from gptagent.features.sign_in.service import Arrived, Returned, SignIn
from gptagent.kernel.errors import AppError, Forbidden, UpstreamUnavailable
from gptagent.kernel.http import QueryText, access_of, client_address, person_of
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Origin
from gptagent.ui.web import Notice, Pages, base_of, message_of

LINKED_PATH = "/account-settings/sign-in"


@dataclass(frozen=True, slots=True)
class SignInPages:
    door: SignIn
    pages: Pages
    limits: LoginLimits

    def router(self) -> APIRouter:
        router = page_router()
        router.get("/login/{number}")(self.buttons)
        router.get("/sign-in/callback")(self.come_back)
        router.get("/sign-in/{provider_id}")(self.begin)
        router.get("/manage/{workspace}" + LINKED_PATH)(self.linked)
        router.post("/manage/{workspace}" + LINKED_PATH + "/{provider_id}")(self.link)
        router.post("/manage/{workspace}" + LINKED_PATH + "/{provider_id}/unlink")(self.unlink)
        return router

    @property
    def cookie(self) -> str:
        return "__Host-oidc" if self.pages.secure else "oidc"

    async def buttons(self, request: Request, number: str) -> Response:
        """Show the providers of one workspace. A number of none looks like one without providers."""
        async with self.door.db.installation() as session:
            known = number.isdecimal() and len(number) <= 18  # of a bigint
            found = await service.list_buttons(session, int(number)) if known else []
        return self.pages.show(request, "sign_in/buttons.html", providers=found)

    async def begin(self, request: Request, provider_id: UUID) -> Response:
        """Send the browser to the provider."""
        try:
            await self.limits.check_sign_in(client_address(request))
            cookie = request.cookies.get(self.cookie, "")
            begun = await service.begin(self.door, provider_id, cookie=cookie)
        except AppError as error:
            return self._refused(request, error)
        response = self.pages.redirect(begun.address)
        self._keep(response, begun.cookie)
        return response

    async def come_back(
        self, request: Request, state: QueryText = "", code: QueryText = "", iss: QueryText = ""
    ) -> Response:
        """Finish what was begun in this browser."""
        visitor = visitor_of(request)
        person_id = visitor.session.person_id if visitor else None
        returned = Returned(state, code, iss, request.cookies.get(self.cookie, ""), person_id)
        try:
            await self.limits.check_sign_in(client_address(request))
            arrived = await service.finish(self.door, returned, origin=_origin(request))
        except AppError as error:
            return self._refused(request, error)
        return await self._enter(request, arrived)

    async def _enter(self, request: Request, arrived: Arrived) -> Response:
        if arrived.is_link:
            return self.pages.redirect(HOME, Notice("success", "The provider is linked to your account."))
        entrance = Entrance(self.door.db, self.pages)
        response = await entrance.after_provider(
            request, arrived.person_id, HOME, workspace_id=arrived.workspace_id
        )
        response.delete_cookie(self.cookie, secure=self.pages.secure, httponly=True, samesite="lax")
        return response

    async def linked(self, request: Request) -> Response:
        """Show which providers the person may link, and which are linked."""
        person_of(request)
        async with self.door.db.session(access_of(request).scope) as session:
            shell = await self.pages.shell(request, session)
            found = await service.list_offered(self.door, session)
            linked = await service.list_linked(session)
        return self.pages.show(
            request,
            "sign_in/linked.html",
            shell,
            providers=[(provider_id, name, provider_id in linked) for provider_id, name in found],
            may_link=_may_link(request),
        )

    async def link(self, request: Request, provider_id: UUID) -> Response:
        """Begin to link. The page has a link instead of a redirect: forms may not lead to other hosts."""
        person_id = person_of(request)
        if way := self._ask(request):
            return way
        async with self.door.db.session(access_of(request).scope) as session:
            shell = await self.pages.shell(request, session)
            await service.require_offered(self.door, session, provider_id)
        cookie = request.cookies.get(self.cookie, "")
        try:
            begun = await service.begin(self.door, provider_id, cookie=cookie, person_id=person_id)
        except (UpstreamUnavailable, Forbidden):
            away = Notice("danger", "The sign-in provider does not answer now.")
            return self.pages.redirect(base_of(request) + LINKED_PATH, away)
        response = self.pages.show(request, "sign_in/continue.html", shell, address=begun.address)
        self._keep(response, begun.cookie)
        return response

    async def unlink(self, request: Request, provider_id: UUID) -> Response:
        person_id = person_of(request)
        if way := self._ask(request):
            return way
        async with self.door.db.session(access_of(request).scope) as session:
            await service.require_offered(self.door, session, provider_id)
        async with self.door.db.installation(person_id) as session:
            await service.unlink(session, provider_id, person_id, origin=access_of(request).scope.origin)
        return self.pages.redirect(
            base_of(request) + LINKED_PATH, Notice("success", "The provider is not linked any more.")
        )

    def _ask(self, request: Request) -> Response | None:
        """Return the page that asks who the person is, if need be. Raises Forbidden for a limited log-in."""
        if not _may_link(request):
            raise Forbidden("link_refused", "Log in with your password to link a provider.")
        return ask_to_confirm(request, self.pages, base_of(request) + LINKED_PATH)

    def _keep(self, response: Response, cookie: str) -> None:
        response.set_cookie(
            self.cookie,
            cookie,
            int(STATE_LIFE.total_seconds()),
            secure=self.pages.secure,
            httponly=True,
            samesite="lax",
        )

    def _refused(self, request: Request, error: AppError) -> Response:
        response = self.pages.show(
            request, "sign_in/refused.html", status=error.status, message=message_of(request, error)
        )
        if error.retry_after:
            response.headers["retry-after"] = str(max(1, round(error.retry_after)))
        return response


def _may_link(request: Request) -> bool:
    """Whether this log-in is the person's own and reaches further than one workspace's provider."""
    visitor = visitor_of(request)
    return (
        visitor is not None
        and visitor.session.workspace_id is None
        and visitor.session.impersonator_id is None
    )


def _origin(request: Request) -> Origin:
    return Origin(request_id=request.state.request_id, address=client_address(request))
