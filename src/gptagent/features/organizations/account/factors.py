"""The pages of what a person logs in with beside the password, and the one that asks who they are."""

from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

import segno
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from gptagent.features.identity import service as identity
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.identity.model import PASSKEY_NAME_MAX_CHARS, Proof, RelyingParty, Renewed
from gptagent.features.organizations.account.guard import (
    ACCOUNT,
    SECURITY,
    ask_to_confirm,
    current_log_in,
    refuse_borrowed,
    require_confirmed_page,
    session_of,
)
from gptagent.features.organizations.api import device_of
from gptagent.features.organizations.entrance import keep_session, local_path, use_new_token
from gptagent.features.organizations.login_steps import read_credential
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, Invalid, NotFound, Unauthenticated
from gptagent.kernel.http import CurrentScope, access_of, person_of
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words


@dataclass(frozen=True, slots=True)
class FactorPages:
    db: Database
    pages: Pages
    limits: LoginLimits
    party: RelyingParty

    def router(self) -> APIRouter:
        router = page_router(f"/manage/{{workspace}}{ACCOUNT}")
        router.get("/second-step")(self.second_step)
        router.get("/confirm")(self.confirm_form)
        router.post("/confirm")(self.confirm)
        router.post("/confirm/passkey")(self.confirm_options)
        router.get("/security/totp")(self.totp_form)
        router.post("/security/totp")(self.enable_totp)
        router.post("/security/totp/disable")(self.disable_totp)
        router.post("/security/recovery-codes")(self.renew_codes)
        router.get("/security/passkeys/add")(self.passkey_form)
        router.post("/security/passkeys/options")(self.passkey_options)
        router.post("/security/passkeys/add")(self.add_passkey)
        router.post("/security/passkeys/{passkey_id}/remove")(self.remove_passkey)
        return router

    async def second_step(self, request: Request, scope: CurrentScope) -> Response:
        """Lead whoever came in by one factor, where two are asked for, to the second."""
        person_id = person_of(request)
        target = local_path(request.query_params.get("next", ""))
        async with self.db.session(scope) as session:
            has_one = await identity.has_any_factor(session, person_id)
            shell = await self.pages.shell(request, session)
        if has_one:
            return RedirectResponse(
                f"{base_of(request)}{ACCOUNT}/confirm?next={quote(target, safe='/')}", 303
            )
        return self.pages.show(request, "organizations/account/second_step.html", shell)

    async def confirm_form(self, request: Request, scope: CurrentScope) -> Response:
        person_id = person_of(request)
        target = local_path(request.query_params.get("next", ""))
        return await self._confirm_page(request, scope, person_id, target)

    async def confirm(self, request: Request, scope: CurrentScope) -> Response:
        """Note that the person has shown who they are, and lead back to what they were about to do."""
        person_id = person_of(request)
        form = await request.form()
        target, credential = local_path(words(form, "next")), words(form, "credential")
        proof = Proof(words(form, "password"), words(form, "code"))
        try:
            await self.limits.check_person(person_id)
            renewed = await self._show_who(request, person_id, proof, credential)
        except AppError as error:
            return await self._confirm_page(request, scope, person_id, target, error)
        response = self.pages.redirect(target)
        self._keep(response, renewed)
        return response

    async def _show_who(
        self, request: Request, person_id: UUID, proof: Proof, credential: str
    ) -> Renewed | None:
        current = current_log_in(request)
        if not credential:
            return await identity.confirm_person(self.db, person_id, proof, current=current, now=utcnow())
        answer = read_credential(credential)
        return await identity.confirm_by_passkey(self.db, person_id, answer, self.party, current=current)

    async def _confirm_page(
        self, request: Request, scope: Scope, person_id: UUID, target: str, error: AppError | None = None
    ) -> Response:
        async with self.db.session(scope) as session:
            factor = await identity.get_second_factor(session, person_id)
            passkeys = await identity.list_passkeys(session, person_id)
            must_show = await identity.must_show_factor(session, person_id)
            shell = await self.pages.shell(request, session)
        own = session_of(request)
        status = 422 if isinstance(error, Unauthenticated) else error.status if error else 200
        return self.pages.show(
            request,
            "organizations/account/confirm.html",
            shell,
            status=status,
            next=target,
            has_code=factor.is_on,
            has_passkey=bool(passkeys),
            is_held=access_of(request).is_held,
            has_password=factor.is_on or not must_show,
            is_weak=must_show and not (own and own.is_strong),
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
        )

    async def confirm_options(self, request: Request, scope: CurrentScope) -> Response:
        person_id = person_of(request)
        async with self.db.session(scope) as session:
            options = await identity.ask_for_passkey(session, self.party, person_id=person_id)
        return JSONResponse(options)

    async def totp_form(self, request: Request, scope: CurrentScope) -> Response:
        """Offer a new secret: one that was on another screen before does not count any more."""
        person_id = person_of(request)
        refuse_borrowed(request)
        return ask_to_confirm(request, self.pages) or await self._totp_page(request, scope, person_id)

    async def _totp_page(
        self, request: Request, scope: Scope, person_id: UUID, error: AppError | None = None
    ) -> Response:
        try:
            async with self.db.session(scope) as session:
                person = await identity.get_person(session, person_id)
                enrolment = await identity.offered_totp(session, person) if error else None
                enrolment = enrolment or await identity.begin_totp(session, person)
                shell = await self.pages.shell(request, session)
        except Conflict:
            return RedirectResponse(f"{base_of(request)}{SECURITY}", 303)
        qr = segno.make(enrolment.uri, error="m")
        return self.pages.show(
            request,
            "organizations/account/totp.html",
            shell,
            status=error.status if error else 200,
            secret=" ".join(enrolment.secret[at : at + 4] for at in range(0, len(enrolment.secret), 4)),
            qr=qr.svg_data_uri(scale=5, border=3, light="#fff"),
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
        )

    async def enable_totp(self, request: Request, scope: CurrentScope) -> Response:
        person_id = person_of(request)
        if (ask := ask_to_confirm(request, self.pages)) is not None:
            return ask
        code = words(await request.form(), "code")
        try:
            await self.limits.check_person(person_id)
            async with self.db.session(scope) as session:
                codes = await identity.confirm_totp(
                    session, person_id, code, origin=scope.origin, now=utcnow()
                )
                renewed = await identity.note_confirmation(session, current_log_in(request), is_strong=True)
        except AppError as error:
            return await self._totp_page(request, scope, person_id, error)
        return await self._show_codes(request, scope, codes, renewed, is_new=True)

    async def disable_totp(self, request: Request, scope: CurrentScope) -> Response:
        person_id = person_of(request)
        security = f"{base_of(request)}{SECURITY}"
        if (ask := ask_to_confirm(request, self.pages, security)) is not None:
            return ask
        try:
            async with self.db.session(scope) as session:
                await identity.disable_totp(session, person_id, origin=scope.origin)
                renewed = await identity.note_confirmation(session, current_log_in(request))
        except NotFound:  # it was switched off on another page
            return self.pages.redirect(security)
        response = self.pages.redirect(security, Notice("success", "The second step is off"))
        self._keep(response, renewed)
        return response

    async def renew_codes(self, request: Request, scope: CurrentScope) -> Response:
        person_id = person_of(request)
        security = f"{base_of(request)}{SECURITY}"
        if (ask := ask_to_confirm(request, self.pages, security)) is not None:
            return ask
        try:
            async with self.db.session(scope) as session:
                codes = await identity.renew_recovery_codes(session, person_id, origin=scope.origin)
                renewed = await identity.note_confirmation(session, current_log_in(request))
        except NotFound:
            return self.pages.redirect(security)
        return await self._show_codes(request, scope, codes, renewed, is_new=False)

    async def _show_codes(
        self, request: Request, scope: Scope, codes: list[str], renewed: Renewed | None, *, is_new: bool
    ) -> Response:
        """Show the codes in the answer itself: nothing keeps them, so no other page could."""
        if renewed is not None:
            use_new_token(request, renewed.token)
        async with self.db.session(scope) as session:
            shell = await self.pages.shell(request, session)
        response = self.pages.show(
            request, "organizations/account/codes.html", shell, codes=codes, is_new=is_new
        )
        self._keep(response, renewed)
        return response

    async def passkey_form(self, request: Request, scope: CurrentScope) -> Response:
        person_of(request)
        name = device_of(request).name
        return ask_to_confirm(request, self.pages) or await self._passkey_page(request, scope, name)

    async def _passkey_page(
        self, request: Request, scope: Scope, name: str = "", error: Invalid | None = None
    ) -> Response:
        async with self.db.session(scope) as session:
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "organizations/account/passkey.html",
            shell,
            status=422 if error else 200,
            name=name,
            name_limit=PASSKEY_NAME_MAX_CHARS,
            errors=field_errors(request, error) if error else {},
        )

    async def passkey_options(self, request: Request, scope: CurrentScope) -> Response:
        person_id = person_of(request)
        require_confirmed_page(request)
        async with self.db.session(scope) as session:
            person = await identity.get_person(session, person_id)
            return JSONResponse(await identity.begin_passkey(session, person, self.party))

    async def add_passkey(self, request: Request, scope: CurrentScope) -> Response:
        person_id = person_of(request)
        if (ask := ask_to_confirm(request, self.pages)) is not None:
            return ask
        form = await request.form()
        name, credential = words(form, "name"), read_credential(words(form, "credential"))
        try:
            async with self.db.session(scope) as session:
                await identity.add_passkey(
                    session, person_id, name, credential, self.party, origin=scope.origin
                )
                renewed = await identity.note_confirmation(session, current_log_in(request), is_strong=True)
        except Invalid as error:
            return await self._passkey_page(request, scope, name, error)
        added = Notice("success", "The passkey is added", "From now on you can log in with it.")
        response = self.pages.redirect(f"{base_of(request)}{SECURITY}", added)
        self._keep(response, renewed)
        return response

    async def remove_passkey(self, request: Request, scope: CurrentScope, passkey_id: UUID) -> Response:
        person_of(request)
        if (ask := ask_to_confirm(request, self.pages, f"{base_of(request)}{SECURITY}")) is not None:
            return ask
        async with self.db.session(scope) as session:
            await identity.remove_passkey(session, passkey_id, origin=scope.origin)
        return self.pages.redirect(
            f"{base_of(request)}{SECURITY}", Notice("success", "The passkey is removed")
        )

    def _keep(self, response: Response, renewed: Renewed | None) -> None:
        if renewed is not None:
            keep_session(response, renewed.token, remember=renewed.remembered, secure=self.pages.secure)
