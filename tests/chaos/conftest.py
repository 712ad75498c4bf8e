"""Workspaces connected to an emulated CRM whose rate limit is off."""

import httpx2
import pytest

from cast import make_scope
from gptagent.kernel.crypto import Vault
from worlds import Account, make_world

WORLDS = 4


@pytest.fixture(scope="session")
async def worlds(database, kommo):
    """Four workspaces, each with its own account and agent."""
    vault = Vault([bytes(range(32))])
    made = []
    async with httpx2.AsyncClient(timeout=30) as client:
        for number in range(WORLDS):
            account = await Account.open(kommo, f"chaos{number}", client)
            made.append(await make_world(database, await make_scope(database), account, vault))
        yield made
        for world in made:
            await world.egress.aclose()
