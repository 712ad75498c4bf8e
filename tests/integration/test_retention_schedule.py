"""What is too old goes by itself: in one worker of all, and in another when that one dies."""

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from cast import make_scope
from gptagent.features.audit import service as audit
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.db import Database
from gptagent.kernel.settings import Settings, child_environment
from homes import new_home, own_database
from isolation.estate import furnish
from servers import Server

SCRIPT = Path(__file__).with_name("schedule_process.py")
ROUNDS = 3


@pytest.fixture(scope="module")
def home():
    with new_home() as home:
        yield home


@pytest.fixture(scope="module")
def roles(home):
    with own_database(home) as roles:
        yield roles


@pytest.fixture(scope="module")
async def database(home, roles):
    database = await Database.connect(roles.app_dsn, load_vault(Settings(gptagent_home=home)))
    yield database
    await database.close()


@contextmanager
def worker(home, name):
    log_file = home / f"{name}.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, SCRIPT],
            stdout=log,
            stderr=log,
            env={**child_environment(), "GPTAGENT_HOME": str(home), "PYTHONUNBUFFERED": "1"},
        )
    server = Server(process, log_file)
    try:
        server.until("the worker is ready", lambda: "worker_ready" in server.log)
        yield server
    finally:
        process.kill()
        process.wait()


def rounds(worker):
    """Return how many rows each round of forgetting took."""
    return [int(count) for count in re.findall(r"^forgot (\d+)$", worker.log, re.MULTILINE)]


def more_rounds(worker):
    """Wait for rounds that began after this was asked for."""
    wanted = len(rounds(worker)) + ROUNDS
    worker.until("further rounds", lambda: len(rounds(worker)) >= wanted)


async def report(database, estate, days):
    """Let the CRM have reported something so many days ago."""
    async with database.session(estate.scope) as session:
        await session.execute(
            """insert into app.crm_event (connection_id, kind, payload, received_at)
               values ($1, 'calls[add]', '{}', now() - $2 * interval '1 day')""",
            estate.connection_id,
            days,
        )


async def reports(database, estate):
    async with database.session(estate.scope) as session:
        return await session.fetchval("select count(*) from app.crm_event where kind = 'calls[add]'")


async def test_one_worker_of_two_forgets_and_the_other_goes_on_when_it_is_killed(database, home):
    estate = await furnish(database, load_vault(Settings(gptagent_home=home)), "canary2r6n")
    nobody = await make_scope(database, "Empty")
    await report(database, estate, days=31)
    await report(database, estate, days=29)
    with worker(home, "first") as first:
        first.until("the old report is forgotten", lambda: sum(rounds(first)) == 1)
        with worker(home, "second") as second:
            more_rounds(first)
            assert rounds(second) == [] and await reports(database, estate) == 1

            os.kill(first.process.pid, signal.SIGKILL)
            first.process.wait()
            await report(database, estate, days=40)
            second.until("the other one forgets", lambda: sum(rounds(second)) == 1)
            more_rounds(second)
            assert sum(rounds(second)) == 1 and await reports(database, estate) == 1
    async with database.session(estate.scope) as session:
        entries = await audit.list_entries(session)
    applied = [entry for entry in entries if entry.action == "retention.applied"]
    assert [(entry.actor_kind, entry.changes) for entry in applied] == [("system", {"events": (1, 0)})] * 2
    async with database.session(nobody) as session:
        assert "retention.applied" not in {one.action for one in await audit.list_entries(session)}
