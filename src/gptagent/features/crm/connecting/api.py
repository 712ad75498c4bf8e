"""Integrations over REST, and the consent page's address for programs that show it to a person."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import SecretStr

from gptagent.features.crm.connecting import service
from gptagent.features.crm.connecting.model import CONSENT_LIFE, Integration, NewIntegration
from gptagent.features.crm.connecting.service import Connecting
from gptagent.features.crm.model import Brand
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.http import Body, CurrentScope, Wire, access_of, example
from gptagent.kernel.rest import CurrentMatch, api_router


class IntegrationBody(Body):
    model_config = example({"brand": "kommo", "client_id": "0b0832f6-...", "client_secret": "..."})

    brand: Brand
    client_id: str
    client_secret: SecretStr


class SecretBody(Body):
    model_config = example({"client_secret": "..."})

    client_secret: SecretStr


class IntegrationOut(Wire):
    """Of the secret only the last characters. `is_shared`: the installation's, not to be changed."""

    id: UUID
    brand: Brand
    client_id: str
    secret_end: str
    is_shared: bool
    created_at: datetime | None
    updated_at: datetime | None


class IntegrationsOut(Wire):
    """`redirect_uri` and `disconnect_hook` are what to enter in the CRM."""

    items: list[IntegrationOut]
    redirect_uri: str
    disconnect_hook: str


class ConsentBody(Body):
    model_config = example({"integration_id": "5d5c8f0e-1c1c-4a55-9d4e-3f3f0f0b8d11"})

    integration_id: UUID


class ConsentOut(Wire):
    """Where a person allows us in. They come back in a browser in which they are logged in here."""

    authorize_url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class IntegrationsApi:
    door: Connecting

    def routers(self) -> tuple[APIRouter, APIRouter]:
        router = api_router("/integrations", tags=["integrations"])
        router.get("", summary="List the integrations accounts can be connected by")(self.list)
        router.post("", status_code=201, summary="Add an integration's keys")(self.add)
        router.get("/{integration_id}", summary="Get an integration")(self.get)
        router.put("/{integration_id}/secret", summary="Replace an integration's secret")(self.change)
        router.delete("/{integration_id}", status_code=204, summary="Remove an integration's keys")(
            self.remove
        )
        consent = api_router("/connections", tags=["connections"])
        consent.post("/oauth", summary="Ask for consent to connect an account")(self.consent)
        return router, consent

    async def list(self, scope: CurrentScope) -> IntegrationsOut:
        require(scope, policy.MANAGE_CONNECTIONS)
        async with self.door.db.session(scope) as session:
            found = await self.door.keys.usable(session)
        return IntegrationsOut(
            items=[IntegrationOut.model_validate(one) for one in found],
            redirect_uri=self.door.redirect_uri,
            disconnect_hook=self.door.disconnect_hook,
        )

    async def add(self, scope: CurrentScope, body: IntegrationBody) -> IntegrationOut:
        require(scope, policy.MANAGE_CONNECTIONS)
        new = NewIntegration(body.brand, body.client_id, body.client_secret.get_secret_value())
        async with self.door.db.session(scope) as session:
            return _out(await service.add_integration(session, new, self.door.vault))

    async def get(self, scope: CurrentScope, integration_id: UUID) -> IntegrationOut:
        require(scope, policy.MANAGE_CONNECTIONS)
        async with self.door.db.session(scope) as session:
            return _out(await service.get_integration(session, integration_id))

    async def change(
        self, scope: CurrentScope, match: CurrentMatch, integration_id: UUID, body: SecretBody
    ) -> IntegrationOut:
        require(scope, policy.MANAGE_CONNECTIONS)
        secret = body.client_secret.get_secret_value()
        async with self.door.db.session(scope) as session:
            if match:
                match.check(_out(await service.get_integration(session, integration_id, lock=True)))
            return _out(await service.change_integration(session, integration_id, secret, self.door.vault))

    async def remove(self, scope: CurrentScope, match: CurrentMatch, integration_id: UUID) -> None:
        require(scope, policy.MANAGE_CONNECTIONS)
        async with self.door.db.session(scope) as session:
            if match:
                match.check(_out(await service.get_integration(session, integration_id, lock=True)))
            await service.remove_integration(session, integration_id)

    async def consent(self, request: Request, scope: CurrentScope, body: ConsentBody) -> ConsentOut:
        """Return the CRM's consent page for you to open.

        Only you can finish it: within ten minutes, once, in a browser in which you are logged in here. What a
        key has asked for is finished by whoever may manage connections.
        """
        require(scope, policy.MANAGE_CONNECTIONS)
        person_id, ends = access_of(request).person_id, utcnow() + CONSENT_LIFE
        address = await service.begin_consent(
            self.door, scope, body.integration_id, person_id=person_id, session_id=None
        )
        return ConsentOut(authorize_url=address, expires_at=ends)


def _out(found: Integration) -> IntegrationOut:
    return IntegrationOut.model_validate(found)
