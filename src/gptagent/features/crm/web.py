"""The page of connections: connect an account, see how it is, disconnect."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.crm import service
from gptagent.features.crm.frame import frame_of
from gptagent.features.crm.ports import CrmPort
from gptagent.features.crm.service import ConnectCrm
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

# Why a connection does not work, by the code it was marked with, and what to do.
REASONS: Mapping[str, str] = {
    "crm_unauthorized": "The CRM no longer accepts the token. Create a new one and connect again.",
    "crm_scope": "The token lacks rights. Create one with access to chats, deals and notifications.",
    "crm_payment_required": "The plan of the CRM account does not allow webhooks. Change the plan there.",
    "crm_rejected": "The CRM refused our address for webhooks. It must be reachable from the internet.",
}
OTHER_REASON = "The CRM could not be asked to report messages. Connect again in a moment."


@dataclass(frozen=True, slots=True)
class ConnectionPages:
    db: Database
    pages: Pages
    crm: CrmPort
    vault: Vault
    public_url: str

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/manage/{workspace}/integrations")
        router.get("")(self.list)
        router.post("")(self.connect)
        router.get("/{connection_id}")(self.overview)
        router.post("/{connection_id}/disconnect")(self.disconnect)
        return router

    async def list(self, request: Request, scope: CurrentScope, part: str = "") -> Response:
        require(scope, policy.VIEW)
        return await self._page(request, scope, part=part)

    async def connect(self, request: Request, scope: CurrentScope) -> Response:
        """Connect an account, or renew the token of a connected one."""
        require(scope, policy.MANAGE_CONNECTIONS)
        form = await request.form()
        command = ConnectCrm(words(form, "address"), words(form, "token"))
        try:
            made = await service.connect_crm(
                self.db, scope, command, crm=self.crm, vault=self.vault, public_url=self.public_url
            )
        except AppError as error:
            return await self._page(request, scope, command=command, error=error)
        notice = Notice("success", "{name} is connected", "Its chats come in here now.", {"name": made.name})
        if made.status != "connected":
            notice = Notice("warning", "{name} is stored, but not working yet", params={"name": made.name})
        return self.pages.redirect(f"{base_of(request)}/integrations", notice)

    async def overview(
        self, request: Request, scope: CurrentScope, connection_id: UUID, part: str = ""
    ) -> Response:
        require(scope, policy.VIEW)
        async with self.db.session(scope) as session:
            connection = await service.get_connection(session, connection_id)
            pipelines = await service.list_pipelines(session)
            shell = None if part else await self.pages.shell(request, session)
        context = {
            **frame_of(request, connection),
            "pipelines": [one for one in pipelines if one.connection_id == connection.id],
            **_judged(scope),
        }
        if part:
            return self.pages.part(request, "crm/_overview.html", **context)
        return self.pages.show(request, "crm/overview.html", shell, **context)

    async def _page(
        self,
        request: Request,
        scope: Scope,
        *,
        part: str = "",
        command: ConnectCrm | None = None,
        error: AppError | None = None,
    ) -> Response:
        async with self.db.session(scope) as session:
            connections = await service.list_connections(session)
            pipelines = await service.list_pipelines(session)
            shell = None if part else await self.pages.shell(request, session)
        context: dict[str, Any] = {
            "connections": connections,
            "pipelines": pipelines,
            **_judged(scope),
        }
        if part:
            return self.pages.part(request, "crm/_connections.html", **context)
        return self.pages.show(
            request,
            "crm/list.html",
            shell,
            status=error.status if error else 200,
            address=command.address if command else "",
            token=command.token if command else "",
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            **context,
        )

    async def disconnect(self, request: Request, scope: CurrentScope, connection_id: UUID) -> Response:
        require(scope, policy.MANAGE_CONNECTIONS)
        await service.unhook_crm(
            self.db, scope, connection_id, crm=self.crm, vault=self.vault, public_url=self.public_url
        )
        async with self.db.session(scope) as session:
            await service.disconnect_crm(session, connection_id)
        gone = Notice("success", "The account is disconnected", "Its token is forgotten.")
        return self.pages.redirect(f"{base_of(request)}/integrations", gone)


def _judged(scope: Scope) -> dict[str, Any]:
    return {
        "reasons": REASONS,
        "other_reason": OTHER_REASON,
        "may_edit": policy.MANAGE_CONNECTIONS in scope.permissions,
    }
