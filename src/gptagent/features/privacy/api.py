"""Privacy over REST: periods, customers' data, a person's own."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from fastapi import Request
from fastapi.routing import APIRouter
from pydantic import SecretStr
from starlette.responses import Response, StreamingResponse

from gptagent.features.identity.limits import LoginLimits
from gptagent.features.organizations import policy
from gptagent.features.organizations.service import require
from gptagent.features.privacy import service
from gptagent.kernel.db import Database
from gptagent.kernel.files import FileStore
from gptagent.kernel.http import Body, CurrentScope, QueryText, Wire, client_address, person_of
from gptagent.kernel.rest import api_router


class RetentionPatch(Body):
    """Days; null keeps it for ever. Fields left out stay as they are."""

    conversations: int | None = None
    events: int | None = None
    answers: int | None = None
    memories: int | None = None


class RetentionOut(Wire):
    conversations: int | None
    events: int | None
    answers: int | None
    memories: int | None


class CustomerOut(Wire):
    conversation_id: UUID
    contact_id: int | None
    name: str
    channel: str
    conversations: int
    messages: int
    last_message_at: datetime


class CustomersOut(Wire):
    items: list[CustomerOut]


class EraseBody(Body):
    proof: SecretStr


@dataclass(frozen=True, slots=True)
class PrivacyApi:
    db: Database
    files: FileStore
    limits: LoginLimits

    def routers(self) -> tuple[APIRouter, ...]:
        privacy = api_router("/privacy", tags=["privacy"])
        privacy.get("/retention", summary="How long the workspace keeps what")(self.retention)
        privacy.patch("/retention", summary="Change how long it is kept")(self.change_retention)
        privacy.get("/customers", summary="Find customers")(self.customers)
        one = "/customers/{conversation_id}"
        privacy.get(one, summary="Everything kept about a customer")(self.export_customer)
        privacy.delete(one, status_code=204, summary="Erase a customer")(self.erase_customer)
        account = api_router("/account", tags=["account"])
        account.get("/export", summary="Everything kept about you")(self.export_person)
        account.post("/erase", status_code=204, summary="Erase your account")(self.erase_person)
        return privacy, account

    async def retention(self, scope: CurrentScope) -> RetentionOut:
        require(scope, policy.MANAGE_PRIVACY)
        async with self.db.session(scope) as session:
            return RetentionOut.model_validate(await service.get_retention(session))

    async def change_retention(self, scope: CurrentScope, body: RetentionPatch) -> RetentionOut:
        require(scope, policy.MANAGE_PRIVACY)
        changes = body.model_dump(exclude_unset=True)
        async with self.db.session(scope) as session:
            return RetentionOut.model_validate(await service.set_retention(session, changes))

    async def customers(self, scope: CurrentScope, search: QueryText = "") -> CustomersOut:
        require(scope, policy.MANAGE_PRIVACY)
        async with self.db.session(scope) as session:
            found = await service.find_customers(session, text=search)
        return CustomersOut(items=[CustomerOut.model_validate(one) for one in found])

    async def export_customer(self, scope: CurrentScope, conversation_id: UUID) -> Response:
        require(scope, policy.MANAGE_PRIVACY)
        return as_file(await service.export_customer(self.db, scope, conversation_id), "customer")

    async def erase_customer(self, scope: CurrentScope, conversation_id: UUID) -> None:
        require(scope, policy.MANAGE_PRIVACY)
        async with self.db.session(scope) as session:
            await service.erase_customer(session, conversation_id)

    async def export_person(self, request: Request, scope: CurrentScope) -> Response:
        require(scope, policy.VIEW)
        kept = await service.export_person(self.db, self.files, person_of(request), scope.origin)
        return as_file(kept, "account")

    async def erase_person(self, request: Request, scope: CurrentScope, body: EraseBody) -> None:
        """`proof` is the password, or the e-mail address of a person who has none."""
        require(scope, policy.VIEW)
        person_id = person_of(request)
        await self.limits.check(client_address(request), str(person_id))
        proof = body.proof.get_secret_value()
        await service.erase_person(self.db, self.files, person_id, proof, scope.origin)


def as_file(pieces: AsyncIterator[bytes], name: str) -> Response:
    """Return what is kept as a file that no browser shows as a page, written while it is read."""
    headers = {
        "content-disposition": f'attachment; filename="{name}.json"',
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    }
    return StreamingResponse(pieces, headers=headers, media_type="application/json")
