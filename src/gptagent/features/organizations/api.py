"""Registering and logging in over REST. Identity's verbs and workspaces meet here: a token names one."""

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import SecretStr

from gptagent.features.identity import service as identity
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.identity.model import (
    ACCESS_TOKEN_LIFE,
    STRONG_METHODS,
    Device,
    Links,
    RelyingParty,
    name_device,
)
from gptagent.features.identity.service import NewPerson
from gptagent.features.identity.tokens import AccessClaims, AccessTokens
from gptagent.features.organizations import service
from gptagent.features.organizations.model import Workspace
from gptagent.features.organizations.registration import Register, register
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import NotFound, Unauthenticated
from gptagent.kernel.http import Body, Wire, client_address, example
from gptagent.kernel.rest import api_router
from gptagent.kernel.scope import SYSTEM, Actor, Origin


class RegisterBody(Body):
    model_config = example(
        {
            "email": "alice@example.com",
            "given_name": "Alice",
            "family_name": "Liddell",
            "password": "a long sentence of yours",
            "organization": "Wonderland",
            "locale": "en",
        }
    )

    email: str
    given_name: str
    family_name: str = ""
    password: str
    organization: str
    locale: Literal["ru", "en"] = "ru"
    setup_token: str | None = None


class NewcomerBody(Body):
    """`email` is needed for an invitation by link; one to an address has it."""

    token: SecretStr
    given_name: str
    family_name: str = ""
    password: str
    email: str = ""
    locale: Literal["ru", "en"] = "ru"


class LoginBody(Body):
    model_config = example(
        {"email": "alice@example.com", "password": "a long sentence of yours", "workspace": 17}
    )

    email: str
    password: str
    workspace: int | None = None
    code: str | None = None


class PasskeyLoginBody(Body):
    """`credential` is what the browser's `PublicKeyCredential.toJSON()` gives."""

    credential: dict[str, Any]
    workspace: int | None = None


class PasskeyQuestionOut(Wire):
    """`options` is for `PublicKeyCredential.parseRequestOptionsFromJSON()`."""

    options: dict[str, Any]


class RefreshBody(Body):
    model_config = example({"refresh_token": "4Jp..."})

    refresh_token: str


class WorkspaceOut(Wire):
    number: int
    slug: str
    name: str
    role: str


class TokenOut(Wire):
    access_token: str
    refresh_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - RFC 6749's word
    expires_in: int
    workspace: WorkspaceOut


@dataclass(frozen=True, slots=True)
class AuthApi:
    db: Database
    tokens: AccessTokens
    limits: LoginLimits
    is_open: bool
    links: Links
    party: RelyingParty

    def router(self) -> APIRouter:
        router = api_router("/auth", tags=["auth"])
        router.post("/register", status_code=201, summary="Register a person with a workspace")(self.register)
        router.post("/invitation", status_code=201, summary="Register a person by an invitation")(
            self.accept_invitation
        )
        router.post("/login", summary="Log in")(self.login)
        router.post("/passkey/options", summary="Begin to log in with a passkey")(self.passkey_options)
        router.post("/passkey", summary="Log in with a passkey")(self.use_passkey)
        router.post("/refresh", summary="Exchange a refresh token for new tokens")(self.refresh)
        return router

    async def register(self, request: Request, body: RegisterBody) -> TokenOut:
        await self.limits.check(client_address(request), body.email)
        origin = origin_of(request)
        command = Register(**body.model_dump())
        person_id, workspace = await register(
            self.db, command, is_open=self.is_open, links=self.links, origin=origin
        )
        return await self._enter(request, person_id, workspace)

    async def accept_invitation(self, request: Request, body: NewcomerBody) -> TokenOut:
        """Create a person by an invitation, whether registration is open or not."""
        await self.limits.check_link(client_address(request))
        fields = body.model_dump(exclude={"token"})
        person = NewPerson(**fields)
        origin = origin_of(request)
        token = body.token.get_secret_value()
        entered = await service.accept_as_newcomer(self.db, token, person, origin, self.links)
        return await self._enter(request, *entered)

    async def login(self, request: Request, body: LoginBody) -> TokenOut:
        await self.limits.check(client_address(request), body.email)
        origin = origin_of(request)
        person_id = await identity.verify_password(self.db, body.email, body.password, origin=origin)
        method = await self._second_step(person_id, body.code, origin)
        return await self._choose(request, person_id, body.workspace, method)

    async def passkey_options(self, request: Request) -> PasskeyQuestionOut:
        """Ask for any passkey of this platform: good for one answer within five minutes."""
        await self.limits.check_address(client_address(request))
        async with self.db.installation() as session:
            return PasskeyQuestionOut(options=await identity.ask_for_passkey(session, self.party))

    async def use_passkey(self, request: Request, body: PasskeyLoginBody) -> TokenOut:
        """Log in by the answer. A passkey stands for the password and the second step."""
        await self.limits.check_address(client_address(request))
        person_id = await identity.log_in_with_passkey(self.db, body.credential, self.party)
        return await self._choose(request, person_id, body.workspace, "passkey")

    async def _choose(self, request: Request, person_id: UUID, number: int | None, method: str) -> TokenOut:
        """Enter the workspace with this number, or the first one. Raises NotFound."""
        async with self.db.installation() as session:
            workspaces = await service.list_workspaces(session, person_id)
        for workspace in workspaces:
            if number in {None, workspace.number}:
                return await self._enter(request, person_id, workspace, method)
        raise NotFound("workspace_not_found", "You do not belong to such a workspace.")

    async def _second_step(self, person_id: UUID, code: str | None, origin: Origin) -> str:
        """Return how the person got in. Raises Unauthenticated for a code that is missing or wrong."""
        async with self.db.installation(person_id) as session:
            if not await identity.has_second_factor(session, person_id):
                return "password"
            factor = await identity.accept_code(session, person_id, code or "", now=utcnow())
        if factor is not None:
            return factor
        if not code:
            raise Unauthenticated("second_factor_needed", "Send the code of your authenticator app as well.")
        await identity.record_refusal(self.db, person_id, origin)
        raise identity.wrong_code()

    async def _enter(
        self, request: Request, person_id: UUID, workspace: Workspace, method: str = ""
    ) -> TokenOut:
        async with self.db.installation(person_id) as session:
            grant_id, refresh_token = await identity.open_grant(
                session,
                person_id,
                workspace.org_id,
                device=device_of(request),
                is_strong=method in STRONG_METHODS,
            )
            if method:
                origin = origin_of(request, person_id)
                await identity.record_log_in(session, person_id, method, origin=origin)
        return self._tokens(AccessClaims(person_id, workspace.org_id, grant_id), refresh_token, workspace)

    async def refresh(self, body: RefreshBody) -> TokenOut:
        """Exchange a refresh token, once, for new tokens. A second use ends the whole log-in."""
        async with self.db.installation() as session:
            exchanged = await identity.use_refresh_token(session, body.refresh_token)
            found = await service.list_workspaces(session, exchanged[0].person_id) if exchanged else []
        for workspace in found:
            if exchanged and workspace.org_id == exchanged[0].org_id:
                return self._tokens(*exchanged, workspace)
        raise Unauthenticated("refresh_token_invalid", "The refresh token is not valid. Log in again.")

    def _tokens(self, claims: AccessClaims, refresh_token: str, workspace: Workspace) -> TokenOut:
        return TokenOut(
            access_token=self.tokens.issue(claims, now=utcnow()),
            refresh_token=refresh_token,
            expires_in=int(ACCESS_TOKEN_LIFE.total_seconds()),
            workspace=WorkspaceOut(
                number=workspace.number, slug=workspace.slug, name=workspace.name, role=workspace.role
            ),
        )


def device_of(request: Request) -> Device:
    """Return what the person will know this log-in by in the list of their log-ins."""
    return Device(name_device(request.headers.get("user-agent", "")), client_address(request))


def origin_of(request: Request, person_id: UUID | None = None) -> Origin:
    """Return who asks, for the record; before a log-in that is nobody."""
    actor = Actor("person", person_id) if person_id else SYSTEM
    return Origin(actor, request.state.request_id, client_address(request))
