"""The pages of a log-in beside the password: the code after it, the passkey instead of it."""

from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from gptagent.features.identity import service as identity
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.identity.model import RelyingParty
from gptagent.features.organizations.api import origin_of
from gptagent.features.organizations.entrance import HOME, Entrance, forget_pending, local_path, pending_of
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError
from gptagent.kernel.http import client_address
from gptagent.kernel.routing import page_router
from gptagent.ui.web import Notice, Pages, message_of, words


@dataclass(frozen=True, slots=True)
class LoginSteps:
    db: Database
    pages: Pages
    limits: LoginLimits
    party: RelyingParty

    def router(self) -> APIRouter:
        router = page_router()
        router.get("/login/code")(self.code_form)
        router.post("/login/code")(self.give_code)
        router.post("/login/passkey/options")(self.passkey_options)
        router.post("/login/passkey")(self.use_passkey)
        return router

    async def code_form(self, request: Request) -> Response:
        if request.state.visitor:
            return RedirectResponse(HOME, 303)
        async with self.db.installation() as session:
            pending = await identity.find_pending(session, self._token(request))
        if pending is None:
            return self._expired()
        return self._code_page(request)

    async def give_code(self, request: Request) -> Response:
        """Let in whose password was right before and whose code is right now. Every try counts."""
        token = self._token(request)
        async with self.db.installation() as session:
            pending = await identity.find_pending(session, token)
        if pending is None:
            return self._expired()
        code = words(await request.form(), "code")
        try:
            async with self.db.installation(pending.person_id) as session:
                person = await identity.get_person(session, pending.person_id)
            await self.limits.check(client_address(request), person.email)
            async with self.db.installation(pending.person_id) as session:
                factor = await identity.finish_second_step(session, token, pending, code, now=utcnow())
        except AppError as error:
            if error.code == "wrong_code":
                await identity.record_refusal(self.db, pending.person_id, origin_of(request))
            return self._code_page(request, error)
        return await Entrance(self.db, self.pages).let_in(
            request, pending.person_id, pending.target, method=factor, remember=pending.remember
        )

    def _token(self, request: Request) -> str:
        return pending_of(request, secure=self.pages.secure)

    def _code_page(self, request: Request, error: AppError | None = None) -> Response:
        response = self.pages.show(
            request,
            "organizations/login_code.html",
            status=error.status if error else 200,
            error=message_of(request, error) if error else "",
        )
        if error and error.retry_after:
            response.headers["retry-after"] = str(round(error.retry_after))
        return response

    def _expired(self) -> Response:
        response = self.pages.redirect("/login", Notice("warning", "This took too long. Log in again."))
        forget_pending(response, secure=self.pages.secure)
        return response

    async def passkey_options(self, request: Request) -> Response:
        """Ask the browser for any passkey of this platform. Each question counts as a try."""
        await self.limits.check_address(client_address(request))
        async with self.db.installation() as session:
            return JSONResponse(await identity.ask_for_passkey(session, self.party))

    async def use_passkey(self, request: Request) -> Response:
        form = await request.form()
        remember, target = bool(words(form, "remember")), local_path(words(form, "next"))
        credential = read_credential(words(form, "credential"))
        try:
            person_id = await identity.log_in_with_passkey(self.db, credential, self.party)
        except AppError as error:
            return self.pages.redirect("/login", Notice("danger", error.message))
        return await Entrance(self.db, self.pages).let_in(
            request, person_id, target, method="passkey", remember=remember
        )


def read_credential(text: str) -> dict[str, Any]:
    """Return what a script put into a form; anything odd counts as nothing."""
    try:
        found = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
