"""Sales scripts and answers to objections, bound to stages of deals."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "scripts.sql").read_bytes())
