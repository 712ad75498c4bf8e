"""An index of vectors knows what was hidden of the texts it was made of."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0047"
down_revision = "0046"


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    connection.execute((folder / "vector_texts.sql").read_bytes())
