"""The pages before a workspace: setup, register, log in, log out."""

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gptagent.features.identity import service as identity
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.identity.model import PASSWORD_MIN_CHARS, Links
from gptagent.features.organizations.api import device_of, origin_of
from gptagent.features.organizations.entrance import (
    HOME,
    Entrance,
    keep_language,
    keep_session,
    local_path,
    visitor_of,
)
from gptagent.features.organizations.registration import Register, register
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Forbidden, NotFound
from gptagent.kernel.http import client_address, locale_of, return_cookie, session_cookie
from gptagent.kernel.routing import page_router
from gptagent.ui.web import Notice, Pages, field_errors, message_of, words

__all__ = ["AuthPages", "keep_language", "keep_session", "local_path", "visitor_of"]


@dataclass(frozen=True, slots=True)
class AuthPages:
    db: Database
    pages: Pages
    limits: LoginLimits
    is_open: bool
    links: Links
    provider: tuple[str, str] | None

    @property
    def entrance(self) -> Entrance:
        return Entrance(self.db, self.pages)

    def router(self) -> APIRouter:
        router = page_router()
        router.get("/login")(self.login_form)
        router.post("/login")(self.log_in)
        router.get("/register")(self.register_form)
        router.post("/register")(self.register)
        router.get("/setup/{token}")(self.setup_form)
        router.post("/setup/{token}")(self.set_up)
        router.post("/logout")(self.log_out)
        return router

    async def login_form(self, request: Request) -> Response:
        if visitor_of(request):
            return RedirectResponse(HOME, 303)
        async with self.db.installation() as session:
            is_new = not await identity.has_people(session)
        return self._login(request, next=local_path(request.query_params.get("next", "")), is_new=is_new)

    async def log_in(self, request: Request) -> Response:
        form = await request.form()
        email, remember = words(form, "email"), bool(words(form, "remember"))
        target = local_path(words(form, "next"))
        try:
            await self.limits.check(client_address(request), email)
            person_id = await identity.verify_password(
                self.db, email, words(form, "password"), origin=origin_of(request)
            )
        except AppError as error:
            return self._login(request, error, next=target, email=email, remember=remember)
        return await self.entrance.after_password(request, person_id, target, remember=remember)

    def _login(self, request: Request, error: AppError | None = None, **context: object) -> Response:
        known: dict[str, object] = {"email": "", "remember": True, "is_new": False, **context}
        known["failure"] = message_of(request, error) if error else ""
        response = self.pages.show(
            request,
            "organizations/login.html",
            status=error.status if error else 200,
            is_open=self.is_open,
            provider=self.provider,
            **known,
        )
        if error and error.retry_after:
            response.headers["retry-after"] = str(round(error.retry_after))
        return response

    async def register_form(self, request: Request) -> Response:
        if visitor_of(request):
            return RedirectResponse(HOME, 303)
        self._check_open()
        return self._registration(request, "/register")

    async def register(self, request: Request) -> Response:
        self._check_open()
        return await self._register(request, "/register", None)

    def _check_open(self) -> None:
        if not self.is_open:
            raise Forbidden(
                "registration_closed", "Registration is by invitation. Ask the owner of the platform."
            )

    async def setup_form(self, request: Request, token: str) -> Response:
        async with self.db.installation() as session:
            is_open = await identity.setup_is_open(session, token)
        if not is_open:
            return self._setup_closed(request)
        return self._registration(request, f"/setup/{token}")

    async def set_up(self, request: Request, token: str) -> Response:
        try:
            return await self._register(request, f"/setup/{token}", token)
        except NotFound:
            return self._setup_closed(request)

    def _setup_closed(self, request: Request) -> Response:
        return self.pages.show(request, "organizations/setup_closed.html", status=404)

    async def _register(self, request: Request, action: str, setup_token: str | None) -> Response:
        form = await request.form()
        command = Register(
            email=words(form, "email"),
            given_name=words(form, "given_name"),
            family_name=words(form, "family_name"),
            password=words(form, "password"),
            organization=words(form, "organization"),
            locale=locale_of(request),
            setup_token=setup_token,
        )
        try:
            await self.limits.check(client_address(request), command.email)
            person_id, workspace = await register(
                self.db, command, is_open=self.is_open, links=self.links, origin=origin_of(request)
            )
        except AppError as error:
            if isinstance(error, NotFound):
                raise
            return self._registration(request, action, form, error)
        async with self.db.installation(person_id) as session:
            token, _ends = await identity.open_session(
                session, person_id, remember=True, now=utcnow(), device=device_of(request)
            )
        welcome = Notice("success", "Welcome", "This is your workspace. Four steps lead to the first answer.")
        response = self.pages.redirect(f"{workspace.path}/dashboard", welcome)
        keep_session(response, token, remember=True, secure=self.pages.secure)
        return response

    def _registration(
        self, request: Request, action: str, form: FormData | None = None, error: AppError | None = None
    ) -> Response:
        names = ("given_name", "family_name", "organization", "email", "password")
        return self.pages.show(
            request,
            "organizations/register.html",
            status=(422 if error.fields else error.status) if error else 200,
            action=action,
            values={name: words(form, name) if form else "" for name in names},
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            minimum=PASSWORD_MIN_CHARS,
        )

    async def log_out(self, request: Request) -> Response:
        """End the session on the server as well: a copied cookie is worth nothing afterwards."""
        visitor = visitor_of(request)
        if visitor is not None:
            async with self.db.installation(visitor.session.person_id) as session:
                await identity.end_session(session, visitor.session.id)
        response = self.pages.redirect("/login", Notice("success", "You are logged out."))
        own = return_cookie(secure=self.pages.secure)
        response.delete_cookie(own, secure=self.pages.secure, httponly=True, samesite="lax")
        response.headers["clear-site-data"] = '"cache", "storage"'
        response.delete_cookie(
            session_cookie(secure=self.pages.secure), secure=self.pages.secure, httponly=True, samesite="lax"
        )
        return response
