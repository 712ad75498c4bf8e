"""The plan of a workspace, for what it may keep. Until plans are sold everybody has the largest."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "plans.sql").read_bytes())
