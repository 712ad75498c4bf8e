"""Sign-in providers of a workspace over REST."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from pydantic import SecretStr

from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.features.sign_in import providers
from gptagent.features.sign_in.model import NewcomerRole, ProviderData
from gptagent.features.sign_in.service import SignIn
from gptagent.kernel.http import Body, CurrentScope, Wire
from gptagent.kernel.rest import api_router


class ProviderBody(Body):
    """`role`: of people the provider brings along; without it only invited ones come in."""

    name: str
    issuer: str
    client_id: str
    client_secret: SecretStr
    role: NewcomerRole | None = None


class ProviderOut(Wire):
    """Of the secret only the last characters."""

    id: UUID
    name: str
    issuer: str
    client_id: str
    secret_end: str
    role: NewcomerRole | None


class ProviderList(Wire):
    items: list[ProviderOut]


@dataclass(frozen=True, slots=True)
class ProvidersApi:
    door: SignIn

    def router(self) -> APIRouter:
        router = api_router("/sign-in-providers", tags=["sign-in"])
        router.get("", summary="List sign-in providers")(self.list)
        router.post("", status_code=201, summary="Add a sign-in provider")(self.add)
        router.put("/{provider_id}", summary="Change a sign-in provider")(self.change)
        router.delete("/{provider_id}", status_code=204, summary="Remove a sign-in provider")(self.remove)
        router.post("/{provider_id}/test", status_code=204, summary="Test a sign-in provider")(self.test)
        return router

    async def list(self, scope: CurrentScope) -> ProviderList:
        require(scope, policy.OWN_WORKSPACE)
        async with self.door.db.session(scope) as session:
            found = await providers.list_providers(session)
        return ProviderList(items=[ProviderOut.model_validate(one) for one in found])

    async def add(self, scope: CurrentScope, body: ProviderBody) -> ProviderOut:
        """Add a provider that answers as it should."""
        require(scope, policy.OWN_WORKSPACE)
        made = await providers.add_provider(self.door.db, scope, self.door.oidc, _data(body))
        return ProviderOut.model_validate(made)

    async def change(self, scope: CurrentScope, provider_id: UUID, body: ProviderBody) -> ProviderOut:
        """Change all of a provider; an empty secret keeps the one there is."""
        require(scope, policy.OWN_WORKSPACE)
        made = await providers.change_provider(self.door.db, scope, self.door.oidc, provider_id, _data(body))
        return ProviderOut.model_validate(made)

    async def remove(self, scope: CurrentScope, provider_id: UUID) -> None:
        require(scope, policy.OWN_WORKSPACE)
        async with self.door.db.session(scope) as session:
            await providers.remove_provider(session, provider_id)

    async def test(self, scope: CurrentScope, provider_id: UUID) -> None:
        """Fetch the provider's description and keys."""
        require(scope, policy.OWN_WORKSPACE)
        async with self.door.db.session(scope) as session:
            found = await providers.get_provider(session, provider_id)
        await providers.test_issuer(self.door.oidc, found.issuer)


def _data(body: ProviderBody) -> ProviderData:
    return ProviderData(
        body.name, body.issuer.strip(), body.client_id, body.client_secret.get_secret_value(), body.role
    )
