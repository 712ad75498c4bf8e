"""Ada administers the platform."""

from dataclasses import replace

import httpx2

from gptagent.features.organizations.policy import PLATFORM_PERMISSIONS
from gptagent.kernel.db import Database
from gptagent.kernel.postgres import Roles
from gptagent.kernel.scope import PLATFORM_ID, Scope
from readers import Reader

REASON = "They asked for help."


async def make_administrator(roles: Roles, scope: Scope) -> Scope:
    """Set the person's flag in the database, as the operator's command does; return the ticket it gives."""
    owner = await Database.connect(roles.owner_dsn, max_connections=1)
    async with owner.installation() as session:
        await session.execute("update app.person set is_platform_admin = true where id = $1", scope.actor.id)
    await owner.close()
    return replace(
        scope,
        org_id=PLATFORM_ID,
        permissions=PLATFORM_PERMISSIONS,
        request_id="req",
        address="198.51.100.9",
    )


def enter_with(reader: Reader, token: str) -> None:
    """Keep the cookies as a browser does, so that a later one of the same name replaces them."""
    host = reader.http.base_url.host
    reader.http.cookies.clear()
    reader.http.cookies.set("session", token, domain=host)
    reader.http.cookies.set("language", "en", domain=host)


async def send(reader: Reader, path: str, fields: dict[str, str] | None = None) -> httpx2.Response:
    """Send a form of the administration, which lies below no workspace."""
    data = {"csrf_token": await reader.token(), **(fields or {})}
    return await reader.http.post(path, data=data)
