"""Versions of agents, drafts of their settings, and which version a turn was answered by."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0037"
down_revision = "0036"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "agent_versions.sql").read_bytes())
