"""Citations name the version of a document."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "document_versions.sql").read_bytes())
