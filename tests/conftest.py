"""The database and the cast of all tests: Alice owns, Charlie belongs to another workspace."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gptagent.kernel.db import Database
from gptagent.kernel.ids import new_id
from gptagent.kernel.postgres import Postgres, Roles, prepare_database
from gptagent.kernel.scope import Actor, Scope
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


async def make_scope(database: Database, name: str = "Acme") -> Scope:
    """Make a workspace with its owner and return the owner's ticket to it."""
    from gptagent.features.organizations.policy import PERMISSIONS
    from gptagent.features.organizations.registration import Register, register

    email = f"{new_id().hex}@example.test"
    command = Register(email, "Alice", "correct horse battery", name, "en")
    person_id, workspace = await register(database, command, is_open=True)
    return Scope(workspace.org_id, Actor("person", person_id), PERMISSIONS["owner"])


@pytest.fixture
async def scope(database: Database) -> Scope:
    """Alice's workspace, new for each test."""
    return await make_scope(database, "Alice's")


@pytest.fixture
async def other_scope(database: Database) -> Scope:
    """Charlie's workspace: nothing of Alice's may be seen in it."""
    return await make_scope(database, "Charlie's")
