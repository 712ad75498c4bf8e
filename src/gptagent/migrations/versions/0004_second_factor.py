"""Second factors that a workspace demands; log-ins that end unused."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "second_factor.sql").read_bytes())
