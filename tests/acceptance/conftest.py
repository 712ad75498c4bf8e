"""One web process with an emulated CRM, and people who knock at its door over HTTP."""

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count
from pathlib import Path

import httpx2
import pytest

from acceptance.door import METRICS_TOKEN, Door
from cast import make_scope
from gptagent.kernel.crypto import Vault, load_vault
from gptagent.kernel.db import Database
from gptagent.kernel.settings import Settings
from gptagent.sandbox.spawn import running
from servers import Server, serving


@pytest.fixture(scope="session")
def sandbox() -> Iterator[str]:
    with running("kommo") as url:
        yield url


@pytest.fixture(scope="session")
def web(home: Path, roles, sandbox: str) -> Iterator[Server]:
    settings = {"KOMMO_SANDBOX_URL": sandbox, "METRICS_TOKEN": METRICS_TOKEN}
    with serving(home, is_patient=True, RATE_FACTOR="1000", REGISTRATION="open", **settings) as server:
        yield server


@pytest.fixture(scope="session")
def vault(web: Server, home: Path) -> Vault:
    return load_vault(Settings(gptagent_home=home))


@pytest.fixture(scope="session")
async def door(web: Server, database: Database, vault: Vault) -> AsyncIterator[Door]:
    async with httpx2.AsyncClient(base_url=web.url, timeout=60) as client:
        yield Door(client, database, vault, web.used)


@pytest.fixture(scope="session")
async def alices_door(door: Door, database: Database) -> Door:
    return await door.of(await make_scope(database, "Alice's"))


@pytest.fixture
async def alice(alices_door: Door) -> Door:
    """The owner of a workspace of her own."""
    await alices_door.keep_open()
    return alices_door


@pytest.fixture(scope="session")
def new_email() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"white.rabbit{next(numbers)}@wonderland.test"
