"""Workspaces connected to an emulated CRM whose rate limit is off."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx2
import pytest
from lanes import make_world

from cast import make_scope
from gptagent.kernel.crypto import Vault
from gptagent.sandbox.spawn import running

WORLDS = 4


@dataclass
class Account:
    """One account of the emulated CRM."""

    url: str
    subdomain: str
    token: str
    client: httpx2.AsyncClient

    @property
    def host_port(self):
        parts = urlsplit(self.url)
        return parts.hostname, parts.port

    async def new_chat(self):
        return await self._call("POST", "/chats", {"name": "Ann", "origin": "waba"})

    async def sent(self, chat_id):
        """Ids of the messages that our sends have put into the chat."""
        answer = await self._call("GET", f"/chats/{chat_id}/messages")
        return [m["id"] for m in answer["messages"] if m["author"] == "bot"]

    async def break_next(self, path, **fault):
        await self._call("POST", "/faults", {"method": "POST", "path": path, "count": 1, **fault})

    async def _call(self, method, path, body=None):
        response = await self.client.request(
            method, f"{self.url}/_sandbox/accounts/{self.subdomain}{path}", json=body
        )
        response.raise_for_status()
        return response.json()


@pytest.fixture(scope="session")
def kommo():
    with running("kommo") as url:
        yield url


@pytest.fixture(scope="session")
async def worlds(database, kommo):
    """Four workspaces, each with its own account and agent."""
    vault = Vault([bytes(range(32))])
    made = []
    async with httpx2.AsyncClient(timeout=30) as client:
        await client.post(f"{kommo}/_sandbox/knobs", json={"requests_per_second": 0, "retries": False})
        for number in range(WORLDS):
            answer = await client.post(f"{kommo}/_sandbox/accounts", json={"subdomain": f"chaos{number}"})
            account = Account(kommo, f"chaos{number}", answer.json()["token"], client)
            made.append(await make_world(database, await make_scope(database), account, vault))
        yield made
        for world in made:
            await world.egress.aclose()
