"""The pages of a workspace's own settings, and of having none."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gptagent.features.identity import service as identity
from gptagent.features.organizations import policy, service
from gptagent.features.organizations.account.guard import ask_to_confirm, confirm_href
from gptagent.features.organizations.model import (
    COMMAND_MAX_CHARS,
    DELETION_GRACE,
    NAME_MAX_CHARS,
    RESUME_MAX_HOURS,
    SLUG_MAX_CHARS,
)
from gptagent.features.organizations.service import require
from gptagent.features.organizations.web import visitor_of
from gptagent.features.organizations.workspaces import SECOND_FACTOR
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict, Forbidden, Invalid
from gptagent.kernel.http import CurrentScope, client_address, locale_of, person_of
from gptagent.kernel.i18n import LOCALES
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Actor, Origin, Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

LIMITS = {
    "name": NAME_MAX_CHARS,
    "slug": SLUG_MAX_CHARS,
    "hours": RESUME_MAX_HOURS,
    "command": COMMAND_MAX_CHARS,
}


@dataclass(frozen=True, slots=True)
class WorkspacePages:
    db: Database
    pages: Pages
    public_url: str

    def router(self) -> APIRouter:
        router = page_router()
        router.get("/workspaces/create")(self.create_form)
        router.post("/workspaces/create")(self.create)
        router.post("/invitation")(self.open_invitation)
        router.get("/manage/{workspace}/settings")(self.settings)
        router.post("/manage/{workspace}/settings")(self.save)
        router.post("/manage/{workspace}/settings/second-factor")(self.change_second_factor)
        router.post("/manage/{workspace}/settings/stopping")(self.change_stopping)
        router.post("/manage/{workspace}/settings/deletion")(self.request_deletion)
        router.post("/manage/{workspace}/settings/deletion/cancel")(self.cancel_deletion)
        return router

    async def create_form(self, request: Request) -> Response:
        return self._creation(request)

    async def create(self, request: Request) -> Response:
        visitor = visitor_of(request)
        if visitor is None or visitor.session.workspace_id is not None:
            raise Forbidden  # a session of one workspace's own sign-in goes no further than it
        name = words(await request.form(), "organization")
        actor = Actor("person", visitor.session.person_id, visitor.session.impersonator_id)
        origin = Origin(actor, request.state.request_id, client_address(request))
        try:
            made = await service.open_workspace(
                self.db,
                name,
                locale=locale_of(request),
                origin=origin,
                person_id=visitor.session.person_id,
            )
        except (Invalid, Conflict) as error:
            return self._creation(request, name, error)
        welcome = Notice("success", "Welcome", "This is your workspace. Four steps lead to the first answer.")
        return self.pages.redirect(f"{made.path}/dashboard", welcome)

    def _creation(self, request: Request, name: str = "", error: AppError | None = None) -> Response:
        return show_lobby(self.pages, request, name=name, error=error)

    async def open_invitation(self, request: Request) -> Response:
        """Lead to the invitation whose link was pasted: the last part of its path is the token."""
        link = words(await request.form(), "link").strip()
        token = link.rstrip("/").rpartition("/")[2]
        if not token or not token.replace("-", "").replace("_", "").isalnum() or not token.isascii():
            error = Invalid.field("link", "Paste the whole link of the invitation.")
            return show_lobby(self.pages, request, link=link, error=error)
        return RedirectResponse(f"/invitation/{token}", 303)

    async def settings(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.VIEW)
        return await self._settings(request, scope)

    async def save(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.MANAGE_WORKSPACE)
        form = await request.form()
        changes = {name: words(form, name) for name in ("name", "slug", "locale")}
        try:
            async with self.db.session(scope) as session:
                found = await service.update_settings(session, changes)
        except Invalid as error:
            return await self._settings(request, scope, typed=changes, error=error)
        number = base_of(request).rpartition("/")[2].partition("-")[0]
        return self.pages.redirect(f"/manage/{number}-{found.slug}/settings", Notice("success", "Saved"))

    async def change_second_factor(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.OWN_WORKSPACE)
        wanted = words(await request.form(), SECOND_FACTOR) == "yes"
        try:
            async with self.db.session(scope) as session:
                await service.update_settings(session, {SECOND_FACTOR: wanted})
        except Invalid as error:
            return await self._settings(request, scope, error=error)
        return self.pages.redirect(f"{base_of(request)}/settings", Notice("success", "Saved"))

    async def change_stopping(self, request: Request, scope: CurrentScope) -> Response:
        """Say what happens when a person writes in a chat that an agent answers."""
        require(scope, policy.MANAGE_WORKSPACE)
        form = await request.form()
        hours = words(form, "resume_after_hours").strip()
        changes = {
            "stop_on_human": words(form, "stop_on_human") == "on",
            "resume_after_hours": int(hours) if hours.isascii() and hours.isdecimal() else hours,
            "resume_command": words(form, "resume_command"),
        }
        try:
            async with self.db.session(scope) as session:
                await service.update_settings(session, changes)
        except Invalid as error:
            return await self._settings(request, scope, typed=changes, error=error)
        return self.pages.redirect(f"{base_of(request)}/settings", Notice("success", "Saved"))

    async def request_deletion(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.OWN_WORKSPACE)
        if (ask := ask_to_confirm(request, self.pages, _deletion_of(request))) is not None:
            return ask
        typed = words(await request.form(), "confirm_name")
        try:
            async with self.db.session(scope) as session:
                await service.request_deletion(session, typed)
        except Invalid as error:
            return await self._settings(request, scope, confirm=typed, error=error)
        return self.pages.redirect(f"{base_of(request)}/settings")

    async def cancel_deletion(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.OWN_WORKSPACE)
        async with self.db.session(scope) as session:
            await service.cancel_deletion(session)
        kept = Notice("success", "The workspace stays", "Its agents answer again.")
        return self.pages.redirect(f"{base_of(request)}/settings", kept)

    async def _settings(
        self,
        request: Request,
        scope: Scope,
        *,
        typed: Mapping[str, object] | None = None,
        confirm: str | None = None,
        error: AppError | None = None,
    ) -> Response:
        async with self.db.session(scope) as session:
            found = await service.get_settings(session)
            has_factor = await identity.has_any_factor(session, person_of(request))
            shell = await self.pages.shell(request, session)
        errors = field_errors(request, error) if error else {}
        return self.pages.show(
            request,
            "organizations/settings.html",
            shell,
            status=422 if error else 200,
            values={**asdict(found), **(typed or {})},
            workspace=found,
            errors=errors if confirm is None else {},
            confirm=confirm or "",
            confirm_error=errors.get("name", "") if confirm is not None else "",
            address=f"{self.public_url}/manage/{found.number}-",
            limits=LIMITS,
            languages=LOCALES,
            grace_days=DELETION_GRACE.days,
            may_edit=policy.MANAGE_WORKSPACE in scope.permissions,
            confirm_href=confirm_href(request, _deletion_of(request)),
            second_factor_error=errors.pop(SECOND_FACTOR, ""),
            has_factor=has_factor,
            may_delete=policy.OWN_WORKSPACE in scope.permissions,
        )


def _deletion_of(request: Request) -> str:
    return f"{base_of(request)}/settings#deletion"


def show_lobby(
    pages: Pages, request: Request, *, name: str = "", link: str = "", error: AppError | None = None
) -> Response:
    """Show where a person without a workspace gets one, or with some another one."""
    visitor = visitor_of(request)
    return pages.show(
        request,
        "organizations/lobby.html",
        status=error.status if error else 200,
        workspaces=visitor.workspaces if visitor else (),
        name=name,
        link=link,
        errors=field_errors(request, error) if error else {},
        failure=message_of(request, error) if error and not error.fields else "",
    )
