"""The CRM in full: grants, the mirror, deliveries, replies, changes and the way back."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0003"
down_revision = "0002"

PARTS = ("crm_connect", "crm_calls", "crm_sync", "crm_hooks", "crm_reply", "crm_actions")


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    for part in PARTS:
        connection.execute((folder / f"{part}.sql").read_bytes())
