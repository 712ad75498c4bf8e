"""A home of its own: each of these tests serves it by a process, and one home has one web process."""

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gptagent.kernel.crypto import load_vault
from gptagent.kernel.db import Database
from gptagent.kernel.postgres import Postgres, Roles, prepare_database
from gptagent.kernel.settings import Settings
from gptagent.migrations.run import migrate


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gpta-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def roles(home: Path) -> Iterator[Roles]:
    server = Postgres(home)
    try:
        roles = prepare_database(server.start(), home)
        migrate(roles.owner_dsn, roles.app_dsn)
        yield roles
    finally:
        server.stop()


@pytest.fixture(scope="session")
async def database(home: Path, roles: Roles) -> AsyncIterator[Database]:
    database = await Database.connect(roles.app_dsn, load_vault(Settings(gptagent_home=home)))
    yield database
    await database.close()
