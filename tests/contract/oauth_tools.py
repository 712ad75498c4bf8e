"""What the tests of OAuth share: an integration of the emulated CRM, and a workspace that uses it."""

from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from gptagent.features.crm.connecting import service
from gptagent.features.crm.connecting.model import CALLBACK, NewIntegration, Returned
from gptagent.features.crm.connecting.service import Connecting, Keys, TokenRenewal
from gptagent.kernel.ids import new_id

PUBLIC_URL = "http://127.0.0.1:9"
REDIRECT_URI = PUBLIC_URL + CALLBACK


@dataclass
class Office:
    """A workspace with the keys of its own integration. `session_id`: of its owner's browser."""

    door: Connecting
    scope: object
    integration: dict
    integration_id: object
    session_id: object = field(default_factory=new_id)

    @property
    def person_id(self):
        return self.scope.actor.id

    async def begin(self, **changes):
        who = {"person_id": self.person_id, "session_id": self.session_id} | changes
        return await service.begin_consent(self.door, self.scope, self.integration_id, **who)

    async def finish(self, answer, **changes):
        """Come back with what the consent page has sent the browser back with."""
        who = {"person_id": self.person_id, "session_id": self.session_id} | changes
        consent = await service.use_consent(self.door, answer["state"], **who)
        returned = Returned(answer["code"], answer["referer"], answer["client_id"])
        return await service.finish_consent(self.door, self.scope, consent, returned)

    async def connect(self, account):
        return await self.finish(allow(account, await self.begin()))

    async def link(self, connection_id):
        async with self.door.db.session(self.scope) as session:
            return await service.open_link(session, connection_id, self.door.vault)

    async def row(self, connection_id):
        async with self.door.db.session(self.scope) as session:
            return await session.fetchrow("select * from app.crm_connection where id = $1", connection_id)

    async def grant(self, connection_id):
        async with self.door.db.session(self.scope) as session:
            return await session.fetchrow(
                "select * from app.crm_grant where connection_id = $1", connection_id
            )


def door_of(database, vault, crm, **more):
    return Connecting(database, crm, vault, PUBLIC_URL, **more)


def renewal_of(database, vault, crm, shared=None):
    return TokenRenewal(database, crm, vault, Keys(vault, shared or {}), REDIRECT_URI)


async def open_office(door, scope, url, http, *, brand="kommo", **integration):
    """Register an integration with the emulator and keep its keys in the workspace."""
    body = {"redirect_uri": REDIRECT_URI, "brand": brand, **integration}
    made = http.post(f"{url}/_sandbox/integrations", json=body).raise_for_status().json()
    async with door.db.session(scope) as session:
        new = NewIntegration(brand, made["client_id"], made["client_secret"])
        kept = await service.add_integration(session, new, door.vault)
    return Office(door, scope, made, kept.id)


def allow(account, address, answer="allow"):
    """Answer the consent page and return what the browser is sent back with."""
    form = {"account": account.facts["subdomain"], "answer": answer}
    response = account.http.post(address, data=form, follow_redirects=False)
    assert response.status_code == 302, response.text
    query = urlsplit(response.headers["location"]).query
    return {name: values[0] for name, values in parse_qs(query).items()}


def counts(account):
    return account.steer("GET", "/grants")
