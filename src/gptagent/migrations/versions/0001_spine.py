"""The spine: tenancy, jobs, people, workspaces, CRM, knowledge, agents, conversations, turns."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0001"
down_revision = None

PARTS = (
    "kernel",
    "jobs",
    "identity",
    "organizations",
    "inference",
    "crm",
    "knowledge",
    "agents",
    "conversations",
    "dialog",
    "lookups",
)


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    # The driver's own entry takes several statements at once and leaves colons and percent signs alone.
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    for part in PARTS:
        connection.execute((folder / f"{part}.sql").read_bytes())
