"""Words to a customer that an agent prepares and a person sends."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0053"
down_revision = "0052"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "sent_proposals.sql").read_bytes())
