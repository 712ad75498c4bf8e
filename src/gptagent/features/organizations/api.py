"""Registering and logging in over REST. Identity's verbs and workspaces meet here: a token names one."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Request

from gptagent.features.identity import service as identity
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.identity.model import ACCESS_TOKEN_LIFE
from gptagent.features.identity.tokens import AccessClaims, AccessTokens
from gptagent.features.organizations import service
from gptagent.features.organizations.model import Workspace
from gptagent.features.organizations.registration import Register, register
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import NotFound
from gptagent.kernel.http import Body, Wire


class RegisterBody(Body):
    email: str
    full_name: str
    password: str
    organization: str
    locale: Literal["ru", "en"] = "ru"
    setup_token: str | None = None


class LoginBody(Body):
    email: str
    password: str
    workspace: int | None = None


class WorkspaceOut(Wire):
    number: int
    slug: str
    name: str
    role: str


class TokenOut(Wire):
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - RFC 6749's word
    expires_in: int
    workspace: WorkspaceOut


@dataclass(frozen=True, slots=True)
class AuthApi:
    db: Database
    tokens: AccessTokens
    limits: LoginLimits
    is_open: bool

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/api/v1/auth", tags=["auth"])
        router.post("/register", status_code=201)(self.register)
        router.post("/login")(self.login)
        return router

    async def register(self, request: Request, body: RegisterBody) -> TokenOut:
        await self.limits.check(client_address(request), body.email)
        person_id, workspace = await register(self.db, Register(**body.model_dump()), is_open=self.is_open)
        return self._token(person_id, workspace)

    async def login(self, request: Request, body: LoginBody) -> TokenOut:
        await self.limits.check(client_address(request), body.email)
        person_id = await identity.verify_password(self.db, body.email, body.password)
        async with self.db.installation() as session:
            workspaces = await service.list_workspaces(session, person_id)
        for workspace in workspaces:
            if body.workspace in {None, workspace.number}:
                return self._token(person_id, workspace)
        raise NotFound("workspace_not_found", "You do not belong to such a workspace.")

    def _token(self, person_id: UUID, workspace: Workspace) -> TokenOut:
        token = self.tokens.issue(AccessClaims(person_id, workspace.org_id), now=utcnow())
        return TokenOut(
            access_token=token,
            expires_in=int(ACCESS_TOKEN_LIFE.total_seconds()),
            workspace=WorkspaceOut(
                number=workspace.number, slug=workspace.slug, name=workspace.name, role=workspace.role
            ),
        )


def client_address(request: Request) -> str:
    """Return the peer's address. uvicorn has replaced it by the proxy's word only if the proxy is trusted."""
    return request.client.host if request.client else "unknown"
