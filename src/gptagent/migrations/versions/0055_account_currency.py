"""The currency in which an account values its deals."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0055"
down_revision = "0054"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "account_currency.sql").read_bytes())
