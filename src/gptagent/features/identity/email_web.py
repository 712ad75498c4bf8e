"""The page of one's own e-mail address."""

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.identity import addresses
from gptagent.features.identity.addresses import ChangeEmail
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.identity.model import CurrentLogIn, Links
from gptagent.features.identity.persons import get_person
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, Forbidden, Invalid, RateLimited
from gptagent.kernel.http import access_of, client_address, person_of
from gptagent.kernel.routing import page_router
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

PATH = "/account-settings/email"


@dataclass(frozen=True, slots=True)
class EmailPages:
    db: Database
    pages: Pages
    limits: LoginLimits
    links: Links

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}" + PATH)
        router.get("")(self.form)
        router.post("")(self.change)
        router.post("/verification")(self.send_verification)
        return router

    async def form(self, request: Request) -> Response:
        person_of(request)
        return await self._show(request)

    async def change(self, request: Request) -> Response:
        form, person_id = await request.form(), person_of(request)
        command = ChangeEmail(words(form, "email"), words(form, "password"))
        try:
            await self.limits.check_letter(client_address(request), str(person_id))
            await self.limits.check_recipient(command.email, access_of(request).scope.org_id)
            changed = await addresses.ask_change(
                self.db,
                person_id,
                command,
                links=self.links,
                current=CurrentLogIn(request.state.visitor.session.id),
                origin=access_of(request).scope.origin,
            )
        except (Invalid, Conflict, RateLimited) as error:
            return await self._show(request, error, command.email)
        except Forbidden as error:
            if error.code != "confirmation_needed":
                raise
            base = base_of(request)
            return self.pages.redirect(f"{base}/account-settings/confirm?next={base}{PATH}")
        sent = Notice(
            "info", "Open the letter at the new address.", "The address changes once you follow its link."
        )
        done = Notice("success", "Your e-mail address was changed.", "Log in with the new one.")
        return self.pages.redirect(base_of(request) + PATH, done if changed else sent)

    async def send_verification(self, request: Request) -> Response:
        person_id = person_of(request)
        try:
            await self.limits.check_letter(client_address(request), str(person_id))
            org_id = access_of(request).scope.org_id
            await addresses.send_verification(self.db, person_id, self.links, self.limits, org_id=org_id)
        except AppError as error:
            return await self._show(request, error)
        sent = Notice("success", "The letter is on its way.", "Its link works for 24 hours.")
        return self.pages.redirect(base_of(request) + PATH, sent)

    async def _show(self, request: Request, error: AppError | None = None, email: str = "") -> Response:
        async with self.db.session(access_of(request).scope) as session:
            shell = await self.pages.shell(request, session)
            person = await get_person(session, person_of(request))
        return self.pages.show(
            request,
            "identity/email.html",
            shell,
            status=(422 if error.fields else error.status) if error else 200,
            person=person,
            sends_letters=self.links.sends_letters,
            email=email,
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
        )
