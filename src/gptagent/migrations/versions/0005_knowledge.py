"""Categories of articles, what belongs together, versions, facts of the company."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "knowledge_structure.sql").read_bytes())
