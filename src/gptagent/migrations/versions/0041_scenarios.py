"""Scenarios, runs of them, and real turns answered anew."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0041"
down_revision = "0040"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "scenarios.sql").read_bytes())
