"""Articles proposed from what people answered."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "drafts.sql").read_bytes())
