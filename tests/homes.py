"""A home with a migrated database of its own, for tests that may not share the session's."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from gptagent.kernel.postgres import Endpoint, Postgres, Roles, prepare_database
from gptagent.migrations.run import migrate

# Names a home whose database is migrated and at rest: others begin as its copy, which takes a moment.
READY_HOME = "GPTAGENT_TESTS_HOME"


@contextmanager
def new_home() -> Iterator[Path]:
    """Yield an empty folder, short enough for a socket's path, that PostgreSQL's user may enter."""
    home = Path(tempfile.mkdtemp(prefix="gpta-", dir="/tmp"))
    home.chmod(0o755)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def copy_database(home: Path) -> None:
    """Give this home the database of the ready one, if there is one."""
    if ready := os.environ.get(READY_HOME):
        # with their owners: the server refuses files of another user
        subprocess.run(["cp", "-a", f"{ready}/postgres", str(home)], check=True)


@contextmanager
def own_database(home: Path) -> Iterator[Roles]:
    """Run the embedded PostgreSQL in this home, migrated, until the block ends."""
    copy_database(home)
    server = Postgres(home)
    endpoint = server.start()
    try:
        _spare_the_disk(endpoint)
        roles = prepare_database(endpoint, home)
        migrate(roles.owner_dsn, roles.app_dsn)
        yield roles
    finally:
        server.stop()


def _spare_the_disk(endpoint: Endpoint) -> None:
    """Let no commit wait for the disk: what these tests write need not outlive their server."""
    with psycopg.connect(endpoint.admin_dsn, autocommit=True) as admin:
        admin.execute("alter system set synchronous_commit = off")
        admin.execute("alter system set full_page_writes = off")
        admin.execute("select pg_reload_conf()")
