"""What a reranking model is worth in each base."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0039"
down_revision = "0038"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "reranking.sql").read_bytes())
