"""Facts of the whole installation."""

import asyncio
import os

import psycopg
import pytest

from gptagent.kernel.crypto import Vault
from gptagent.kernel.errors import Misconfigured
from gptagent.kernel.installation import check_keys


@pytest.fixture
def fresh(roles):
    """An installation that has not stored which keys seal its secrets."""

    def forget():
        with psycopg.connect(roles.owner_dsn) as connection:
            return connection.execute("delete from app.installation returning key_fingerprint").fetchone()

    before = forget()
    yield
    forget()
    if before:
        with psycopg.connect(roles.owner_dsn) as connection:
            connection.execute("insert into app.installation (key_fingerprint) values (%s)", before)


async def check(database, vault):
    async with database.installation() as session:
        await check_keys(session, vault)


async def test_other_keys_than_the_first_ones_are_refused(database, fresh):
    vault = Vault([os.urandom(32)])
    await check(database, vault)
    await check(database, vault)
    with pytest.raises(Misconfigured) as refused:
        await check(database, Vault([os.urandom(32)]))
    assert refused.value.code == "secret_keys_differ"


async def test_web_and_worker_may_store_the_first_keys_at_the_same_moment(database, fresh):
    vault = Vault([os.urandom(32)])
    async with database.installation() as first:
        await check_keys(first, vault)
        second = asyncio.create_task(check(database, vault))
        async with database.installation() as watcher:
            waiting = "select count(*) from pg_locks, pg_sleep(0.01) where not granted"
            while not await watcher.fetchval(waiting):
                pass
    await second
