"""A task knows the conversation whose customer it quotes."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0046"
down_revision = "0045"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "task_conversations.sql").read_bytes())
