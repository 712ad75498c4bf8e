"""Facts about the company are items: for agents, stages, with a priority."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0049"
down_revision = "0048"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "company_fact_items.sql").read_bytes())
