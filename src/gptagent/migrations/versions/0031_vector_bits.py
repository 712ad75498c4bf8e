"""In a large base the vectors near a question are found by the signs of their dimensions."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "vector_bits.sql").read_bytes())
