"""Tenancy and transactions, on the real database."""

import asyncio
import random
from contextlib import suppress
from datetime import timedelta

import asyncpg
import psycopg
import pytest

from gptagent.kernel.db import IDLE_TRANSACTION_SECONDS, Database
from gptagent.kernel.errors import Misconfigured, UpstreamUnavailable
from gptagent.kernel.ids import new_id
from gptagent.migrations.run import CLOSED_TABLES, has_rights, is_current, migrate, refuse_powerful_role

INSERT = """insert into app.article (id, title, content, created_at, updated_at)
            values ($1, $2, 'ten letters', now(), now())"""
COUNT = "select count(*) from app.article"


async def add_article(session, title="Prices"):
    article_id = new_id()
    await session.execute(INSERT, article_id, title)
    return article_id


async def count(database, scope):
    async with database.session(scope) as session:
        return await session.fetchval(COUNT)


@pytest.fixture
async def narrow(roles):
    """A pool of one connection: whatever leaks from a transaction meets the next one."""
    database = await Database.connect(roles.app_dsn, max_connections=1)
    yield database
    await database.close()


@pytest.fixture
async def plain(roles):
    """A bare connection of the application's role."""
    connection = await asyncpg.connect(roles.app_dsn)
    yield connection
    await connection.close()


async def test_without_a_tenant_there_are_no_rows(database, scope, plain):
    async with database.session(scope) as session:
        await add_article(session)
    assert await plain.fetchval(COUNT) == 0
    async with database.installation() as session:
        assert await session.fetchval(COUNT) == 0
        with pytest.raises(LookupError):
            _ = session.scope
    assert await count(database, scope) == 1


async def test_one_tenant_sees_and_changes_nothing_of_another(database, scope, other_scope):
    async with database.session(scope) as session:
        article_id = await add_article(session)
    async with database.session(other_scope) as session:
        assert await session.fetchval("select count(*) from app.article where id = $1", article_id) == 0
        assert await session.execute("update app.article set title = 'mine'") == "UPDATE 0"
        assert await session.execute("delete from app.article where id = $1", article_id) == "DELETE 0"
    assert await count(database, scope) == 1


async def test_a_row_for_another_tenant_is_refused(database, scope, other_scope):
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.session(scope) as session:
            await session.execute(
                "insert into app.live_event (org_id, topic, kind, ids) values ($1, 'a', 'b', '{}')",
                other_scope.org_id,
            )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.session(scope) as session:
            await add_article(session)
            await session.execute("update app.article set org_id = $1", other_scope.org_id)


async def test_a_row_cannot_point_into_another_tenant(database, scope, other_scope):
    async with database.session(scope) as session:
        article_id = await add_article(session)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        async with database.session(other_scope) as session:
            await session.execute(
                """insert into app.chunk (article_id, ordinal, heading, content, length)
                   values ($1, 0, '', 'x', 1)""",
                article_id,
            )


async def test_every_table_with_a_tenant_is_forced_under_its_policy_and_indexed_by_it(roles):
    with psycopg.connect(roles.owner_dsn) as connection:
        tables = connection.execute(
            """select c.relname, c.relrowsecurity and c.relforcerowsecurity,
                      exists (select from pg_policy p where p.polrelid = c.oid and p.polname = 'tenant')
                 from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'org_id'
                where c.relnamespace = 'app'::regnamespace and c.relkind in ('r', 'p')"""
        ).fetchall()
    assert len(tables) > 15
    assert [name for name, forced, policed in tables if not (forced and policed)] == []


@pytest.mark.parametrize(
    "sql",
    [
        "alter table app.article disable row level security",
        "alter table app.article no force row level security",
        "drop policy tenant on app.article",
        "create policy open on app.article using (true)",
        "set role gptagent_owner",
        "set session authorization gptagent_owner",
        "alter role current_user bypassrls",
        "truncate app.article",
        "set row_security = off; select * from app.article",
        "update app.alembic_version set version_num = '0'",
        "create table app.own (id int)",
        "create or replace function app.org() returns uuid language sql as 'select null::uuid'",
        *(f"table app.{table}" for table in CLOSED_TABLES),
        *(f"truncate app.{table}" for table in CLOSED_TABLES),
    ],
)
async def test_the_applications_role_cannot_step_around_the_policies(plain, sql):
    with pytest.raises(asyncpg.PostgresError) as refused:
        await plain.execute(sql)
    assert isinstance(refused.value, asyncpg.InsufficientPrivilegeError)


async def test_people_see_themselves_only(database, scope, other_scope):
    sql = "select count(*) from app.person"
    async with database.session(scope) as session:
        assert await session.fetchval(sql) == 1
        assert await session.fetchval("select count(*) from app.credential") == 1
    async with database.installation(other_scope.actor.id) as session:
        assert await session.fetchval("select id from app.person") == other_scope.actor.id
    async with database.installation() as session:
        assert await session.fetchval(sql) == 0


async def test_what_fails_leaves_nothing_behind_no_row_no_job_no_event(database, scope):
    with pytest.raises(ZeroDivisionError):
        async with database.session(scope) as session:
            await add_article(session)
            job_id = await session.enqueue("some.job", {"id": "1"})
            await session.publish("articles", "changed", {"id": "1"})
            raise ZeroDivisionError
    async with database.session(scope) as session:
        assert await session.fetchval(COUNT) == 0
        assert await session.fetchval("select count(*) from app.live_event") == 0
        assert await session.fetchval("select count(*) from jobs.pgqueuer where id = $1", job_id) == 0


async def test_a_job_leaves_with_its_transaction_and_carries_tenant_and_request(database, scope):
    async with database.session(scope) as session:
        job_id = await session.enqueue("some.job", {"id": "x"}, delay=timedelta(days=9), priority=3)
    async with database.installation() as session:
        row = await session.fetchrow(
            """select payload, headers->>'org' as org, priority, status::text,
                      execute_after > now() + interval '8 days' as later from jobs.pgqueuer where id = $1""",
            job_id,
        )
        await session.execute("delete from jobs.pgqueuer where id = $1", job_id)
    assert dict(row) == {
        "payload": b'{"id":"x"}', "org": str(scope.org_id), "priority": 3, "status": "queued", "later": True
    }  # fmt: skip


async def leaked(database):
    """Return settings that a transaction without a tenant finds on its connection."""
    async with database.installation() as session:
        row = await session.fetchrow(
            """select coalesce(current_setting('app.org_id', true), '') as org,
                      coalesce(current_setting('app.person_id', true), '') as person,
                      (select count(*) from app.article) as rows"""
        )
    return [value for value in row.values() if value]


async def test_no_setting_outlives_its_transaction(narrow, scope):
    async with narrow.session(scope) as session:
        await add_article(session)
    assert await leaked(narrow) == []


async def test_a_single_statement_sees_no_tenants_rows_and_its_error_leaves_nothing_behind(narrow, scope):
    async with narrow.session(scope) as session:
        await add_article(session)
    async with narrow.single() as session:
        assert await session.fetchval(COUNT) == 0
    with pytest.raises(asyncpg.PostgresError):
        async with narrow.single() as session:
            await session.fetchval("select 1 / 0")
    async with narrow.single() as session:
        assert await session.fetchval("select pg_current_xact_id_if_assigned() is null")
    assert await count(narrow, scope) == 1


async def test_no_setting_outlives_an_error(narrow, scope):
    for sql in ("select 1/0", "select from nowhere", "this is no SQL"):
        with pytest.raises(asyncpg.PostgresError):
            async with narrow.session(scope) as session:
                await session.execute(sql)
        assert await leaked(narrow) == []
    with pytest.raises(KeyError):
        async with narrow.session(scope) as session:
            await session.fetchval(COUNT)
            raise KeyError
    assert await leaked(narrow) == []


async def test_a_setting_does_not_outlive_a_swallowed_error_within_the_transaction(narrow, scope):
    async with narrow.session(scope) as session:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await session.execute("select 1/0")
    assert await leaked(narrow) == []


async def test_no_setting_or_open_transaction_outlives_a_cancellation(roles, scope, other_scope):
    """Two tenants share two connections while their work is cancelled at any moment."""
    database = await Database.connect(roles.app_dsn, max_connections=2)
    chance, wrong, cancelled = random.Random(7), [], 0

    async def work(own):
        async with database.session(own) as session:
            found = await session.fetchval("select app.org() from pg_sleep($1)", chance.uniform(0, 0.004))
            if found != own.org_id:
                wrong.append(found)

    async def one(own):
        nonlocal cancelled
        task = asyncio.create_task(work(own))
        await asyncio.sleep(chance.uniform(0, 0.008))
        cancelled += task.cancel()
        await asyncio.sleep(chance.choice((0, 0, 0.0005)))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    for _ in range(60):
        await asyncio.gather(*(one(own) for own in (scope, other_scope, scope)))
    assert cancelled > 10 and wrong == []
    for _ in range(2):
        assert await leaked(database) == []
    await until_no_transaction_is_open(database)
    await database.close()


async def until_no_transaction_is_open(database):
    """A server process may yet have to see that its client has gone."""
    async with asyncio.timeout(IDLE_TRANSACTION_SECONDS / 2):
        while True:
            async with database.single() as session:
                if not await session.fetchval(
                    """select count(*) from pg_stat_activity where state like 'idle in transaction%'
                          and usename = current_user and pid <> pg_backend_pid()"""
                ):
                    return
            await asyncio.sleep(0.05)


async def test_a_dead_connection_is_answered_with_unavailable_and_then_replaced(narrow, scope, database):
    for _ in range(15):  # the server's farewell is read before, in, or after the next statement
        with pytest.raises(UpstreamUnavailable) as down:
            async with narrow.session(scope) as session:
                pid = await session.fetchval("select pg_backend_pid()")
                async with database.installation() as other:
                    await other.execute("select pg_terminate_backend($1)", pid)
                await session.fetchval("select pg_sleep(5)")
        assert down.value.code == "database_unavailable" and down.value.retry_after
    assert await count(narrow, scope) == 0


async def test_who_is_frozen_in_a_transaction_loses_it_and_its_successor_gets_the_lock(
    roles, database, scope
):
    """MSG-2: one that stands still, and one that only does not come to its next statement"""
    held = await Database.connect(roles.app_dsn, max_connections=1, idle_seconds=1)
    lock = "select pg_advisory_xact_lock(4711)"
    with pytest.raises(UpstreamUnavailable) as down:
        async with held.session(scope) as session:
            await session.execute(lock)
            with psycopg.connect(roles.app_dsn) as successor:  # meanwhile nothing else runs in this process
                successor.execute("set local lock_timeout = '20s'")
                successor.execute(lock)
            await session.fetchval("select 1")
    assert down.value.code == "database_unavailable" and down.value.retryable and down.value.status == 503
    with pytest.raises(UpstreamUnavailable):
        async with held.session(scope) as session:
            await session.execute(lock)
            async with database.installation() as successor:
                await successor.execute("set local lock_timeout = '20s'")
                await successor.execute(lock)
    async with asyncio.timeout(20):
        while True:  # its transactions may be lost as well: this process stands still at times
            with suppress(UpstreamUnavailable):
                assert await count(held, scope) == 0
                break
    await held.close()


async def test_a_fault_of_our_own_is_not_taken_for_a_lost_database(narrow, scope):
    for wrong in (("select $1::int", "x"), ("select $1::int", 10**30), ("select 1", "spare")):
        with pytest.raises((asyncpg.DataError, asyncpg.InterfaceError)):
            async with narrow.session(scope) as session:
                await session.fetchval(*wrong)
    with pytest.raises(FileNotFoundError):
        async with narrow.session(scope):
            raise FileNotFoundError
    assert await leaked(narrow) == []


async def test_a_deadline_of_the_caller_stays_a_deadline(narrow, scope):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05), narrow.session(scope) as session:
            await session.fetchval("select pg_sleep(5)")
    assert await leaked(narrow) == []


async def test_where_no_database_answers_the_error_says_so():
    with pytest.raises(UpstreamUnavailable):
        await Database.connect("postgresql://app@127.0.0.1:1/app")


async def test_many_rows_are_inserted_at_once(database, scope):
    async with database.session(scope) as session:
        await session.executemany(INSERT, [(new_id(), f"Title {n}") for n in range(20)])
    assert await count(database, scope) == 20


def test_migrating_again_changes_nothing(roles):
    assert is_current(roles.owner_dsn)
    assert migrate(roles.owner_dsn, roles.app_dsn) is False


async def test_rights_that_a_killed_start_did_not_grant_are_granted_by_the_next(roles, database, scope):
    with psycopg.connect(roles.owner_dsn) as connection:
        connection.execute("revoke all on all tables in schema app from gptagent_app")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await count(database, scope)
    assert migrate(roles.owner_dsn, roles.app_dsn) is False
    assert await count(database, scope) == 0


@pytest.mark.parametrize(
    ("done", "right", "is_granted"),
    [
        ("revoke update on app.lexeme from {}", ("app.lexeme", "update"), True),  # as if the table were new
        ("revoke all on jobs.pgqueuer from {}", ("jobs.pgqueuer", "select"), True),
        ("grant select on app.letter to {}", ("app.letter", "select"), False),
        ("grant update on app.audit_event to {}", ("app.audit_event", "update"), False),
    ],
)
def test_the_next_start_gives_the_rights_of_each_table_as_they_are_meant(done, right, is_granted, roles):
    with psycopg.connect(roles.owner_dsn) as connection:
        connection.execute(done.format("gptagent_app"))
    migrate(roles.owner_dsn, roles.app_dsn)
    with psycopg.connect(roles.owner_dsn) as connection:
        asked = "select has_table_privilege('gptagent_app', %s, %s)"
        assert connection.execute(asked, right).fetchone() == (is_granted,)
        assert has_rights(connection, "gptagent_app"), "else each start would grant anew"


def test_a_role_that_could_step_around_the_policies_is_refused(roles):
    with psycopg.connect(roles.owner_dsn) as connection:
        for role in ("gptagent_owner", "nobody-of-this-name"):
            with pytest.raises(Misconfigured, match="database_role_too_powerful"):
                refuse_powerful_role(connection, role)
