"""The graph's names in the search where they help; its writers in one order; tries that failed are counted."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "graph_use.sql").read_bytes())
