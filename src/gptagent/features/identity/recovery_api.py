"""What the pages of recovery_web.py and email_web.py do, over REST."""

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import SecretStr

from gptagent.features.identity import addresses, recovery
from gptagent.features.identity.addresses import ChangeEmail
from gptagent.features.identity.limits import LoginLimits
from gptagent.features.identity.model import CurrentLogIn, Links
from gptagent.features.identity.recovery import NewPassword
from gptagent.features.identity.recovery_web import origin_of
from gptagent.kernel.db import Database
from gptagent.kernel.http import Body, Wire, access_of, client_address, example, person_of, scope_of
from gptagent.kernel.rest import api_router


class ResetRequestBody(Body):
    model_config = example({"email": "alice@example.com"})

    email: str


class ResetBody(Body):
    model_config = example({"token": "k2f...", "password": "a long sentence of yours"})

    token: str
    password: SecretStr


class LinkBody(Body):
    model_config = example({"token": "k2f..."})

    token: str


class EmailBody(Body):
    model_config = example({"email": "alice@example.org", "password": "a long sentence of yours"})

    email: str
    password: SecretStr


class EmailOut(Wire):
    """`changed`: at once. Otherwise the new address has a letter with a link."""

    status: Literal["changed", "letter_sent"]


@dataclass(frozen=True, slots=True)
class RecoveryApi:
    db: Database
    limits: LoginLimits
    links: Links

    def router(self) -> APIRouter:
        router = api_router("", tags=["auth"])
        router.post(
            "/auth/reset-password/request", status_code=202, summary="Ask for a link to a new password"
        )(self.request_reset)
        router.post(
            "/auth/reset-password/confirm", status_code=204, summary="Set a new password by the link"
        )(self.reset)
        router.post("/auth/verify-email", status_code=204, summary="Confirm an address by the link")(
            self.verify
        )
        router.post("/auth/change-email", status_code=204, summary="Change an address by the link")(
            self.change
        )
        router.post("/account/email", status_code=202, summary="Begin to change your address")(
            self.ask_change
        )
        router.post(
            "/account/email/verification", status_code=202, summary="Send the link to your address again"
        )(self.send_verification)
        return router

    async def request_reset(self, request: Request, body: ResetRequestBody) -> None:
        """Send a link to a new password if there is such an account. The answer does not tell."""
        await self.limits.check_letter(client_address(request), body.email)
        await recovery.ask_reset(self.db, body.email, self.links)

    async def reset(self, request: Request, body: ResetBody) -> None:
        """Set a new password with the token of the link. All log-ins of the person end."""
        command = NewPassword(body.token, body.password.get_secret_value())
        await recovery.reset_password(self.db, command, links=self.links, origin=origin_of(request))

    async def verify(self, request: Request, body: LinkBody) -> None:
        """Confirm an address with the token of the link."""
        await addresses.use_link(self.db, "verify_email", body.token, origin=origin_of(request))

    async def change(self, request: Request, body: LinkBody) -> None:
        """Change an address with the token of the link."""
        await addresses.use_link(self.db, "change_email", body.token, origin=origin_of(request))

    async def ask_change(self, request: Request, body: EmailBody) -> EmailOut:
        """Begin to change one's own address; it takes the password, and a confirmation if a code is used."""
        person_id = person_of(request)
        await self.limits.check_letter(client_address(request), str(person_id))
        await self.limits.check_recipient(body.email, scope_of(request).org_id)
        changed = await addresses.ask_change(
            self.db,
            person_id,
            ChangeEmail(body.email, body.password.get_secret_value()),
            links=self.links,
            current=CurrentLogIn(grant_id=access_of(request).grant_id),
            origin=scope_of(request).origin,
        )
        return EmailOut(status="changed" if changed else "letter_sent")

    async def send_verification(self, request: Request) -> None:
        """Send the link that confirms one's own address again, if it is not confirmed."""
        person_id = person_of(request)
        await self.limits.check_letter(client_address(request), str(person_id))
        org_id = scope_of(request).org_id
        await addresses.send_verification(self.db, person_id, self.links, self.limits, org_id=org_id)
