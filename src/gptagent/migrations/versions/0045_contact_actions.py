"""An agent may make a contact and fill it in."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0045"
down_revision = "0044"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "contact_actions.sql").read_bytes())
