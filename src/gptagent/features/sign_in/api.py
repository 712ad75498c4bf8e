"""Sign-in providers over REST: those of a workspace, and what a person is linked to."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import SecretStr

from gptagent.features.organizations import policy
from gptagent.features.organizations.account.guard import require_confirmed
from gptagent.features.organizations.service import require
from gptagent.features.sign_in import providers, service
from gptagent.features.sign_in.model import NewcomerRole, ProviderData
from gptagent.features.sign_in.service import SignIn
from gptagent.kernel.http import Body, CurrentScope, Wire, person_of
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


class LinkedOut(Wire):
    id: UUID
    name: str
    is_linked: bool


class LinkedList(Wire):
    items: list[LinkedOut]


@dataclass(frozen=True, slots=True)
class LinkedApi:
    """Linking itself leads through the provider's own pages, so it begins on ours, in a browser."""

    door: SignIn

    def router(self) -> APIRouter:
        router = api_router("/account/sign-in-providers", tags=["account"])
        router.get("", summary="List the sign-in providers you may link")(self.list)
        router.delete("/{provider_id}", status_code=204, summary="Unlink a sign-in provider")(self.unlink)
        return router

    async def list(self, request: Request, scope: CurrentScope) -> LinkedList:
        person_of(request)
        async with self.door.db.session(scope) as session:
            offered = await service.list_offered(self.door, session)
            linked = await service.list_linked(session)
        return LinkedList(
            items=[LinkedOut(id=one, name=name, is_linked=one in linked) for one, name in offered]
        )

    async def unlink(self, request: Request, scope: CurrentScope, provider_id: UUID) -> None:
        """Forget who the provider says you are: you do not sign in by it any more. Sensitive."""
        person_id = person_of(request)
        async with self.door.db.session(scope) as session:
            await require_confirmed(request, session)
            await service.require_offered(self.door, session, provider_id)
        async with self.door.db.installation(person_id) as session:
            await service.unlink(session, provider_id, person_id, origin=scope.origin)


def _data(body: ProviderBody) -> ProviderData:
    return ProviderData(
        body.name, body.issuer.strip(), body.client_id, body.client_secret.get_secret_value(), body.role
    )
