"""Articles and documents name the stages of a deal that they are for."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0048"
down_revision = "0047"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "source_stages.sql").read_bytes())
