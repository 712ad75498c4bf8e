"""The pages of a workspace's keys: list, create, and the one moment a key is shown."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from gptagent.features.organizations import api_keys, policy
from gptagent.features.organizations.api_keys import DESCRIPTION_MAX_CHARS, NAME_MAX_CHARS
from gptagent.features.organizations.model import NewApiKey
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.errors import AppError, Conflict
from gptagent.kernel.http import CurrentScope
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import PAGE_MAX, Page
from gptagent.kernel.routing import page_router
from gptagent.kernel.scope import Scope
from gptagent.ui.web import Notice, Pages, base_of, field_errors, words

# What a key with this right may do, in the order shown.
SCOPES: Mapping[str, str] = {
    policy.VIEW: "See everything of the workspace",
    policy.EDIT_AGENTS: "Create, change, switch and delete agents",
    policy.EDIT_KNOWLEDGE: "Write articles, upload and delete documents",
    policy.WORK_CONVERSATIONS: "Take conversations over and give them back",
    policy.READ_ATTACHMENTS: "Download files that customers sent",
    policy.READ_EXPLANATIONS: "See how replies were made",
    policy.READ_PROMPTS: "See what models are told, word for word",
    policy.MANAGE_CONNECTIONS: "Connect and disconnect the CRM",
    policy.MANAGE_WORKSPACE: "Change the settings of the workspace",
    policy.MANAGE_PRIVACY: "Export and erase data of customers",
}
LIVES = ("90", "30", "365", "")  # in days; the last is for ever
DEFAULT_LIFE = "90"


@dataclass(frozen=True, slots=True)
class ApiKeyPages:
    db: Database
    pages: Pages

    def router(self) -> APIRouter:
        router = page_router("/manage/{workspace}/settings/api-keys")
        router.get("")(self.list)
        router.get("/create")(self.create_form)
        router.post("/create")(self.create)
        router.post("/{key_id}/revoke")(self.revoke)
        return router

    async def list(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.MANAGE_API_KEYS)
        page = Page(api_keys.ORDERS["-created_at"], PAGE_MAX)
        async with self.db.session(scope) as session:
            keys, _more = await api_keys.page_api_keys(session, page)
            shell = await self.pages.shell(request, session)
        states = {key.id: key.state(utcnow()) for key in keys}
        return self.pages.show(
            request, "organizations/api_keys.html", shell, keys=keys, states=states, labels=SCOPES
        )

    async def create_form(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.MANAGE_API_KEYS)
        return await self._form(request, scope)

    async def create(self, request: Request, scope: CurrentScope) -> Response:
        """Show the new key in the answer itself: it may lie in no cookie, and a reload makes no other."""
        require(scope, policy.MANAGE_API_KEYS)
        form = await request.form()
        try:
            async with self.db.session(scope) as session:
                issued = await api_keys.create_api_key(session, _key_id(form), _read(form), now=utcnow())
                shell = await self.pages.shell(request, session)
        except Conflict as error:
            known = Notice(
                "warning", error.message, params={name: str(value) for name, value in error.params.items()}
            )
            return self.pages.redirect(f"{base_of(request)}/settings/api-keys", known)
        except AppError as error:
            return await self._form(request, scope, form, error)
        response = self.pages.show(request, "organizations/api_key_made.html", shell, issued=issued)
        response.headers["cache-control"] = "no-store"
        return response

    async def _form(
        self,
        request: Request,
        scope: Scope,
        form: FormData | None = None,
        error: AppError | None = None,
    ) -> Response:
        async with self.db.session(scope) as session:
            shell = await self.pages.shell(request, session)
        given = _read(form) if form is not None else NewApiKey("", "", frozenset({policy.VIEW}), None)
        context: dict[str, Any] = {
            "given": given,
            "life": words(form, "life") if form is not None else DEFAULT_LIFE,
            "key_id": new_id(),
            "scopes": {name: text for name, text in SCOPES.items() if name in scope.permissions},
            "limits": {"name": NAME_MAX_CHARS, "description": DESCRIPTION_MAX_CHARS},
            "errors": field_errors(request, error) if error else {},
        }
        status = error.status if error else 200
        return self.pages.show(request, "organizations/api_key_create.html", shell, status=status, **context)

    async def revoke(self, request: Request, scope: CurrentScope, key_id: UUID) -> Response:
        require(scope, policy.MANAGE_API_KEYS)
        async with self.db.session(scope) as session:
            await api_keys.revoke_api_key(session, key_id, now=utcnow())
        gone = Notice("success", "The key is revoked", "Programs that use it are refused from now on.")
        return self.pages.redirect(f"{base_of(request)}/settings/api-keys", gone)


def _read(form: FormData) -> NewApiKey:
    scopes = frozenset(value for value in form.getlist("scopes") if isinstance(value, str))
    life = words(form, "life")
    days = int(life) if life.isdecimal() and life in LIVES else None
    return NewApiKey(words(form, "name"), words(form, "description"), scopes, days)


def _key_id(form: FormData) -> UUID:
    """Return the id the form brought: sent twice, it makes one key."""
    try:
        return UUID(words(form, "key_id"))
    except ValueError:
        return new_id()
