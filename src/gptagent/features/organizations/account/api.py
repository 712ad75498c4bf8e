"""A person's own account over REST. Programs with a key have none."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Request, UploadFile
from pydantic import Field
from starlette.responses import Response

from gptagent.features.identity import service as identity
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.identity.model import LogIn, LogInKind, Proof, RelyingParty
from gptagent.features.identity.service import ChangePassword, ProfileChanges
from gptagent.features.organizations.account.guard import (
    current_log_in,
    refuse_borrowed,
    require_confirmed,
)
from gptagent.features.organizations.account.web import picture_of, read_picture
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database, Session
from gptagent.kernel.errors import Invalid, Unauthenticated
from gptagent.kernel.files import FileStore
from gptagent.kernel.http import Body, CurrentScope, Wire, person_of
from gptagent.kernel.rest import CurrentMatch, api_router

# An operation without an id in its address may answer 404 as well.
MISSING: dict[int | str, dict[str, Any]] = {404: {}}


class AccountOut(Wire):
    id: UUID
    email: str
    given_name: str
    family_name: str
    full_name: str
    locale: str
    has_avatar: bool
    has_second_factor: bool
    recovery_codes_left: int


class AccountPatch(Body):
    """Fields left out stay as they are."""

    given_name: str | None = None
    family_name: str | None = None
    locale: Literal["ru", "en"] | None = None


class PasswordBody(Body):
    current_password: str
    new_password: str


class ProofBody(Body):
    """The password, and where the second step is on a code as well; or what a passkey answered."""

    password: str = ""
    code: str = ""
    credential: dict[str, Any] | None = None


class CodeBody(Body):
    code: str


class LogInOut(Wire):
    id: UUID
    kind: LogInKind
    device: str
    address: str
    created_at: datetime
    last_seen_at: datetime
    is_current: bool


class LogInsOut(Wire):
    items: list[LogInOut]


class EnrolmentOut(Wire):
    """`uri` is what the QR code for the app says."""

    secret: str
    uri: str


class RecoveryCodesOut(Wire):
    """Shown this once. Each is good for one log-in."""

    codes: list[str]


class PasskeyBody(Body):
    """`credential` is what the browser's `PublicKeyCredential.toJSON()` gives."""

    name: str
    credential: dict[str, Any]


class PasskeyOut(Wire):
    id: UUID
    name: str
    created_at: datetime
    last_used_at: datetime | None


class PasskeysOut(Wire):
    items: list[PasskeyOut]


class PasskeyOptionsOut(Wire):
    """`options` is for `PublicKeyCredential.parseCreationOptionsFromJSON()`, or `parseRequestOptions...`."""

    options: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AccountApi:
    db: Database
    files: FileStore
    limits: LoginLimits
    party: RelyingParty

    def router(self) -> APIRouter:
        router = api_router("/account", tags=["account"])
        router.get("", summary="Get your account")(self.get)
        router.patch("", summary="Change your name or language")(self.update)
        router.get("/avatar", summary="Get your picture", response_class=Response, responses=MISSING)(
            self.get_avatar
        )
        router.put("/avatar", status_code=204, summary="Set your picture")(self.set_avatar)
        router.delete("/avatar", status_code=204, summary="Remove your picture")(self.remove_avatar)
        router.post("/password", status_code=204, summary="Change your password")(self.change_password)
        router.post("/confirmation", status_code=204, summary="Confirm that it is you")(self.confirm)
        router.post("/confirmation/options", summary="Begin to confirm by a passkey")(self.confirm_options)
        router.get("/sessions", summary="List log-ins with a browser")(self.list_sessions)
        router.delete("/sessions", status_code=204, summary="Log out everywhere else")(self.end_others)
        router.delete("/sessions/{session_id}", status_code=204, summary="End one of them")(self.end_session)
        router.get("/grants", summary="List log-ins over the API")(self.list_grants)
        router.delete("/grants/{grant_id}", status_code=204, summary="End one of these")(self.end_grant)
        router.post("/totp", summary="Begin with an authenticator app")(self.begin_totp)
        router.post("/totp/confirm", summary="Switch the second step on")(self.confirm_totp)
        router.delete("/totp", status_code=204, summary="Switch the second step off", responses=MISSING)(
            self.disable_totp
        )
        router.post("/recovery-codes", summary="Make new recovery codes")(self.renew_codes)
        router.get("/passkeys", summary="List your passkeys")(self.list_passkeys)
        router.post("/passkeys/options", summary="Begin with a passkey")(self.passkey_options)
        router.post("/passkeys", status_code=201, summary="Add a passkey")(self.add_passkey)
        router.delete("/passkeys/{passkey_id}", status_code=204, summary="Forget one")(self.remove_passkey)
        return router

    async def get(self, request: Request, scope: CurrentScope) -> AccountOut:
        person_id = person_of(request)
        async with self.db.session(scope) as session:
            return await _account(session, person_id)

    async def update(
        self, request: Request, scope: CurrentScope, body: AccountPatch, match: CurrentMatch
    ) -> AccountOut:
        person_id = person_of(request)
        async with self.db.session(scope) as session:
            match.check(await _account(session, person_id))
            await identity.update_profile(session, person_id, ProfileChanges(**body.model_dump()))
            return await _account(session, person_id)

    async def get_avatar(self, request: Request) -> Response:
        """Return the picture, a square WebP."""
        return await picture_of(self.db, self.files, person_of(request))

    async def set_avatar(self, request: Request, file: UploadFile) -> None:
        """Take a PNG, JPEG or WebP picture of up to 5 MB; its middle is kept as a square."""
        person_id = person_of(request)
        await identity.set_avatar(self.db, self.files, person_id, await read_picture(file))

    async def remove_avatar(self, request: Request) -> None:
        await identity.remove_avatar(self.db, self.files, person_of(request))

    async def change_password(self, request: Request, scope: CurrentScope, body: PasswordBody) -> None:
        """Set a new password. Every other log-in ends, with a browser and over the API."""
        person_id = person_of(request)
        await self.limits.check_person(person_id)
        await identity.change_password(
            self.db,
            person_id,
            ChangePassword(body.current_password, body.new_password),
            current=current_log_in(request),
            origin=scope.origin,
        )

    async def confirm(self, request: Request, body: ProofBody) -> None:
        """Show who you are: sensitive operations need it to be no longer ago than 15 minutes."""
        person_id = person_of(request)
        await self.limits.check_person(person_id)
        current = current_log_in(request)
        if body.credential is not None:
            try:
                await identity.confirm_by_passkey(
                    self.db, person_id, body.credential, self.party, current=current
                )
            except Unauthenticated as error:  # the token is as good as before
                raise Invalid.field("credential", error.message) from error
            return
        proof = Proof(body.password, body.code)
        await identity.confirm_person(self.db, person_id, proof, current=current, now=utcnow())

    async def confirm_options(self, request: Request, scope: CurrentScope) -> PasskeyOptionsOut:
        """Return what a browser needs to use one of your passkeys, within five minutes."""
        person_id = person_of(request)
        async with self.db.session(scope) as session:
            options = await identity.ask_for_passkey(session, self.party, person_id=person_id)
        return PasskeyOptionsOut(options=options)

    async def list_sessions(self, request: Request, scope: CurrentScope) -> LogInsOut:
        """Return the log-ins with a browser."""
        person_of(request)
        return await self._log_ins(request, scope, "browser")

    async def list_grants(self, request: Request, scope: CurrentScope) -> LogInsOut:
        """Return the log-ins over the API."""
        person_of(request)
        return await self._log_ins(request, scope, "api")

    async def _log_ins(self, request: Request, scope: CurrentScope, kind: LogInKind) -> LogInsOut:
        refuse_borrowed(request)
        async with self.db.session(scope) as session:
            found = await identity.list_log_ins(session, current_log_in(request))
        return LogInsOut(items=[_log_in(one) for one in found if one.kind == kind])

    async def end_others(self, request: Request, scope: CurrentScope) -> None:
        """End every log-in but this one, with a browser and over the API."""
        person_id = person_of(request)
        async with self.db.session(scope) as session:
            current = current_log_in(request)
            await identity.end_other_log_ins(session, person_id, current, origin=scope.origin)

    async def end_session(self, request: Request, scope: CurrentScope, session_id: UUID) -> None:
        person_of(request)
        async with self.db.session(scope) as session:
            await identity.revoke_session(session, session_id, origin=scope.origin)

    async def end_grant(self, request: Request, scope: CurrentScope, grant_id: UUID) -> None:
        person_of(request)
        async with self.db.session(scope) as session:
            await identity.revoke_grant(session, grant_id, origin=scope.origin)

    async def begin_totp(self, request: Request, scope: CurrentScope) -> EnrolmentOut:
        """Return a secret for an authenticator app. It counts once a code of it was confirmed."""
        person_id = person_of(request)
        async with self.db.session(scope) as session:
            await require_confirmed(request, session)
            person = await identity.get_person(session, person_id)
            return EnrolmentOut.model_validate(await identity.begin_totp(session, person))

    async def confirm_totp(self, request: Request, scope: CurrentScope, body: CodeBody) -> RecoveryCodesOut:
        """Switch the second step on. Returns the recovery codes, this once."""
        person_id = person_of(request)
        await self.limits.check_person(person_id)
        async with self.db.session(scope) as session:
            await require_confirmed(request, session)
            codes = await identity.confirm_totp(
                session, person_id, body.code, origin=scope.origin, now=utcnow()
            )
            await identity.note_confirmation(session, current_log_in(request), is_strong=True)
        return RecoveryCodesOut(codes=codes)

    async def disable_totp(self, request: Request, scope: CurrentScope) -> None:
        person_id = person_of(request)
        async with self.db.session(scope) as session:
            await require_confirmed(request, session)
            await identity.disable_totp(session, person_id, origin=scope.origin)

    async def renew_codes(self, request: Request, scope: CurrentScope) -> RecoveryCodesOut:
        """Return new recovery codes, this once; the old ones are void."""
        person_id = person_of(request)
        async with self.db.session(scope) as session:
            await require_confirmed(request, session)
            codes = await identity.renew_recovery_codes(session, person_id, origin=scope.origin)
        return RecoveryCodesOut(codes=codes)

    async def list_passkeys(self, request: Request, scope: CurrentScope) -> PasskeysOut:
        person_id = person_of(request)
        async with self.db.session(scope) as session:
            found = await identity.list_passkeys(session, person_id)
        return PasskeysOut(items=[PasskeyOut.model_validate(one) for one in found])

    async def passkey_options(self, request: Request, scope: CurrentScope) -> PasskeyOptionsOut:
        """Return what a browser needs to make a passkey, within five minutes."""
        person_id = person_of(request)
        async with self.db.session(scope) as session:
            await require_confirmed(request, session)
            person = await identity.get_person(session, person_id)
            return PasskeyOptionsOut(options=await identity.begin_passkey(session, person, self.party))

    async def add_passkey(self, request: Request, scope: CurrentScope, body: PasskeyBody) -> PasskeyOut:
        """Keep a passkey that a browser has made. People log in with it on the platform's page."""
        person_id = person_of(request)
        async with self.db.session(scope) as session:
            await require_confirmed(request, session)
            made = await identity.add_passkey(
                session, person_id, body.name, body.credential, self.party, origin=scope.origin
            )
            await identity.note_confirmation(session, current_log_in(request), is_strong=True)
        return PasskeyOut.model_validate(made)

    async def remove_passkey(self, request: Request, scope: CurrentScope, passkey_id: UUID) -> None:
        person_of(request)
        async with self.db.session(scope) as session:
            await require_confirmed(request, session)
            await identity.remove_passkey(session, passkey_id, origin=scope.origin)


async def _account(session: Session, person_id: UUID) -> AccountOut:
    person = await identity.get_person(session, person_id)
    factor = await identity.get_second_factor(session, person_id)
    return AccountOut(
        id=person.id,
        email=person.email,
        given_name=person.given_name,
        family_name=person.family_name,
        full_name=person.full_name,
        locale=person.locale,
        has_avatar=person.avatar_key is not None,
        has_second_factor=factor.is_on,
        recovery_codes_left=factor.recovery_codes_left,
    )


def _log_in(found: LogIn) -> LogInOut:
    return LogInOut(**{name: getattr(found, name) for name in LogInOut.model_fields})
