"""Misspelt words of questions: the words of each base by their 3-grams."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    apply(cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection))


def apply(connection: "psycopg.Connection[tuple[object, ...]]") -> None:
    """Make the table and fill it for the bases that are there.

    Each workspace has a statement of its own, in its own name: none takes as long as all would together,
    and row-level security stays in force for what is read and written. Only the list of workspaces needs it
    lifted.
    """
    connection.execute((files("gptagent.migrations") / "sql" / "spelling.sql").read_bytes())
    connection.execute("alter table app.lexical_stats no force row level security")
    workspaces = connection.execute("select org_id::text from app.lexical_stats").fetchall()
    connection.execute("alter table app.lexical_stats force row level security")
    for (org_id,) in workspaces:
        connection.execute("select set_config('app.org_id', %s, true)", [org_id])
        connection.execute(
            """insert into app.gram (gram, lexeme)
               select g, w.lexeme from (select distinct lexeme from app.posting) w, app.grams(w.lexeme) g
                where app.has_grams(w.lexeme)"""
        )
    connection.execute("select set_config('app.org_id', '', true)")
