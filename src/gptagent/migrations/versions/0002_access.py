"""Access: the audit chain, second factors, sign-in providers, memberships, credentials of programs."""

from importlib.resources import files
from typing import cast

import psycopg
from alembic import op

revision = "0002"
down_revision = "0001"

PARTS = (
    "audit",
    "people",
    "membership",
    "lookups_access",
    "workspace_deletion",
    "recovery",
    "account",
    "api_keys",
    "administration",
    "sign_in",
    "members",
    "privacy",
)


def upgrade() -> None:
    folder = files("gptagent.migrations") / "sql"
    connection = cast("psycopg.Connection[tuple[object, ...]]", op.get_bind().connection.driver_connection)
    for part in PARTS:
        connection.execute((folder / f"{part}.sql").read_bytes())
