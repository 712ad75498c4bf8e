"""The two roles the platform works as, their database and its schemas."""

import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gptagent.kernel.postgres.endpoint import Endpoint, socket_dsn
from gptagent.kernel.postgres.layout import Layout, write_private
from gptagent.kernel.postgres.sockets import socket_dir_of

if TYPE_CHECKING:
    import psycopg

DATABASE = "gptagent"
OWNER = "gptagent_owner"
APP = "gptagent_app"

# One simple query each: it is one transaction, so a start killed in the middle changes nothing.
ROLES_SQL = """
select pg_advisory_xact_lock(7301);
do $$ declare wanted text; begin
  foreach wanted in array array['gptagent_owner', 'gptagent_app'] loop
    if not exists (select from pg_roles where rolname = wanted) then
      execute format('create role %I', wanted);
    end if;
  end loop;
end $$;
alter role gptagent_owner
  login nosuperuser nobypassrls nocreatedb nocreaterole noreplication password {owner};
alter role gptagent_app
  login nosuperuser nobypassrls nocreatedb nocreaterole noreplication password {app};
"""
SCHEMAS_SQL = """
create extension if not exists vector;
create schema if not exists app authorization gptagent_owner;
create schema if not exists jobs authorization gptagent_owner;
revoke create on schema public from public;
"""


@dataclass(frozen=True, slots=True)
class Roles:
    """`owner_dsn` migrates; `app_dsn` serves, under row-level security."""

    owner_dsn: str = field(repr=False)
    app_dsn: str = field(repr=False)


def prepare_database(endpoint: Endpoint, home: Path) -> Roles:
    """Create what is missing of roles, database, extension and schemas; set the roles' passwords again."""
    passwords = _passwords(Layout(home.absolute()))
    if not _prepare_inside(endpoint, passwords):
        _create_database(endpoint, passwords)
        _prepare_inside(endpoint, passwords)
    return _roles(endpoint.socket_dir, passwords)


def read_roles(home: Path) -> Roles | None:
    """Return the roles of a prepared home, for its other processes; None before the first start."""
    layout = Layout(home.absolute())
    socket_dir = socket_dir_of(layout)
    if socket_dir is None or not layout.roles.exists():
        return None
    return _roles(socket_dir, json.loads(layout.roles.read_text()))


def _roles(socket_dir: Path, passwords: dict[str, str]) -> Roles:
    return Roles(*(socket_dsn(socket_dir, role, passwords[role], DATABASE) for role in (OWNER, APP)))


def _passwords(layout: Layout) -> dict[str, str]:
    try:
        kept: dict[str, str] = json.loads(layout.roles.read_text())
    except FileNotFoundError:
        kept = {role: secrets.token_urlsafe(32) for role in (OWNER, APP)}
        write_private(layout.roles, json.dumps(kept))
    return kept


def _prepare_inside(endpoint: Endpoint, passwords: dict[str, str]) -> bool:
    import psycopg

    dsn = endpoint.dsn(endpoint.superuser, endpoint.superuser_password, DATABASE)
    try:
        connection = psycopg.connect(dsn, autocommit=True)
    except psycopg.OperationalError:
        # there is no such database yet; any other reason comes up when it is created
        return False
    with connection:
        _set_roles(connection, passwords)
        connection.execute(SCHEMAS_SQL)
    return True


def _create_database(endpoint: Endpoint, passwords: dict[str, str]) -> None:
    import psycopg

    with psycopg.connect(endpoint.admin_dsn, autocommit=True) as connection:
        _set_roles(connection, passwords)
        if connection.execute("select from pg_database where datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(f"create database {DATABASE} owner {OWNER}")


def _set_roles(connection: "psycopg.Connection[tuple[object, ...]]", passwords: dict[str, str]) -> None:
    from psycopg import sql

    connection.execute(
        sql.SQL(ROLES_SQL).format(owner=sql.Literal(passwords[OWNER]), app=sql.Literal(passwords[APP]))
    )
