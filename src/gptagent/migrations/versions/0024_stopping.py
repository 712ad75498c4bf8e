"""What happens when a person writes in a chat that an agent answers."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "stopping.sql").read_bytes())
