"""Bring a database to this release's schema."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import psycopg
from psycopg import sql

from gptagent.kernel.errors import Misconfigured

HEAD = "0056"
LOCK_KEY = 7201
LOCK_TIMEOUT_MS = 4_000  # a migration waits no longer for a table in use, it is run again later
STATEMENT_TIMEOUT_MS = 60_000

# Tables the application reaches only through SECURITY DEFINER functions.
CLOSED_TABLES = (
    "crm_call_slot",
    "setup_link",
    "person_key",
    "audit_head",
    "one_time_token",
    "refresh_token",
    "letter",
)
# Tables the application may read and never change: a function appends.
APPEND_ONLY_TABLES = ("audit_event",)

# Whether a role has of each table and sequence what `_grant` gives it, no less and no more.
RIGHTS = """
with own as (
  select c.oid, c.relkind, n.nspname = 'app' and c.relname = any(%(closed)s) as is_closed,
         n.nspname = 'app' and c.relname = any(%(kept)s) as is_kept
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
   where n.nspname in ('app', 'jobs') and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
)
select bool_and(case when relkind = 'S'
                     then has_sequence_privilege(%(role)s, oid, 'usage')
                          and has_sequence_privilege(%(role)s, oid, 'select')
                     else has_table_privilege(%(role)s, oid, 'select') = not is_closed
                          and has_table_privilege(%(role)s, oid, 'insert') = not (is_closed or is_kept)
                          and has_table_privilege(%(role)s, oid, 'update') = not (is_closed or is_kept)
                          and has_table_privilege(%(role)s, oid, 'delete') = not (is_closed or is_kept) end)
       and has_schema_privilege(%(role)s, 'app', 'usage') and has_schema_privilege(%(role)s, 'jobs', 'usage')
  from own
"""


def is_current(dsn: str) -> bool:
    """Whether the schema is this release's. Needs no Alembic, so a warm start stays quick."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = connection.execute("select to_regclass('app.alembic_version')").fetchone()
        if found is None or found[0] is None:
            return False
        version = connection.execute("select version_num from app.alembic_version").fetchone()
        return version is not None and version[0] == HEAD


def migrate(owner_dsn: str, app_dsn: str) -> bool:
    """Migrate as the owner and grant the application's role its rights. Returns whether anything changed.

    Raises Misconfigured if the application's role could step around row-level security.
    """
    changed = not is_current(owner_dsn)
    if changed:
        _upgrade(owner_dsn)
    app_role = unquote(urlsplit(app_dsn).username or "")
    with psycopg.connect(owner_dsn) as connection:
        refuse_powerful_role(connection, app_role)
        changed = make_vectors(connection) or changed
        if changed or not has_rights(connection, app_role):
            _grant(connection, app_role)
    return changed


def make_vectors(connection: "psycopg.Connection[tuple[object, ...]]") -> bool:
    """Make the table of vectors once the database has pgvector. Returns whether it was made.

    Without pgvector everything but the search by meaning works, so it may be installed later.
    """
    if not _lacks(connection, "app.chunk_vector"):
        return False
    connection.execute("select pg_advisory_xact_lock(%s)", [LOCK_KEY])  # nobody else makes it meanwhile
    connection.execute("select set_config('lock_timeout', %s, true)", [f"{LOCK_TIMEOUT_MS}ms"])
    if not _lacks(connection, "app.chunk_vector") or not _has_halves(connection):
        return False
    connection.execute((Path(__file__).parent / "sql" / "chunk_vector.sql").read_bytes())
    return True


def _lacks(connection: "psycopg.Connection[tuple[object, ...]]", table: str) -> bool:
    row = connection.execute("select to_regclass(%s) is null", [table]).fetchone()
    return row is not None and bool(row[0])


def _has_halves(connection: "psycopg.Connection[tuple[object, ...]]") -> bool:
    """Whether pgvector is there, or may be made here, and is new enough to know vectors of halves (0.7)."""
    available = "select from pg_available_extensions where name = 'vector' and installed_version is null"
    if connection.execute(available).fetchone() is not None:
        try:
            with connection.transaction():
                connection.execute("create extension vector")
        except psycopg.errors.InsufficientPrivilege:
            return False
    row = connection.execute("select to_regtype('halfvec') is not null").fetchone()
    return row is not None and bool(row[0])


def _upgrade(owner_dsn: str) -> None:
    import sqlalchemy as sa
    from alembic import command
    from alembic.config import Config

    engine = sa.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg.connect(owner_dsn), poolclass=sa.NullPool
    )
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    with engine.connect() as connection:
        connection.exec_driver_sql(f"select pg_advisory_lock({LOCK_KEY})")
        # lint: session-state - the migration's own connection, closed afterwards
        connection.exec_driver_sql(f"set lock_timeout = {LOCK_TIMEOUT_MS}")
        # lint: session-state - as above
        connection.exec_driver_sql(f"set statement_timeout = {STATEMENT_TIMEOUT_MS}")
        connection.exec_driver_sql("create schema if not exists app")
        connection.exec_driver_sql("create schema if not exists jobs")
        connection.commit()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def has_rights(connection: "psycopg.Connection[tuple[object, ...]]", app_role: str) -> bool:
    """Whether the role has exactly its rights: it may be new, or a start may have been killed before that."""
    row = connection.execute(
        RIGHTS,
        {"role": app_role, "closed": list(CLOSED_TABLES), "kept": ["alembic_version", *APPEND_ONLY_TABLES]},
    ).fetchone()
    return row is not None and bool(row[0])


def _grant(connection: "psycopg.Connection[tuple[object, ...]]", app_role: str) -> None:
    role = sql.Identifier(app_role)
    for schema in ("app", "jobs"):
        name = sql.Identifier(schema)
        connection.execute(sql.SQL("grant usage on schema {} to {}").format(name, role))
        connection.execute(
            sql.SQL("grant select, insert, update, delete on all tables in schema {} to {}").format(
                name, role
            )
        )
        connection.execute(
            sql.SQL("grant usage, select on all sequences in schema {} to {}").format(name, role)
        )
    for table in CLOSED_TABLES:
        connection.execute(sql.SQL("revoke all on app.{} from {}").format(sql.Identifier(table), role))
    for table in ("alembic_version", *APPEND_ONLY_TABLES):
        connection.execute(
            sql.SQL("revoke insert, update, delete on app.{} from {}").format(sql.Identifier(table), role)
        )


def refuse_powerful_role(connection: "psycopg.Connection[tuple[object, ...]]", app_role: str) -> None:
    """Raise Misconfigured if the application's role could step around row-level security."""
    row = connection.execute(
        """select r.rolsuper or r.rolbypassrls or pg_has_role(r.oid, c.relowner, 'member')
             from pg_roles r, pg_class c where r.rolname = %s and c.oid = 'app.organization'::regclass""",
        [app_role],
    ).fetchone()
    if row is None or row[0]:
        raise Misconfigured(
            "database_role_too_powerful",
            "The role in DATABASE_URL is a superuser, owns the tables or bypasses row-level security. "
            "Give it a plain login role and put the owner into DATABASE_OWNER_URL.",
        )
