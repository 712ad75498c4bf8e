"""Measured bases: when one is enough for an answer is told by its own questions."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "calibration.sql").read_bytes())
