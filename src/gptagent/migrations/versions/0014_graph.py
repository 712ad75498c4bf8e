"""The knowledge graph: entities, facts and relations with the passages that say them."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "graph.sql").read_bytes())
