"""A model that fails is left alone for a while; each of its calls says what for and at what cost."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "models.sql").read_bytes())
