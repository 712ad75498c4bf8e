"""What of a person no provider of models is told, by the choice of a workspace."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "masking.sql").read_bytes())
