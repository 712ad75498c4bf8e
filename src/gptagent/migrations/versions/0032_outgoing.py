"""Messages owed to a customer outside of a turn, and hand-offs to colleagues."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "outgoing.sql").read_bytes())
