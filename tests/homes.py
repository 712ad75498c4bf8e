"""A home with a migrated database of its own, for tests that may not share the session's."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gptagent.kernel.postgres import Postgres, Roles, prepare_database
from gptagent.migrations.run import migrate


@contextmanager
def new_home() -> Iterator[Path]:
    """Yield an empty folder, short enough for a socket's path, that PostgreSQL's user may enter."""
    home = Path(tempfile.mkdtemp(prefix="gpta-", dir="/tmp"))
    home.chmod(0o755)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def own_database(home: Path) -> Iterator[Roles]:
    """Run the embedded PostgreSQL in this home, migrated, until the block ends."""
    server = Postgres(home)
    endpoint = server.start()
    try:
        roles = prepare_database(endpoint, home)
        migrate(roles.owner_dsn, roles.app_dsn)
        yield roles
    finally:
        server.stop()
