"""A held chat resumes by the rule of now, also if the rule was another when it was taken over."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "resuming.sql").read_bytes())
