"""Workspaces connected to an emulated CRM whose rate limit is off."""

import httpx2
import pytest

from cast import make_scope
from gptagent.kernel import db
from gptagent.kernel.crypto import Vault
from worlds import Account, make_world

WORLDS = 4

# Dozens of lanes share one pool in one process: who waits long for a connection waits for the machine.
db.CONNECT_TIMEOUT_SECONDS = 60.0


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
