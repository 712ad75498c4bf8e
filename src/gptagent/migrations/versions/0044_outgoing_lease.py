"""One run at a time sends what is owed outside of a turn."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0044"
down_revision = "0043"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "outgoing_lease.sql").read_bytes())
