"""The graph in the search where it helps; its writers in one order; tries that failed are counted."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "graph_use.sql").read_bytes())
