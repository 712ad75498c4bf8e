"""What is paid by the second, and what was heard before the turn that it is for."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0051"
down_revision = "0050"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "paid_calls.sql").read_bytes())
