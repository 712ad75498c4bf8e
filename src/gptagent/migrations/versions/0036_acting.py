"""What agents do in the CRM after their answers, and what waits for approval."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0036"
down_revision = "0035"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "acting.sql").read_bytes())
