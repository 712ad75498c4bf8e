"""The page of one connection: how it is, and disconnecting."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.crm import service
from gptagent.features.crm.connecting.model import OTHER_REASON, REASONS, SCOPES
from gptagent.features.crm.connecting.service import Connecting, get_access_state
from gptagent.features.crm.frame import frame_of
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.http import CurrentScope
from gptagent.ui.web import Notice, Pages, base_of


@dataclass(frozen=True, slots=True)
class ConnectionPages:
    door: Connecting
    pages: Pages

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/manage/{workspace}/integrations")
        router.get("/{connection_id}")(self.overview)
        router.post("/{connection_id}/disconnect")(self.disconnect)
        return router

    async def overview(
        self, request: Request, scope: CurrentScope, connection_id: UUID, part: str = ""
    ) -> Response:
        require(scope, policy.VIEW)
        async with self.door.db.session(scope) as session:
            connection = await service.get_connection(session, connection_id)
            access = await get_access_state(session, self.door.keys, connection)
            pipelines = await service.list_pipelines(session)
            health = await service.get_health(session, connection_id)
            shell = None if part else await self.pages.shell(request, session)
        context = {
            **frame_of(request, connection),
            "access": access,
            "health": health,
            "pipelines": [one for one in pipelines if one.connection_id == connection.id],
            "reasons": REASONS,
            "other_reason": OTHER_REASON,
            "scopes": SCOPES,
            "may_edit": policy.MANAGE_CONNECTIONS in scope.permissions,
        }
        if part:
            return self.pages.part(request, "crm/_overview.html", **context)
        return self.pages.show(request, "crm/overview.html", shell, **context)

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
