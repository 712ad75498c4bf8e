"""The page of a person's security: password, log-ins; what else it shows is changed in factors.py."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.identity import service as identity
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.identity.model import PASSKEYS_MAX, PASSWORD_MIN_CHARS
from gptagent.features.identity.service import ChangePassword
from gptagent.features.organizations.account.guard import (
    SECURITY,
    ask_to_confirm,
    current_log_in,
    session_of,
)
from gptagent.features.organizations.entrance import keep_session
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Invalid
from gptagent.kernel.http import CurrentScope, person_of
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words


@dataclass(frozen=True, slots=True)
class SecurityPages:
    db: Database
    pages: Pages
    limits: LoginLimits

    def router(self) -> APIRouter:
        router = page_router(f"/manage/{{workspace}}{SECURITY}")
        router.get("")(self.security)
        router.post("/password")(self.change_password)
        router.post("/sessions/{session_id}/end")(self.end_session)
        router.post("/grants/{grant_id}/end")(self.end_grant)
        router.post("/others/end")(self.end_others)
        return router

    async def security(self, request: Request, scope: CurrentScope) -> Response:
        return await self._security(request, scope, person_of(request))

    async def change_password(self, request: Request, scope: CurrentScope) -> Response:
        """Set a new password: every other log-in ends, this one gets a new cookie."""
        person_id = person_of(request)
        form = await request.form()
        current, new = words(form, "current_password"), words(form, "new_password")
        try:
            if new != words(form, "repeated"):
                raise Invalid.field("repeated", "The two passwords differ.")
            await self.limits.check_person(person_id)
            renewed = await identity.change_password(
                self.db,
                person_id,
                ChangePassword(current, new),
                current=current_log_in(request),
                origin=scope.origin,
            )
        except AppError as error:
            security = f"{base_of(request)}{SECURITY}"
            if error.code == "confirmation_needed" and (ask := ask_to_confirm(request, self.pages, security)):
                return ask
            return await self._security(request, scope, person_id, error)
        done = Notice("success", "The password is changed", "You are logged out everywhere else.")
        response = self.pages.redirect(f"{base_of(request)}{SECURITY}", done)
        if renewed is not None:
            keep_session(response, renewed.token, remember=renewed.remembered, secure=self.pages.secure)
        return response

    async def _security(
        self, request: Request, scope: Scope, person_id: UUID, error: AppError | None = None
    ) -> Response:
        async with self.db.session(scope) as session:
            log_ins = await identity.list_log_ins(session, current_log_in(request))
            factor = await identity.get_second_factor(session, person_id)
            passkeys = await identity.list_passkeys(session, person_id)
            shell = await self.pages.shell(request, session)
        context: dict[str, Any] = {
            "log_ins": log_ins,
            "factor": factor,
            "passkeys": passkeys,
            "may_add_passkey": len(passkeys) < PASSKEYS_MAX,
            "is_own": not _is_limited(request),
            "minimum": PASSWORD_MIN_CHARS,
            "errors": field_errors(request, error) if error else {},
            "failure": message_of(request, error) if error and not error.fields else "",
        }
        status = error.status if error else 200
        return self.pages.show(
            request, "organizations/account/security.html", shell, status=status, **context
        )

    async def end_session(self, request: Request, scope: CurrentScope, session_id: UUID) -> Response:
        person_of(request)
        async with self.db.session(scope) as session:
            await identity.revoke_session(session, session_id, origin=scope.origin)
        return self._ended(request)

    async def end_grant(self, request: Request, scope: CurrentScope, grant_id: UUID) -> Response:
        person_of(request)
        async with self.db.session(scope) as session:
            await identity.revoke_grant(session, grant_id, origin=scope.origin)
        return self._ended(request)

    async def end_others(self, request: Request, scope: CurrentScope) -> Response:
        person_id = person_of(request)
        async with self.db.session(scope) as session:
            current = current_log_in(request)
            await identity.end_other_log_ins(session, person_id, current, origin=scope.origin)
        done = Notice("success", "You are logged out everywhere else.")
        return self.pages.redirect(f"{base_of(request)}{SECURITY}#log-ins", done)

    def _ended(self, request: Request) -> Response:
        done = Notice("success", "The log-in is ended")
        return self.pages.redirect(f"{base_of(request)}{SECURITY}#log-ins", done)


def _is_limited(request: Request) -> bool:
    """Whether somebody else has a hand in this log-in: the other ones are not shown to them either."""
    session = session_of(request)
    return session is None or session.workspace_id is not None or session.impersonator_id is not None
