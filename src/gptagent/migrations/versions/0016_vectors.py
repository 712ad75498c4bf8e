"""Passages by their meaning: one index of vectors per workspace, and what it was measured to be worth."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((files("gptagent.migrations") / "sql" / "vectors.sql").read_bytes())
