"""An agent has files of its own: documents that belong to it."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0054"
down_revision = "0053"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "agent_files.sql").read_bytes())
