"""Long replies may go out in parts."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0042"
down_revision = "0041"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "splitting.sql").read_bytes())
