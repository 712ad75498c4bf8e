"""Test chats, and turns that are played again."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0033"
down_revision = "0032"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "trying.sql").read_bytes())
