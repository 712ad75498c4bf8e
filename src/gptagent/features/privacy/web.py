"""The pages of privacy: of the workspace, and of one's own account."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.identity.limits import LoginLimits
from gptagent.features.organizations import policy
from gptagent.features.organizations.model import Visitor
from gptagent.features.organizations.service import require
from gptagent.features.privacy import service
from gptagent.features.privacy.api import as_file
from gptagent.features.privacy.model import MIN_DAYS, RETENTION_MAX_DAYS
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, Forbidden, Invalid, RateLimited
from gptagent.kernel.files import FileStore
from gptagent.kernel.http import CurrentScope, QueryText, client_address, person_of, session_cookie
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

PRIVACY = "/settings/privacy"


@dataclass(frozen=True, slots=True)
class PrivacyPages:
    db: Database
    pages: Pages
    files: FileStore
    limits: LoginLimits

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}")
        router.get(PRIVACY)(self.workspace)
        router.post(PRIVACY)(self.save_retention)
        router.get(PRIVACY + "/customers/{conversation_id}")(self.export_customer)
        router.post(PRIVACY + "/customers/{conversation_id}/erase")(self.erase_customer)
        return router

    def account_router(self) -> APIRouter:
        router = page_router("/manage/{workspace}")
        router.get("/account-settings/privacy")(self.account)
        router.get("/account-settings/privacy/export")(self.export_person)
        router.post("/account-settings/privacy/erase")(self.erase_person)
        return router

    async def workspace(
        self, request: Request, scope: CurrentScope, q: QueryText = "", conversation: UUID | None = None
    ) -> Response:
        require(scope, policy.MANAGE_PRIVACY)
        return await self._workspace(request, scope, q=q, conversation=conversation)

    async def _workspace(
        self,
        request: Request,
        scope: Scope,
        *,
        q: str = "",
        conversation: UUID | None = None,
        typed: Mapping[str, str] | None = None,
        error: Invalid | None = None,
    ) -> Response:
        async with self.db.session(scope) as session:
            retention = await service.get_retention(session)
            found = await service.find_customers(session, conversation_id=conversation, text=q)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "privacy/workspace.html",
            shell,
            status=422 if error else 200,
            values={**asdict(retention), **(typed or {})},
            errors=field_errors(request, error) if error else {},
            low=MIN_DAYS,
            high=RETENTION_MAX_DAYS,
            q=q,
            searched=bool(q.strip() or conversation),
            customers=found,
        )

    async def save_retention(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.MANAGE_PRIVACY)
        form = await request.form()
        typed = {name: words(form, name).strip() for name in MIN_DAYS}
        try:
            async with self.db.session(scope) as session:
                await service.set_retention(session, {name: _days(typed[name]) for name in MIN_DAYS})
        except Invalid as error:
            return await self._workspace(request, scope, typed=typed, error=error)
        return self.pages.redirect(f"{base_of(request)}{PRIVACY}", Notice("success", "Saved"))

    async def export_customer(self, scope: CurrentScope, conversation_id: UUID) -> Response:
        require(scope, policy.MANAGE_PRIVACY)
        return as_file(await service.export_customer(self.db, scope, conversation_id), "customer")

    async def erase_customer(self, request: Request, scope: CurrentScope, conversation_id: UUID) -> Response:
        require(scope, policy.MANAGE_PRIVACY)
        async with self.db.session(scope) as session:
            await service.erase_customer(session, conversation_id)
        erased = Notice("success", "The customer is erased", "What they write from now on is a new chat.")
        return self.pages.redirect(f"{base_of(request)}{PRIVACY}", erased)

    async def account(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.VIEW)
        return await self._account(request, scope, person_of(request))

    async def _account(
        self, request: Request, scope: Scope, person_id: UUID, error: AppError | None = None
    ) -> Response:
        async with self.db.session(scope) as session:
            obstacles = await service.obstacles_to_erasure(session, person_id)
            shell = await self.pages.shell(request, session)
        return self.pages.show(
            request,
            "privacy/account.html",
            shell,
            status=error.status if error else 200,
            obstacles=[name for name in obstacles if name],
            is_last_administrator="" in obstacles,
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
        )

    async def export_person(self, request: Request, scope: CurrentScope) -> Response:
        """Not for a sign-in that one workspace's own provider vouched for: it tells of the others."""
        require(scope, policy.VIEW)
        visitor: Visitor = request.state.visitor
        if visitor.session.workspace_id is not None:
            raise Forbidden
        kept = await service.export_person(self.db, self.files, person_of(request), scope.origin)
        return as_file(kept, "account")

    async def erase_person(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.VIEW)
        person_id, form = person_of(request), await request.form()
        try:
            await self.limits.check(client_address(request), str(person_id))
            await service.erase_person(self.db, self.files, person_id, words(form, "proof"), scope.origin)
        except (Invalid, Conflict, RateLimited) as error:
            return await self._account(request, scope, person_id, error)
        gone = Notice("success", "Your account is erased", "Thank you for having been here.")
        response = self.pages.redirect("/login", gone)
        response.headers["clear-site-data"] = '"cache", "storage"'
        response.delete_cookie(
            session_cookie(secure=self.pages.secure), secure=self.pages.secure, httponly=True, samesite="lax"
        )
        return response


def _days(typed: str) -> int | None:
    """Return the number; -1, which is too short everywhere, for what is none."""
    if not typed:
        return None
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 6 else -1
