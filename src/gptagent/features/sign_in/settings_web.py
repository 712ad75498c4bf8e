"""The page where a workspace's owners keep its sign-in providers."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.features.sign_in import providers
from gptagent.features.sign_in.model import ROLES, ProviderData
from gptagent.features.sign_in.service import SignIn
from gptagent.kernel.errors import AppError, Conflict, Invalid
from gptagent.kernel.http import access_of
from gptagent.kernel.routing import page_router
from gptagent.ui.web import Notice, Pages, base_of, field_errors, message_of, words

PATH = "/settings/sign-in"
FIELDS = ("name", "issuer", "client_id", "role")


@dataclass(frozen=True, slots=True)
class ProviderPages:
    door: SignIn
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}" + PATH)
        router.get("")(self.list)
        router.post("")(self.add)
        router.get("/{provider_id}")(self.edit)
        router.post("/{provider_id}")(self.change)
        router.post("/{provider_id}/test")(self.test)
        router.post("/{provider_id}/remove")(self.remove)
        return router

    async def list(self, request: Request) -> Response:
        require(access_of(request).scope, policy.OWN_WORKSPACE)
        return await self._show(request)

    async def add(self, request: Request) -> Response:
        form, scope = await request.form(), access_of(request).scope
        require(scope, policy.OWN_WORKSPACE)
        try:
            made = await providers.add_provider(self.door.db, scope, self.door.oidc, _data(form))
        except (Invalid, Conflict) as error:
            return await self._show(request, None, form, error)
        return self._done(request, Notice("success", "“{name}” was added.", params={"name": made.name}))

    async def edit(self, request: Request, provider_id: UUID) -> Response:
        require(access_of(request).scope, policy.OWN_WORKSPACE)
        return await self._show(request, provider_id)

    async def change(self, request: Request, provider_id: UUID) -> Response:
        form, scope = await request.form(), access_of(request).scope
        require(scope, policy.OWN_WORKSPACE)
        try:
            made = await providers.change_provider(
                self.door.db, scope, self.door.oidc, provider_id, _data(form)
            )
        except (Invalid, Conflict) as error:
            return await self._show(request, provider_id, form, error)
        return self._done(request, Notice("success", "“{name}” was changed.", params={"name": made.name}))

    async def test(self, request: Request, provider_id: UUID) -> Response:
        scope = access_of(request).scope
        require(scope, policy.OWN_WORKSPACE)
        async with self.door.db.session(scope) as session:
            found = await providers.get_provider(session, provider_id)
        try:
            await providers.test_issuer(self.door.oidc, found.issuer)
        except AppError as error:
            return self._done(request, Notice("danger", error.fields[0].message))
        return self._done(request, Notice("success", "The provider answers as it should."))

    async def remove(self, request: Request, provider_id: UUID) -> Response:
        scope = access_of(request).scope
        require(scope, policy.OWN_WORKSPACE)
        async with self.door.db.session(scope) as session:
            await providers.remove_provider(session, provider_id)
        return self._done(request, Notice("success", "The provider was removed."))

    def _done(self, request: Request, notice: Notice) -> Response:
        return self.pages.redirect(base_of(request) + PATH, notice)

    async def _show(
        self,
        request: Request,
        provider_id: UUID | None = None,
        form: FormData | None = None,
        error: AppError | None = None,
    ) -> Response:
        async with self.door.db.session(access_of(request).scope) as session:
            shell = await self.pages.shell(request, session)
            found = await providers.list_providers(session)
            edited = await providers.get_provider(session, provider_id) if provider_id else None
        values = {name: getattr(edited, name, None) or "" for name in FIELDS}
        return self.pages.show(
            request,
            "sign_in/providers.html",
            shell,
            status=error.status if error else 200,
            providers=found,
            edited=edited,
            values={name: words(form, name) for name in FIELDS} if form else values,
            roles=ROLES,
            redirect_uri=self.door.redirect_uri,
            login_url=f"{self.door.base_url}/login/{request.state.workspace.number}",
            errors=field_errors(request, error) if error else {},
            failure=message_of(request, error) if error and not error.fields else "",
        )


def _data(form: FormData) -> ProviderData:
    role = words(form, "role")
    return ProviderData(
        name=words(form, "name"),
        issuer=words(form, "issuer").strip(),
        client_id=words(form, "client_id"),
        secret=words(form, "client_secret"),
        role=next((known for known in ROLES if known == role), None),
    )
