"""Pages of the web as a source of knowledge."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "sites.sql").read_bytes())
