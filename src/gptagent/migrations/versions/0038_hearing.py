"""What a machine made of customers' voice messages, pictures and documents."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0038"
down_revision = "0037"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "hearing.sql").read_bytes())
