"""`gptagent audit verify` finds what somebody did who may change the rows: the owner of the database."""

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from gptagent.entrypoints import operations
from gptagent.features.audit import service
from gptagent.features.audit.model import Entry
from gptagent.features.audit.verification import verify_chains
from gptagent.kernel.clock import utcnow
from gptagent.kernel.db import Database
from gptagent.kernel.scope import PLATFORM_ID, Actor, Origin
from gptagent.kernel.settings import Settings, child_environment

# What the hash of a row covers; a quotation mark, a line end and letters of two alphabets among it.
CHANGES = {"name": ("Ann\n", 'Bea "Б" \\ \x1f \x7f'), "email": None, "limit": (1.5, 10**20)}


async def record(database, scope, *, times=3):
    for number in range(times):
        async with database.session(scope) as session:
            origin = Origin(Actor("person", scope.actor.id), "req", f"198.51.100.{number}")
            personal = {"personal": {"email": "a@example.test"}, "personal_of": scope.actor.id}
            entry = Entry("agent.updated", "agent", str(number), CHANGES, **personal)
            await service.record(session, entry, origin=origin)


@pytest.fixture
async def owner(roles):
    database = await Database.connect(roles.owner_dsn, max_connections=2)
    yield database
    await database.close()


@pytest.fixture
async def verify(owner):
    """Return what is wrong with a chain."""

    async def verified(chain, noted=None):
        async with owner.installation() as session:
            reports = await verify_chains(session, {chain: noted} if noted else {})
        return {report.chain: report for report in reports}.get(chain)

    return verified


@pytest.fixture
async def chain(database, scope):
    await record(database, scope)
    return scope.org_id


def as_owner(roles, *statements):
    """Do what only the owner's role can."""
    with psycopg.connect(roles.owner_dsn) as connection:
        for statement, *values in statements:
            connection.execute(statement, values)


async def test_an_untouched_chain_is_well(chain, verify):
    """SEC-13"""
    report = await verify(chain)
    assert (report.faults, report.is_closed) == ((), False)
    assert report.rows >= 3 and len(report.head) == 32


async def test_the_rule_is_that_of_the_database_for_every_kind_of_value(chain, verify, owner):
    async with owner.installation() as session:
        hashes = await session.fetch(
            "select app.audit_hash(e) as hash, e.hash as kept from app.audit_event e where org_id = $1", chain
        )
    assert [row["hash"] for row in hashes] == [row["kept"] for row in hashes]
    assert (await verify(chain)).faults == ()


def change(roles, chain, seq, what):
    """Change a row as the owner, for example `target_id = 'another'`."""
    statement = sql.SQL("update app.audit_event e set {} where org_id = %s and seq = %s")
    with psycopg.connect(roles.owner_dsn) as connection:
        connection.execute(statement.format(sql.SQL(what)), [chain, seq])


FORGED = "action = 'nothing.happened'"
REHASHED = "hash = app.audit_hash(e)"


@pytest.mark.parametrize(
    "what",
    [
        FORGED,
        "at = at + interval '1 microsecond'",
        "acting_for = actor_id",
        "changes = '{}'",
        "address = null",
    ],
)
async def test_a_changed_row_is_found(what, chain, roles, verify):
    """SEC-13"""
    change(roles, chain, 2, what)
    assert (await verify(chain)).faults == ("row 2 was changed",)


async def test_a_row_rewritten_with_its_hash_is_found_by_the_next_one(chain, roles, verify):
    """SEC-13"""
    for what in (FORGED, REHASHED):
        change(roles, chain, 2, what)
    assert (await verify(chain)).faults == ("row 3 does not continue row 2",)


async def test_a_removed_row_is_found(chain, roles, verify):
    """SEC-13"""
    as_owner(roles, ("delete from app.audit_event where org_id = %s and seq = 2", chain))
    assert (await verify(chain)).faults == ("rows 2 to 2 are missing",)


async def test_a_removed_end_is_found(chain, roles, verify):
    rows = (await verify(chain)).rows
    as_owner(roles, ("delete from app.audit_event where org_id = %s and seq = %s", chain, rows))
    (fault,) = (await verify(chain)).faults
    assert fault.startswith(f"the chain ends with row {rows - 1}, but what was kept of its end is row {rows}")


async def test_a_rewritten_end_is_found_by_the_kept_one(chain, roles, verify):
    last = (await verify(chain)).rows
    for what in (FORGED, REHASHED):
        change(roles, chain, last, what)
    (fault,) = (await verify(chain)).faults
    assert fault.startswith(f"the chain ends with row {last}")


async def test_rows_in_another_order_are_found(chain, roles, verify):
    as_owner(
        roles,
        ("update app.audit_event set seq = -seq where org_id = %s and seq in (1, 2)", chain),
        ("update app.audit_event set seq = 3 + seq where org_id = %s and seq < 0", chain),
    )
    faults = (await verify(chain)).faults
    assert {"row 1 was changed", "row 2 was changed"} <= set(faults)


async def test_a_chain_rewritten_as_a_whole_is_found_by_a_hash_noted_earlier(chain, roles, verify):
    noted = (await verify(chain)).head
    assert (await verify(chain, noted)).faults == ()
    as_owner(
        roles,
        ("delete from app.audit_event where org_id = %s and seq > 1", chain),
        (
            """update app.audit_head h set seq = 1, hash = e.hash from app.audit_event e
                where h.chain = %s and e.org_id = h.chain""",
            chain,
        ),
    )
    assert (await verify(chain)).faults == ()
    assert (await verify(chain, noted)).faults == ("the hash that was expected is not in the chain",)


async def test_a_chain_without_its_end_is_found(chain, roles, verify):
    as_owner(roles, ("delete from app.audit_head where chain = %s", chain))
    (fault,) = (await verify(chain)).faults
    assert fault.endswith("what was kept of its end is nothing")


async def test_a_chain_that_is_gone_is_missed_by_a_hash_noted_earlier(verify):
    report = await verify(uuid4(), b"noted")
    assert report.faults == ("the hash that was expected is not in the chain",)


async def test_what_is_appended_meanwhile_disturbs_nothing(chain, database, scope, owner, verify):
    """The rows are read in one transaction that sees one moment."""
    appending = asyncio.create_task(record(database, scope, times=40))
    while not appending.done():
        assert (await verify(chain)).faults == ()
    await appending
    assert (await verify(chain)).rows >= 43


@pytest.fixture
async def deleted(chain, database, scope, roles, verify):
    """The chain of a workspace that was deleted for good, and its report before."""
    before = await verify(chain)
    async with database.session(scope) as session:
        await session.execute("update app.organization set delete_at = $1", utcnow() - timedelta(days=1))
        assert await session.fetchval("select app.delete_workspace($1)", scope.org_id)
    return before


async def test_the_end_of_a_deleted_workspaces_chain_stays(chain, deleted, verify):
    """TEN-9"""
    report = await verify(chain, deleted.head)
    assert (report.is_closed, report.faults) == (True, ())
    assert (report.rows, report.head) == (deleted.rows, deleted.head)


async def test_another_end_of_a_deleted_workspaces_chain_is_found(chain, deleted, roles, verify):
    as_owner(roles, ("update app.audit_head set hash = 'x' where chain = %s", chain))
    assert (await verify(chain)).faults == ("the end of the chain is not the one in the platform's chain",)


async def test_a_chain_closed_without_a_word_is_found(chain, roles, verify):
    as_owner(roles, ("update app.audit_head set closed_at = now() where chain = %s", chain))
    (fault,) = (await verify(chain)).faults
    assert fault == "the chain is closed, but the platform's chain does not tell of it"


async def test_the_command_prints_each_end_and_its_exit_code_tells(chain, home, roles, verify):
    def run(*options):
        done = subprocess.run(
            [sys.executable, "-m", "gptagent", "audit", "verify", *options],
            env={**child_environment(), "GPTAGENT_HOME": str(home), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    head = f"{chain}={(await verify(chain)).head.hex()}"
    _code, said, _ = run("--expect", head)
    assert head in said
    change(roles, chain, 2, FORGED)
    code, said, _ = run()
    assert code == 1 and "row 2 was changed" in said
    assert run("--expect", "nonsense")[0] == 65


async def test_an_external_database_needs_its_owner(roles):
    with_owner = Settings(database_url=roles.app_dsn, database_owner_url=roles.owner_dsn)
    reports = await operations.verify_audit(with_owner, {})
    assert PLATFORM_ID in {report.chain for report in reports}
