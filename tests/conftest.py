"""The database and the cast of all tests: Alice owns, Charlie belongs to another workspace."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from cast import make_scope
from gptagent.kernel.db import Database
from gptagent.kernel.postgres import Postgres, Roles, prepare_database
from gptagent.kernel.scope import Scope
from gptagent.migrations.run import migrate


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A home of its own, short enough for a socket's path."""
    folder = Path(tempfile.mkdtemp(prefix="gpta-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def roles(home: Path) -> Iterator[Roles]:
    """The embedded PostgreSQL, migrated."""
    server = Postgres(home)
    endpoint = server.start()
    try:
        roles = prepare_database(endpoint, home)
        migrate(roles.owner_dsn, roles.app_dsn)
        yield roles
    finally:
        server.stop()


@pytest.fixture(scope="session")
async def database(roles: Roles) -> AsyncIterator[Database]:
    database = await Database.connect(roles.app_dsn)
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


def pytest_addoption(parser):
    parser.addoption("--interleavings", type=int, default=2000, help="how many the fencing test plays")
    parser.addoption("--seed", type=int, default=1, help="which interleavings the fencing test plays")
