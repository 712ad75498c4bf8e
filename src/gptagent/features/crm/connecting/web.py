"""Pages of connecting: the list with the wizard, the way to the CRM's consent page and back from it."""

from dataclasses import dataclass, field
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gptagent.features.crm import service as crm
from gptagent.features.crm.connecting import service
from gptagent.features.crm.connecting.model import (
    BRANDS,
    OTHER_REASON,
    REASONS,
    SCOPES,
    Consent,
    NewIntegration,
    Returned,
)
from gptagent.features.crm.connecting.service import ConnectCrm, Connecting
from gptagent.features.crm.model import Connection
from gptagent.features.identity.service import second_factor_required
from gptagent.features.organizations import policy
from gptagent.features.organizations.entrance import visitor_of
from gptagent.features.organizations.model import Workspace, is_held
from gptagent.features.organizations.service import require, scope_of
from gptagent.kernel.errors import AppError, Forbidden
from gptagent.kernel.http import CurrentScope, PatternRoute, QueryText, client_address, person_of
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Actor, Origin, Scope
from gptagent.ui.view import Alert
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

PATH = "/integrations"
HEALTH = "connections/health"
MAX_ID_DIGITS = 18  # of a bigint


@dataclass(frozen=True, slots=True)
class _Sent:
    """A form that is shown again: what it held, and what was wrong with it."""

    error: AppError | None = None
    address: str = ""
    token: str = field(default="", repr=False)
    client_id: str = ""


@dataclass(frozen=True, slots=True)
class ConnectingPages:
    door: Connecting
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}" + PATH)
        router.get("")(self.list)
        router.post("")(self.connect)
        router.get("/banner")(self.banner)
        router.post("/consent/{integration_id}")(self.consent)
        router.post("/keys")(self.add_keys)
        router.post("/keys/{integration_id}")(self.change_keys)
        router.post("/keys/{integration_id}/remove")(self.remove_keys)
        return router

    async def list(self, request: Request, scope: CurrentScope, part: str = "", brand: str = "") -> Response:
        require(scope, policy.VIEW)
        return await self._page(request, scope, brand, part=part)

    async def connect(self, request: Request, scope: CurrentScope, brand: str = "") -> Response:
        """Connect an account by a long-lived token, or renew the token of a connected one."""
        require(scope, policy.MANAGE_CONNECTIONS)
        form = await request.form()
        command = ConnectCrm(words(form, "address"), words(form, "token"))
        try:
            made = await service.connect_account(self.door, scope, command)
        except AppError as error:
            sent = _Sent(error, address=command.address, token=command.token)
            return await self._page(request, scope, brand, sent=sent)
        return self.pages.redirect(base_of(request) + PATH, _made(made))

    async def banner(self, request: Request, scope: CurrentScope) -> Response:
        """Return what every page shows of connections that do not work, for a script that swaps it in."""
        require(scope, policy.MANAGE_CONNECTIONS)
        async with self.door.db.session(scope) as session:
            broken = await service.list_broken(session)
        return self.pages.part(
            request, "crm/_banner.html", alerts=alerts_of(broken, base_of(request)), topic=HEALTH
        )

    async def consent(self, request: Request, scope: CurrentScope, integration_id: UUID) -> Response:
        """Send the browser to the CRM's consent page.

        By a page of its own, not by a redirect: forms may not lead to other hosts.
        """
        require(scope, policy.MANAGE_CONNECTIONS)
        visitor = visitor_of(request)
        address = await service.begin_consent(
            self.door,
            scope,
            integration_id,
            person_id=person_of(request),
            session_id=visitor.session.id if visitor else None,
        )
        async with self.door.db.session(scope) as session:
            shell = await self.pages.shell(request, session)
        response = self.pages.show(request, "crm/consent.html", shell, address=address)
        response.headers["refresh"] = f"0;url={address}"
        return response

    async def add_keys(self, request: Request, scope: CurrentScope, brand: str = "") -> Response:
        require(scope, policy.MANAGE_CONNECTIONS)
        form = await request.form()
        new = NewIntegration(words(form, "brand"), words(form, "client_id"), words(form, "client_secret"))
        try:
            async with self.door.db.session(scope) as session:
                await service.add_integration(session, new, self.door.vault)
        except AppError as error:
            sent = _Sent(error, client_id=new.client_id)
            return await self._page(request, scope, new.brand or brand, sent=sent)
        kept = Notice("success", "The keys are stored", "Now let the integration into your account.")
        return self._back(request, new.brand, kept)

    async def change_keys(self, request: Request, scope: CurrentScope, integration_id: UUID) -> Response:
        require(scope, policy.MANAGE_CONNECTIONS)
        secret = words(await request.form(), "client_secret")
        async with self.door.db.session(scope) as session:
            held = await service.get_integration(session, integration_id)
        try:
            async with self.door.db.session(scope) as session:
                await service.change_integration(session, integration_id, secret, self.door.vault)
        except AppError as error:
            fault = error.fields[0].message if error.fields else error.message
            return self._back(request, held.brand, Notice("danger", "The secret stayed as it was", fault))
        return self._back(request, held.brand, Notice("success", "The secret is replaced"))

    async def remove_keys(self, request: Request, scope: CurrentScope, integration_id: UUID) -> Response:
        require(scope, policy.MANAGE_CONNECTIONS)
        async with self.door.db.session(scope) as session:
            held = await service.get_integration(session, integration_id)
        try:
            async with self.door.db.session(scope) as session:
                await service.remove_integration(session, integration_id)
        except AppError as error:
            return self._back(request, held.brand, Notice("danger", "The keys are still here", error.message))
        return self._back(request, held.brand, Notice("success", "The keys are removed"))

    def _back(self, request: Request, brand: str, notice: Notice) -> Response:
        return self.pages.redirect(f"{base_of(request)}{PATH}?brand={_brand(brand)}#connect", notice)

    async def _page(
        self, request: Request, scope: Scope, brand: str, *, part: str = "", sent: _Sent | None = None
    ) -> Response:
        may_edit = policy.MANAGE_CONNECTIONS in scope.permissions
        async with self.door.db.session(scope) as session:
            connections = await crm.list_connections(session)
            pipelines = await crm.list_pipelines(session)
            integrations = await self.door.keys.usable(session) if may_edit and not part else []
            shell = None if part else await self.pages.shell(request, session)
        context: dict[str, Any] = {
            "connections": connections,
            "pipelines": pipelines,
            "reasons": REASONS,
            "other_reason": OTHER_REASON,
            "may_edit": may_edit,
        }
        if part:
            return self.pages.part(request, "crm/_connections.html", **context)
        error = sent.error if sent else None
        return self.pages.show(
            request,
            "crm/list.html",
            shell,
            status=error.status if error else 200,
            brand=_brand(brand),
            integrations=[one for one in integrations if one.brand == _brand(brand)],
            scopes=SCOPES,
            redirect_uri=self.door.redirect_uri,
            disconnect_hook=self.door.disconnect_hook,
            sent=sent or _Sent(),
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
            **context,
        )


class _Answer(BaseModel):
    """What the CRM sends a browser back with; what it may add one day is left alone."""

    state: QueryText = ""
    code: QueryText = ""
    referer: QueryText = ""
    client_id: QueryText = ""
    error: QueryText = ""
    from_widget: QueryText = ""


@dataclass(frozen=True, slots=True)
class ConsentDoor:
    """Where the CRM sends browsers back to, and where it says itself that an account has removed us."""

    door: Connecting
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router()
        router.get("/oauth/kommo")(self.come_back)
        return router

    def routes(self) -> list[Route]:
        return [PatternRoute("/oauth/kommo/disconnect", self.removed, methods=["GET"])]

    async def come_back(self, request: Request, given: Annotated[_Answer, Query()]) -> Response:
        """Finish what was begun in this browser.

        A widget's installation is told from server to server (`from_widget=1`), without a state and without a
        person: there is nothing to be done about it, and nobody reads the answer.
        """
        if not given.state and given.from_widget == "1":
            return Response(status_code=200)
        try:
            consent, workspace, scope = await self._use(request, given.state)
        except AppError as refused:
            return self.pages.show(
                request,
                "crm/consent_refused.html",
                status=refused.status,
                message=message_of(request, refused),
            )
        if given.error or not given.code:
            denied = Notice(
                "warning", "Access was not allowed", "Nobody has let the integration in. Begin again here."
            )
            return self._lead(workspace, denied)
        try:
            returned = Returned(given.code, given.referer, given.client_id)
            made = await service.finish_consent(self.door, scope, consent, returned)
        except AppError as refused:
            why = Notice("danger", "The account is not connected", refused.message, _params(refused))
            return self._lead(workspace, why)
        return self.pages.redirect(f"{workspace.path}{PATH}/{made.id}", _made(made))

    async def _use(self, request: Request, state: str) -> tuple[Consent, Workspace, Scope]:
        """Return what was asked for, and who asked, as they are now. Raises Forbidden."""
        visitor = visitor_of(request)
        entered = visitor.session if visitor else None
        consent = await service.use_consent(
            self.door,
            state,
            person_id=entered.person_id if entered else None,
            session_id=entered.id if entered else None,
        )
        for workspace in visitor.workspaces if visitor and entered else ():
            if workspace.org_id == consent.org_id and entered:
                if is_held(entered, workspace):
                    raise second_factor_required()
                actor = Actor("person", entered.person_id, entered.impersonator_id)
                origin = Origin(actor, request.state.request_id, client_address(request))
                scope = scope_of(workspace, origin)
                require(scope, policy.MANAGE_CONNECTIONS)
                return consent, workspace, scope
        raise Forbidden

    def _lead(self, workspace: Workspace, notice: Notice) -> Response:
        return self.pages.redirect(f"{workspace.path}{PATH}", notice)

    async def removed(self, request: Request) -> Response:
        """200 if the integration's own secret has signed it, and its tokens are forgotten; else 404."""
        given = request.query_params
        number = given.get("account_id", "")
        if not (number.isascii() and number.isdecimal() and len(number) <= MAX_ID_DIGITS):
            return Response(status_code=404)
        client_id, signature = given.get("client_uuid", ""), given.get("signature", "")
        if "\0" in client_id:
            return Response(status_code=404)
        done = await service.remove_in_crm(self.door, client_id, int(number), signature)
        return Response(status_code=200 if done else 404)


def alerts_of(broken: "list[service.BrokenConnection]", base: str) -> tuple[Alert, ...]:
    """Return what every page says of connections that do not work, to those who can mend them."""
    return tuple(Alert(one.name, one.reason, f"{base}{PATH}/{one.id}") for one in broken)


def _brand(given: str) -> str:
    return given if given in BRANDS else BRANDS[0]


def _made(made: Connection) -> Notice:
    if made.status != "connected":
        return Notice("warning", "{name} is stored, but not working yet", params={"name": made.name})
    return Notice("success", "{name} is connected", "Its chats come in here now.", {"name": made.name})


def _params(error: AppError) -> dict[str, str]:
    return {name: str(value) for name, value in error.params.items()}
