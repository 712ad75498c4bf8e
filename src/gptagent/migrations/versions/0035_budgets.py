"""What models may cost: limits, what is used of them, and what calls that go on hold."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "budgets.sql").read_bytes())
