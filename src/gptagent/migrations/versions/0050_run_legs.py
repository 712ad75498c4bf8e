"""Runs tell by which ways they asked, measurements of a reranking model what it refused."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0050"
down_revision = "0049"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "run_legs.sql").read_bytes())
