"""How a client speaks to the web process: with whose token, and from which address."""

import time
from dataclasses import dataclass, field
from itertools import count

import httpx2

from gptagent.kernel.crypto import Vault
from gptagent.kernel.db import Database
from gptagent.kernel.scope import Scope
from members import bearer

FRESH_SECONDS = 300
METRICS_TOKEN = "the operator's own word"
_addresses = count(1)


def new_address() -> dict[str, str]:
    """Return a proxy's header for a client nobody has seen: log-ins are limited by address."""
    number = next(_addresses)
    return {"x-forwarded-for": f"198.51.{number // 250}.{number % 250 + 1}"}


@dataclass
class Door:
    """The web process as a client sees it. Whatever was used here must not stand in the log."""

    http: httpx2.AsyncClient
    database: Database
    vault: Vault
    used: set[str]
    scope: Scope | None = None
    headers: dict[str, str] = field(default_factory=dict)
    opened_at: float = field(default_factory=time.monotonic)

    async def of(self, scope: Scope, **options) -> "Door":
        """Return the same door with this person's access token."""
        headers = await bearer(self.database, self.vault, scope, **options)
        self.used.add(headers["authorization"].split()[1])
        return Door(self.http, self.database, self.vault, self.used, scope, headers)

    async def keep_open(self) -> None:
        """Log in anew before the access token ends: it lasts ten minutes, the tests may take longer."""
        if self.scope is not None and time.monotonic() - self.opened_at > FRESH_SECONDS:
            again = await self.of(self.scope)
            self.headers, self.opened_at = again.headers, again.opened_at

    async def __call__(self, method: str, path: str, *, headers=None, **options) -> httpx2.Response:
        return await self.http.request(method, path, headers={**self.headers, **(headers or {})}, **options)

    async def log_in(self, email: str, password: str, **more) -> httpx2.Response:
        body = {"email": email, "password": password, **more}
        return await self("POST", "/api/v1/auth/login", json=body, headers=new_address())

    async def register(self, email: str, **more) -> httpx2.Response:
        body = {
            "email": email,
            "given_name": "Alice",
            "family_name": "Liddell",
            "password": "correct horse battery",
        }
        body |= {"organization": "Wonderland", **more}
        self.used |= {str(body["email"]), str(body["family_name"]), str(body["password"])}
        return await self("POST", "/api/v1/auth/register", json=body, headers=new_address())
