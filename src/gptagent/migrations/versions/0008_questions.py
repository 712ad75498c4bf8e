"""Saved questions with the sources that should answer them."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "questions.sql").read_bytes())
