"""What a turn did is kept beside it."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "turn_trace.sql").read_bytes())
