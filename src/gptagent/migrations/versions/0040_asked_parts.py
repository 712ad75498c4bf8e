"""Of which part of a base a question was asked; measurements of names that failed."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0040"
down_revision = "0039"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "asked_parts.sql").read_bytes())
