"""Pages for who forgot a password, and for the links of letters. None of them needs a log-in."""

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.identity import addresses, recovery
from gptagent.features.identity.addresses import Kind
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.identity.model import PASSWORD_MIN_CHARS, Links
from gptagent.features.identity.recovery import NewPassword
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Invalid, NotFound
from gptagent.kernel.http import client_address
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Origin
from gptagent.ui.web import Notice, Pages, field_errors, message_of, words

NOTICES: dict[Kind, Notice] = {
    "verify_email": Notice("success", "Your e-mail address is confirmed."),
    "change_email": Notice("success", "Your e-mail address was changed.", "Log in with the new one."),
}


@dataclass(frozen=True, slots=True)
class RecoveryPages:
    db: Database
    pages: Pages
    limits: LoginLimits
    links: Links

    def router(self) -> APIRouter:
        router = page_router()
        router.get("/reset-password/request")(self.request_form)
        router.post("/reset-password/request")(self.request)
        router.get("/reset-password/{token}")(self.reset_form)
        router.post("/reset-password/{token}")(self.reset)
        router.get("/verify-email/{token}")(self.verify_form)
        router.post("/verify-email/{token}")(self.verify)
        router.get("/change-email/{token}")(self.change_form)
        router.post("/change-email/{token}")(self.change)
        return router

    async def request_form(self, request: Request) -> Response:
        return self._request(request)

    async def request(self, request: Request) -> Response:
        """Answer alike whether there is such an account."""
        email = words(await request.form(), "email")
        if not self.links.sends_letters:
            return self._request(request)
        try:
            await self.limits.check_letter(client_address(request), email)
            await recovery.ask_reset(self.db, email, self.links)
        except AppError as error:
            return self._request(request, error, email=email)
        return self.pages.show(request, "identity/reset_sent.html", email=email)

    def _request(self, request: Request, error: AppError | None = None, email: str = "") -> Response:
        response = self.pages.show(
            request,
            "identity/reset_request.html",
            status=error.status if error else 200,
            sends_letters=self.links.sends_letters,
            failure=message_of(request, error) if error else "",
            email=email,
        )
        if error and error.retry_after:
            response.headers["retry-after"] = str(round(error.retry_after))
        return response

    async def reset_form(self, request: Request, token: str) -> Response:
        async with self.db.installation() as session:
            is_open = await recovery.reset_is_open(session, token)
        return self._reset(request, token) if is_open else self._closed(request, "/reset-password/request")

    async def reset(self, request: Request, token: str) -> Response:
        command = NewPassword(token, words(await request.form(), "password"))
        try:
            await recovery.reset_password(self.db, command, links=self.links, origin=origin_of(request))
        except NotFound:
            return self._closed(request, "/reset-password/request")
        except Invalid as error:
            return self._reset(request, token, error)
        done = Notice("success", "Your password was changed.", "All devices were logged out. Log in with it.")
        return self.pages.redirect("/login", done)

    def _reset(self, request: Request, token: str, error: Invalid | None = None) -> Response:
        return self.pages.show(
            request,
            "identity/reset_password.html",
            status=error.status if error else 200,
            action=f"/reset-password/{token}",
            errors=field_errors(request, error) if error else {},
            minimum=PASSWORD_MIN_CHARS,
        )

    async def verify_form(self, request: Request, token: str) -> Response:
        return await self._link_form(request, "verify_email", token)

    async def verify(self, request: Request, token: str) -> Response:
        return await self._use_link(request, "verify_email", token)

    async def change_form(self, request: Request, token: str) -> Response:
        return await self._link_form(request, "change_email", token)

    async def change(self, request: Request, token: str) -> Response:
        return await self._use_link(request, "change_email", token)

    async def _link_form(self, request: Request, kind: Kind, token: str) -> Response:
        """Show a button: programs that look through mail open links, but press nothing."""
        async with self.db.installation() as session:
            is_open = await addresses.link_is_open(session, kind, token)
        if not is_open:
            return self._closed(request, "/login")
        action = f"/{addresses.PATHS[kind]}/{token}"
        return self.pages.show(
            request, "identity/confirm_link.html", action=action, is_change=kind == "change_email"
        )

    async def _use_link(self, request: Request, kind: Kind, token: str) -> Response:
        try:
            await addresses.use_link(self.db, kind, token, origin=origin_of(request))
        except (NotFound, Invalid):
            return self._closed(request, "/login")
        return self.pages.redirect("/login", NOTICES[kind])

    def _closed(self, request: Request, again: str) -> Response:
        return self.pages.show(request, "identity/link_closed.html", status=404, again=again)


def origin_of(request: Request) -> Origin:
    """Return where a request without a log-in comes from."""
    return Origin(request_id=request.state.request_id, address=client_address(request))
