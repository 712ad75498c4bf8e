"""The roles of the embedded database: who may enter, and what nobody but the superuser may do."""

import shutil
import tempfile
from pathlib import Path

import asyncpg
import psycopg
import pytest
from psycopg import errors

from gptagent.kernel.postgres import Postgres, prepare_database, read_roles
from gptagent.kernel.postgres.endpoint import socket_dsn


@pytest.fixture(scope="module")
def server():
    """A running server and its home."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    folder.chmod(0o755)
    postgres = Postgres(folder / "home")
    yield postgres.start(), folder / "home"
    postgres.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def roles(server):
    return prepare_database(*server)


def run(dsn, sql):
    with psycopg.connect(dsn) as connection:
        cursor = connection.execute(sql)
        return cursor.fetchall() if cursor.description else []


async def test_both_drivers_reach_the_database_as_their_role(roles):
    connection = await asyncpg.connect(roles.app_dsn)
    assert (
        await connection.fetchval("select current_user || '@' || current_database()")
        == "gptagent_app@gptagent"
    )
    await connection.close()
    assert run(roles.owner_dsn, "select current_user") == [("gptagent_owner",)]


def test_preparing_again_changes_nothing(server, roles):
    run(roles.owner_dsn, "create table app.kept (id int)")
    assert prepare_database(*server) == roles
    assert run(roles.owner_dsn, "select count(*) from app.kept") == [(0,)]


def test_a_changed_role_is_put_right_by_preparing_again(server, roles):
    endpoint, _ = server
    run(endpoint.admin_dsn, "alter role gptagent_app password 'other' superuser bypassrls")
    with pytest.raises(psycopg.OperationalError, match="password"):
        run(roles.app_dsn, "select 1")
    prepare_database(*server)
    sql = "select rolsuper or rolbypassrls or rolcreaterole from pg_roles where rolname = current_user"
    assert run(roles.app_dsn, sql) == [(False,)]
    assert run(roles.owner_dsn, sql) == [(False,)]


@pytest.mark.parametrize("user", ["gptagent_admin", "gptagent_owner", "gptagent_app"])
@pytest.mark.parametrize("password", ["", "wrong"])
def test_nobody_enters_without_the_right_password(server, roles, user, password):
    with pytest.raises(psycopg.OperationalError, match="password"):
        run(socket_dsn(server[0].socket_dir, user, password, "gptagent"), "select 1")


@pytest.mark.parametrize(
    "sql",
    [
        "create table public.t (id int)",
        "create table app.t (id int)",
        "create schema mine",
        "create role another",
        "set role gptagent_owner",
        "set session authorization gptagent_owner",
        "select rolpassword from pg_authid",
        "alter role gptagent_app bypassrls",
        "copy (select 1) to program 'true'",
        "select pg_read_file('PG_VERSION')",
    ],
)
def test_the_app_role_is_refused(roles, sql):
    with pytest.raises(errors.InsufficientPrivilege):
        run(roles.app_dsn, sql)


def test_other_processes_of_the_home_read_the_same_roles(server, roles):
    _, home = server
    assert read_roles(home) == roles
    assert read_roles(home / "elsewhere") is None
    assert (home / "postgres/roles.json").stat().st_mode & 0o777 == 0o600
    assert "gptagent" not in repr(roles)


def test_the_superuser_leaves_the_vector_extension_and_both_schemas_to_the_owner(roles):
    assert run(roles.owner_dsn, "select extname from pg_extension where extname = 'vector'") == [("vector",)]
    owned = "select nspname from pg_namespace where nspowner = 'gptagent_owner'::regrole order by 1"
    assert run(roles.owner_dsn, owned) == [("app",), ("jobs",)]
