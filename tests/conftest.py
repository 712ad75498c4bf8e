"""The database and the cast of all tests: Alice owns, Charlie belongs to another workspace."""

import gc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
import structlog

from cast import make_scope
from gptagent.features.crm import api
from gptagent.features.crm.deliveries import processing
from gptagent.features.crm.deliveries import service as deliveries
from gptagent.kernel import db
from gptagent.kernel.crypto import Vault, load_vault
from gptagent.kernel.db import Database
from gptagent.kernel.ids import new_id
from gptagent.kernel.postgres import Roles
from gptagent.kernel.scope import Scope
from gptagent.kernel.settings import Settings
from gptagent.sandbox.spawn import running
from homes import new_home, own_database
from trust import TRUST
from worlds import Account, World, make_world

# Without it a traceback in the log is drawn with every local variable, which takes a second.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

# The product leaves to a job what takes long, and has the CRM send again what it could not even store. Most
# tests run no such job, and a busy machine is slower.
processing.ACT_SECONDS = deliveries.CATCH_UP_SECONDS = api.ANSWER_SECONDS = 60.0
# Dozens of tasks share one pool: who waits long for a connection waits for the machine, not for a database.
db.CONNECT_TIMEOUT_SECONDS = 60.0


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    with new_home() as home:
        yield home


@pytest.fixture(scope="session")
def roles(home: Path) -> Iterator[Roles]:
    with own_database(home) as roles:
        yield roles


@pytest.fixture(scope="session")
async def database(home: Path, roles: Roles) -> AsyncIterator[Database]:
    database = await Database.connect(roles.app_dsn, load_vault(Settings(gptagent_home=home)))
    yield database
    await database.close()


@pytest.fixture
async def scope(database: Database) -> Scope:
    """Alice's workspace, new for each test."""
    return await make_scope(database, "Alice's")


@pytest.fixture
async def other_scope(database: Database) -> Scope:
    """Charlie's workspace: nothing of Alice's may be seen in it."""
    return await make_scope(database, "Charlie's")


@pytest.fixture(scope="session")
def kommo() -> Iterator[str]:
    """Address of an emulated CRM."""
    with running("kommo") as url:
        yield url


@pytest.fixture
async def world(database: Database, scope: Scope, kommo: str) -> AsyncIterator[World]:
    """Alice's workspace with an active agent that answers at once, connected to an account of its own."""
    async with httpx2.AsyncClient(timeout=30, verify=TRUST) as client:
        account = await Account.open(kommo, f"w{new_id().hex[-20:]}", client)
        world = await make_world(database, scope, account, Vault([bytes(range(32))]))
        yield world
        await world.egress.aclose()


def pytest_collection_finish():
    """Let the collector of garbage pass over what stays, modules and tests, and come less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20)


def pytest_addoption(parser):
    parser.addoption("--interleavings", type=int, default=2000, help="how many the fencing test plays")
    parser.addoption("--seed", type=int, default=1, help="which interleavings the fencing test plays")
    parser.addoption("--messages", type=int, default=400, help="how many the soak of the CRM writes")
    parser.addoption("--per-second", type=float, default=10.0, help="how fast the soak of the CRM writes")
