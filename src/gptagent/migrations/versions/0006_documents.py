"""Documents that are archives or scans: what became of their parts, and when they will be read."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "documents.sql").read_bytes())
