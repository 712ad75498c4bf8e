"""Files that are sent with an article, and what became of each."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "article_files.sql").read_bytes())
