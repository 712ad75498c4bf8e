"""The page of one connection: how it is, asking the CRM itself, and disconnecting."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.crm import service
from gptagent.features.crm.connecting.model import OTHER_REASON, REASONS, SCOPES
from gptagent.features.crm.connecting.service import Connecting
from gptagent.features.crm.connecting.switching import SWITCHES
from gptagent.features.crm.frame import frame_of
from gptagent.features.crm.health import STEPS, check_account, get_panel, steps_of
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.errors import Conflict, Forbidden, OutcomeUnknown, RateLimited, UpstreamUnavailable
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.routing import page_router
from gptagent.ui.web import Notice, Pages, base_of


@dataclass(frozen=True, slots=True)
class ConnectionPages:
    door: Connecting
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/integrations")
        router.get("/{connection_id}")(self.overview)
        router.post("/{connection_id}/check")(self.check)
        router.post("/{connection_id}/settings")(self.change)
        router.post("/{connection_id}/disconnect")(self.disconnect)
        return router

    async def overview(
        self, request: Request, scope: CurrentScope, connection_id: UUID, part: str = ""
    ) -> Response:
        require(scope, policy.VIEW)
        async with self.door.db.session(scope) as session:
            connection = await service.get_connection(session, connection_id)
            panel = await get_panel(session, self.door, connection)
            pipelines = await service.list_pipelines(session)
            shell = None if part else await self.pages.shell(request, session)
        context = {
            **frame_of(request, connection),
            "panel": panel,
            "access": panel.access,
            "health": panel.health,
            "steps": steps_of(connection, panel),
            "step_words": STEPS,
            "pipelines": [one for one in pipelines if one.connection_id == connection.id],
            "reasons": REASONS,
            "other_reason": OTHER_REASON,
            "scopes": SCOPES,
            "may_edit": policy.MANAGE_CONNECTIONS in scope.permissions,
        }
        if part:
            return self.pages.part(request, "crm/_overview.html", **context)
        return self.pages.show(request, "crm/overview.html", shell, **context)

    async def change(self, request: Request, scope: CurrentScope, connection_id: UUID) -> Response:
        require(scope, policy.MANAGE_CONNECTIONS)
        form = await request.form()
        switches = {name: name in form for name in SWITCHES}
        async with self.door.db.session(scope) as session:
            await service.change_connection(session, connection_id, switches)
        home = f"{base_of(request)}/integrations/{connection_id}"
        return self.pages.redirect(home, Notice("success", "Saved"))

    async def check(self, request: Request, scope: CurrentScope, connection_id: UUID) -> Response:
        require(scope, policy.MANAGE_CONNECTIONS)
        home = f"{base_of(request)}/integrations/{connection_id}"
        try:
            found = await check_account(self.door, scope, connection_id)
        except (Conflict, Forbidden, RateLimited, UpstreamUnavailable, OutcomeUnknown) as error:
            return self.pages.redirect(home, Notice("warning", "The CRM could not be asked", error.message))
        if found.status != "connected":
            return self.pages.redirect(home, Notice("danger", "The CRM no longer accepts the token"))
        said = "The token works; the webhook is being looked at." if found.is_active else "The token works."
        works = Notice("success", "The CRM answers", said)
        return self.pages.redirect(home, works)

    async def disconnect(self, request: Request, scope: CurrentScope, connection_id: UUID) -> Response:
        require(scope, policy.MANAGE_CONNECTIONS)
        door = self.door
        await service.unhook_crm(
            door.db, scope, connection_id, crm=door.crm, vault=door.vault, public_url=door.public_url
        )
        async with door.db.session(scope) as session:
            await service.disconnect_crm(session, connection_id)
        gone = Notice("success", "The account is disconnected", "Its token is forgotten.")
        return self.pages.redirect(f"{base_of(request)}/integrations", gone)
