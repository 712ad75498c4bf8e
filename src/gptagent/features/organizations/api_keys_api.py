"""Keys of programs over REST."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from gptagent.features.organizations import api_keys, policy
from gptagent.features.organizations.model import ApiKey, NewApiKey
from gptagent.features.organizations.service import require
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.http import Body, CurrentScope, Wire, example
from gptagent.kernel.ids import new_id
from gptagent.kernel.paging import Page, page_of
from gptagent.kernel.rest import CurrentMatch, api_router


class NewApiKeyBody(Body):
    """`scopes` are rights the caller has; without `expires_in_days` the key does not expire."""

    model_config = example({"name": "Website", "scopes": ["view"], "expires_in_days": 90})

    name: str
    description: str = ""
    scopes: list[str]
    expires_in_days: int | None = None


class ApiKeyOut(Wire):
    """`key_start` and `key_end` are what the key is known by; the key itself is kept nowhere."""

    moving: ClassVar[frozenset[str]] = frozenset({"last_used_at"})

    id: UUID
    name: str
    description: str
    key_start: str
    key_end: str
    scopes: list[str]
    state: Literal["active", "expired", "revoked"]
    created_by: UUID | None
    created_by_name: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class IssuedKeyOut(ApiKeyOut):
    """`key` is told here and never again."""

    key: str


class ApiKeysOut(Wire):
    items: list[ApiKeyOut]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ApiKeysApi:
    db: Database

    def router(self) -> APIRouter:
        router = api_router("/api-keys", tags=["api-keys"])
        router.get("", summary="List keys of programs")(self.list)
        router.post("", status_code=201, summary="Make a key")(self.create)
        router.get("/{key_id}", summary="Get a key, without its secret")(self.get)
        router.delete("/{key_id}", status_code=204, summary="Revoke a key")(self.revoke)
        return router

    async def list(
        self,
        scope: CurrentScope,
        page: Annotated[Page, page_of(api_keys.ORDERS, "-created_at")],
        in_use: bool | None = None,
    ) -> ApiKeysOut:
        require(scope, policy.MANAGE_API_KEYS)
        async with self.db.session(scope) as session:
            found, after = await api_keys.page_api_keys(session, page, in_use=in_use)
        return ApiKeysOut(items=[_out(key) for key in found], next_cursor=after)

    async def create(self, response: Response, scope: CurrentScope, body: NewApiKeyBody) -> IssuedKeyOut:
        require(scope, policy.MANAGE_API_KEYS)
        new = NewApiKey(body.name, body.description, frozenset(body.scopes), body.expires_in_days)
        async with self.db.session(scope) as session:
            issued = await api_keys.create_api_key(session, new_id(), new, now=utcnow())
        response.headers["cache-control"] = "no-store"
        return IssuedKeyOut(**_out(issued.key).model_dump(), key=issued.secret)

    async def get(self, scope: CurrentScope, key_id: UUID) -> ApiKeyOut:
        require(scope, policy.MANAGE_API_KEYS)
        async with self.db.session(scope) as session:
            return _out(await api_keys.get_api_key(session, key_id))

    async def revoke(self, scope: CurrentScope, match: CurrentMatch, key_id: UUID) -> None:
        """Make a key useless at once. It stays in the list."""
        require(scope, policy.MANAGE_API_KEYS)
        async with self.db.session(scope) as session:
            if match:
                match.check(_out(await api_keys.get_api_key(session, key_id, lock=True)))
            await api_keys.revoke_api_key(session, key_id, now=utcnow())


def _out(key: ApiKey) -> ApiKeyOut:
    names = ApiKeyOut.model_fields.keys() - {"state"}
    return ApiKeyOut(**{name: getattr(key, name) for name in names}, state=key.state(utcnow()))
