"""E-mail as a channel."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0056"
down_revision = "0055"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "letters.sql").read_bytes())
