"""The first account, on an installation without people."""

import shutil
import tempfile
from pathlib import Path

import pytest

from gptagent.features.identity import service as identity
from gptagent.features.organizations.registration import Register, register
from gptagent.kernel.db import Database
from gptagent.kernel.errors import NotFound
from gptagent.kernel.postgres import Postgres, prepare_database
from gptagent.migrations.run import migrate


@pytest.fixture
async def empty():
    """A database that has just been migrated for the first time."""
    home = Path(tempfile.mkdtemp(prefix="gpta-", dir="/tmp"))
    home.chmod(0o755)
    server = Postgres(home)
    roles = prepare_database(server.start(), home)
    assert migrate(roles.owner_dsn, roles.app_dsn)
    database = await Database.connect(roles.app_dsn)
    yield database
    await database.close()
    server.stop()
    shutil.rmtree(home)


async def offer(database):
    async with database.installation() as session:
        return await identity.offer_setup(session)


async def is_open(database, token):
    async with database.installation() as session:
        return await identity.setup_is_open(session, token)


def first(token, email="first@example.test"):
    return Register(email, "First", "correct horse battery", "Acme", "en", token)


async def test_the_setup_link_makes_the_first_administrator_once(empty):
    """AUTH-15"""
    lost, token = await offer(empty), await offer(empty)
    assert not await is_open(empty, lost) and await is_open(empty, token)
    for wrong in (lost, token + "x", ""):
        with pytest.raises(NotFound):
            await register(empty, first(wrong), is_open=False)
    person_id, workspace = await register(empty, first(token), is_open=False)
    async with empty.installation(person_id) as session:
        assert (await identity.get_person(session, person_id)).is_platform_admin
    assert workspace.role == "owner" and workspace.number == 1_000_001
    with pytest.raises(NotFound):
        await register(empty, first(token, "second@example.test"), is_open=False)
    assert await offer(empty) is None and not await is_open(empty, token)
