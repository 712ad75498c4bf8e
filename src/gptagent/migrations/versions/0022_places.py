"""Documents and sites have categories, as articles do."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "places.sql").read_bytes())
