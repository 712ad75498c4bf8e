"""How many passages hold each word of a base."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    apply(cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection))


def apply(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Make the table and fill it for the bases that are there, each in its own name (as 0007 does).

    Nobody writes passages until the words are counted; searches go on. The tables are locked in the order
    in which a source is written.
    """
    connection.execute("lock table app.article, app.document, app.posting in share row exclusive mode")
    connection.execute((files("gptagent.migrations") / "sql" / "words.sql").read_bytes())
    workspaces = connection.execute("select org_id::text from app.lexical_stats").fetchall()
    for (org_id,) in workspaces:
        connection.execute("select set_config('app.org_id', %s, true)", [org_id])
        connection.execute(
            "insert into app.lexeme (lexeme, chunks) select lexeme, count(*) from app.posting group by lexeme"
        )
    connection.execute("select set_config('app.org_id', '', true)")
