"""Credentials, checked in one place for every path: the session cookie for pages, a token for the API."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from urllib.parse import quote
from uuid import UUID

from starlette.requests import Request

from gptagent.features.identity import service as identity
from gptagent.features.identity.model import WebSession
from gptagent.features.identity.tokens import AccessTokens
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.model import Workspace
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Forbidden, NotFound, Unauthenticated
from gptagent.kernel.http import Access
from gptagent.kernel.settings import Settings

# The whole list of addresses that need no credential. Everything else is refused before it is parsed.
OPEN_PATHS = re.compile(
    r"/|/login|/register|/setup/[^/]+|/language|/favicon\.ico|/assets/.*|/health/(live|ready)|/metrics"
    r"|/hooks/kommo/.*|/api/v1/auth/(register|login)|/api/v1/openapi\.json"
)
WORKSPACE_PATH = re.compile(r"/manage/(?P<number>\d{1,18})(?:-(?P<slug>[^/]*))?(?P<rest>/.*)?")
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_FIELD = "csrf_token"
CSRF_HEADER = "x-csrf-token"


@dataclass(frozen=True, slots=True)
class Visitor:
    """The person behind a session cookie, with the workspaces they may enter."""

    session: WebSession
    csrf_token: str
    workspaces: tuple[Workspace, ...]


@dataclass(frozen=True, slots=True)
class Authenticator:
    db: Database
    settings: Settings
    tokens: AccessTokens

    @property
    def cookie(self) -> str:
        return "__Host-session" if self.settings.secure_cookies else "session"

    async def admit(self, request: Request) -> None:
        """Put `access` (API, workspace pages) and `visitor` (pages) on the request's state.

        Raises Unauthenticated without a credential, NotFound for a workspace of others.
        """
        path = request.url.path
        if path.startswith("/api/"):
            if not OPEN_PATHS.fullmatch(path):
                request.state.access = await self._bearer(request)
            return
        request.state.visitor = await self._visitor(request)
        if OPEN_PATHS.fullmatch(path):
            return
        if request.state.visitor is None:
            raise Unauthenticated
        match = WORKSPACE_PATH.fullmatch(path)
        if match:
            request.state.workspace = self._workspace(request.state.visitor, int(match["number"]))
            request.state.access = self._access(request, request.state.workspace)

    def login_path(self, request: Request) -> str:
        """Return the log-in page that leads back to what was asked for."""
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return f"/login?next={quote(target, safe='/')}" if request.method == "GET" else "/login"

    async def _bearer(self, request: Request) -> Access:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated
        claims = self.tokens.read(token, now=utcnow())
        async with self.db.installation() as session:
            found = await organizations.list_workspaces(session, claims.person_id)
        for workspace in found:
            if workspace.org_id == claims.org_id:
                scope = organizations.scope_of(workspace, claims.person_id, request.state.request_id)
                return Access(claims.person_id, scope)
        raise Unauthenticated

    async def _visitor(self, request: Request) -> Visitor | None:
        token = request.cookies.get(self.cookie)
        if not token:
            return None
        async with self.db.installation() as session:
            found = await identity.find_session(session, token)
            if found is None:
                return None
            workspaces = await organizations.list_workspaces(session, found.person_id)
        return Visitor(found, csrf_token(token), tuple(workspaces))

    def _workspace(self, visitor: Visitor, number: int) -> Workspace:
        for workspace in visitor.workspaces:
            if workspace.number == number:
                return workspace
        raise NotFound

    def _access(self, request: Request, workspace: Workspace) -> Access:
        person_id: UUID = request.state.visitor.session.person_id
        return Access(person_id, organizations.scope_of(workspace, person_id, request.state.request_id))


def csrf_token(session_token: str) -> str:
    """Derive the token a form must carry: it follows the session and says nothing about it."""
    return hmac.new(session_token.encode(), b"csrf", hashlib.sha256).hexdigest()


def check_csrf(request: Request, given: str | None) -> None:
    """Raise Forbidden unless an unsafe request of a page carries its session's token."""
    if request.method in SAFE_METHODS:
        return
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    expected = visitor.csrf_token if visitor else request.cookies.get("csrf", "")
    if not expected or not given or not hmac.compare_digest(expected, given):
        raise Forbidden("csrf", "The page has expired. Reload it and try again.")
