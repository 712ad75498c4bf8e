"""Credentials, checked in one place for every path: the session cookie for pages, a token for the API."""

import re
from dataclasses import dataclass, replace
from urllib.parse import quote
from uuid import UUID

from starlette.requests import Request

from gptagent.features.identity import service as identity
from gptagent.features.identity.model import WebSession
from gptagent.features.identity.tokens import AccessTokens
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.model import API_KEY_PREFIX, Visitor, Workspace, is_held
from gptagent.features.organizations.policy import PLATFORM_PERMISSIONS
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import NotFound, Unauthenticated
from gptagent.kernel.http import (
    ALONE_HEADER,
    SAFE_METHODS,
    Access,
    Csrf,
    client_address,
    csrf_cookie,
    csrf_of_session,
    session_cookie,
)
from gptagent.kernel.ids import new_token
from gptagent.kernel.scope import PLATFORM_ID, Actor, Origin, Scope
from gptagent.kernel.settings import Settings

# The whole list of addresses that need no credential. Everything else is refused before it is parsed.
# The second list is of those where it would not even be looked at.
OPEN_PATHS = re.compile(
    r"/|/login(/code|/passkey(/options)?|/\d{1,18})?|/register|/setup/[^/]+|/preferences/(theme|language)"
    r"|/invitation/[^/]+(/register)?"
    r"|/(reset-password|verify-email|change-email|sign-in)/[^/]+"
    r"|/oauth/kommo"
)
BARE_PATHS = re.compile(
    r"/favicon\.ico|/\.well-known/security\.txt|/assets/.*|/health/(live|ready)|/metrics|/hooks/kommo/.*"
    r"|/api/v1/auth/(register|invitation|login|passkey(/options)?|refresh|reset-password/(request|confirm)|verify-email|change-email)"
    r"|/oauth/kommo/disconnect"
    r"|/api/v1/openapi\.json|/api/docs(/[\w.-]+)?"
)
MIN_CSRF_CHARS = 32
ADMIN_PATH = re.compile(r"/admin(/.*)?")
ADMIN_API = "/api/v1/admin/"
WORKSPACE_PATH = re.compile(r"/manage/(?P<number>\d{1,18})(?:-(?P<slug>[^/]*))?(?P<rest>/.*)?")
# What is open to a log-in that has yet to show a second factor: to show it, or to set one up.
SECOND_STEP = "/account-settings/second-step"
HELD_PATHS = re.compile(
    r"/account-settings/(second-step|confirm(/passkey)?|security/(totp|passkeys/(add|options)))"
)
HELD_API = re.compile(r"/api/v1/account(/(confirmation|totp(/confirm)?|passkeys(/options)?))?")


@dataclass(frozen=True, slots=True)
class Authenticator:
    db: Database
    settings: Settings
    tokens: AccessTokens

    @property
    def cookie(self) -> str:
        return session_cookie(secure=self.settings.secure_cookies)

    async def admit(self, request: Request) -> None:
        """Put `access` (API, workspace pages) and `visitor` (pages) on the request's state.

        Raises Unauthenticated without a credential, NotFound for a workspace of others.
        """
        path = request.url.path
        if BARE_PATHS.fullmatch(path):
            return
        if path.startswith("/api/"):
            request.state.access = await self._bearer(request)
            return
        request.state.visitor = await self._visitor(request)
        request.state.csrf = self._csrf(request)
        if OPEN_PATHS.fullmatch(path):
            return
        if request.state.visitor is None:
            raise Unauthenticated
        if ADMIN_PATH.fullmatch(path):
            request.state.access = await self._administrator(request)
            return
        match = WORKSPACE_PATH.fullmatch(path)
        if match:
            request.state.workspace = self._workspace(request.state.visitor, int(match["number"]))
            request.state.base = request.state.workspace.path
            request.state.access = self._access(request, request.state.workspace)

    def hold(self, request: Request) -> None:
        """Raise Forbidden where a second factor is asked for that the log-in has not shown."""
        access: Access | None = getattr(request.state, "access", None)
        if access is None or not access.is_held:
            return
        path = request.url.path
        match = WORKSPACE_PATH.fullmatch(path)
        if not (HELD_PATHS.fullmatch(match["rest"] or "") if match else HELD_API.fullmatch(path)):
            raise identity.second_factor_required()

    def second_step_path(self, request: Request) -> str | None:
        """Return the page that shows or sets up a second factor and leads back; None without a workspace."""
        visitor: Visitor = request.state.visitor
        workspace: Workspace | None = getattr(request.state, "workspace", None)
        if workspace is None and not visitor.workspaces:
            return None
        target = request.url.path if request.method == "GET" else "/manage"
        return f"{(workspace or visitor.workspaces[0]).path}{SECOND_STEP}?next={quote(target, safe='/')}"

    def right_address(self, request: Request) -> str | None:
        """Return where a page with a wrong slug really is; None if the address is right."""
        match = WORKSPACE_PATH.fullmatch(request.url.path)
        if match is None or request.method not in SAFE_METHODS:
            return None
        workspace: Workspace = request.state.workspace
        if match["slug"] == workspace.slug:
            return None
        query = f"?{request.url.query}" if request.url.query else ""
        return f"{workspace.path}{match['rest'] or ''}{query}"

    def login_path(self, request: Request) -> str:
        """Return the log-in page that leads back to what was asked for."""
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return f"/login?next={quote(target, safe='/')}" if request.method == "GET" else "/login"

    async def _bearer(self, request: Request) -> Access:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated
        if token.startswith(API_KEY_PREFIX):
            return await self._program(request, token)
        claims = self.tokens.read(token, now=utcnow())
        async with self.db.installation() as session:
            is_strong = await identity.grant_strength(session, claims)
            is_live = is_strong is not None
            found = await organizations.list_workspaces(session, claims.person_id) if is_live else []
        is_own = claims.impersonator_id is None
        for workspace in found:
            if workspace.org_id == claims.org_id:
                origin = self._origin(request, Actor("person", claims.person_id, claims.impersonator_id))
                is_admin_path = is_own and request.url.path.startswith(ADMIN_API)
                if is_admin_path and await self._is_administrator(claims.person_id):
                    held = self.settings.admin_needs_second_factor or workspace.needs_second_factor
                    access = self._platform_access(request, claims.person_id, claims.grant_id)
                    return replace(access, is_held=held and not is_strong)
                return Access(
                    organizations.scope_of(workspace, origin),
                    claims.person_id,
                    claims.grant_id,
                    is_held=is_own and workspace.needs_second_factor and not is_strong,
                )
        raise Unauthenticated

    async def _administrator(self, request: Request) -> Access:
        """Return the ticket to the platform's administration. Raises NotFound: it does not show itself.

        Neither who looks through somebody else's eyes has it, nor who a workspace's own provider vouched for.
        """
        entered: WebSession = request.state.visitor.session
        is_own = entered.impersonator_id is None and entered.workspace_id is None
        if not is_own or not await self._is_administrator(entered.person_id):
            raise NotFound
        held = self.settings.admin_needs_second_factor and not entered.is_strong
        return replace(self._platform_access(request, entered.person_id), is_held=held)

    async def _is_administrator(self, person_id: UUID) -> bool:
        async with self.db.installation(person_id) as session:
            return (await identity.get_person(session, person_id)).is_platform_admin

    def _platform_access(self, request: Request, person_id: UUID, grant_id: UUID | None = None) -> Access:
        origin = self._origin(request, Actor("person", person_id))
        scope = Scope(PLATFORM_ID, origin.actor, PLATFORM_PERMISSIONS, origin.request_id, origin.address)
        return Access(scope, person_id, grant_id)

    async def _program(self, request: Request, key: str) -> Access:
        async with self.db.installation() as session:
            scope = await organizations.find_api_key(session, key)
        if scope is None:
            raise Unauthenticated("key_invalid", "The key is unknown, has expired or was revoked.")
        origin = self._origin(request, scope.actor)
        return Access(replace(scope, request_id=origin.request_id, address=origin.address))

    def _origin(self, request: Request, actor: Actor) -> Origin:
        return Origin(actor, request.state.request_id, client_address(request))

    async def _visitor(self, request: Request) -> Visitor | None:
        token = request.cookies.get(self.cookie)
        if not token:
            return None
        async with self.db.installation() as session:
            found = await identity.find_session(session, token, is_use=not _is_alone(request))
            if found is None:
                return None
            workspaces = await organizations.list_workspaces(session, found.person_id)
        return Visitor(found, tuple(one for one in workspaces if found.workspace_id in {None, one.org_id}))

    def _csrf(self, request: Request) -> Csrf:
        """Derive the token from the session; strangers have a cookie."""
        if request.state.visitor is not None:
            return csrf_of_session(request.cookies[self.cookie])
        known = request.cookies.get(csrf_cookie(secure=self.settings.secure_cookies), "")
        return Csrf(known) if len(known) >= MIN_CSRF_CHARS else Csrf(new_token(), is_new=True)

    def _workspace(self, visitor: Visitor, number: int) -> Workspace:
        for workspace in visitor.workspaces:
            if workspace.number == number:
                return workspace
        raise NotFound

    def _access(self, request: Request, workspace: Workspace) -> Access:
        entered: WebSession = request.state.visitor.session
        origin = self._origin(request, Actor("person", entered.person_id, entered.impersonator_id))
        scope = organizations.scope_of(workspace, origin)
        return Access(scope, entered.person_id, is_held=is_held(entered, workspace))


def _is_alone(request: Request) -> bool:
    """Whether an open page asks by itself: its stream, and what it fetches anew because of that.

    Such requests keep no log-in alive, or it would never end where a page was left open.
    """
    return ALONE_HEADER in request.headers or request.url.path.endswith("/live")
