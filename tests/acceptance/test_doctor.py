"""`gptagent doctor` says what is wrong and how it is mended; its exit code tells which of the two."""

import subprocess
import sys

from gptagent.kernel.settings import child_environment


def doctor(home, **settings):
    done = subprocess.run(
        [sys.executable, "-m", "gptagent", "doctor"],
        env={**child_environment(), "GPTAGENT_HOME": str(home), **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def test_a_home_nobody_started_is_explained(tmp_path):
    code, said = doctor(tmp_path)
    assert code == 1
    assert "PROBLEM  database" in said
    assert "-> Start the platform with `gptagent up`, or check DATABASE_URL." in said
    assert "PROBLEM  migrations  not checked: it needs the database" in said


async def test_each_thing_that_is_well_is_said_to_be(home, database):
    _code, said = doctor(home)
    for what in ("disk", "files", "database", "migrations", "model"):
        assert f"ok       {what}" in said
    assert "agents quote the knowledge base" in said


async def test_a_model_that_does_not_answer_is_a_problem(home, database):
    code, said = doctor(home, LLM_MODEL="m", LLM_BASE_URL="http://127.0.0.1:9/v1", LLM_API_KEY="secret-key")
    assert code == 1
    assert "PROBLEM  model" in said
    assert "EGRESS_ALLOW=host:port" in said
    assert "secret-key" not in said


async def test_a_broken_connection_is_counted(world, home):
    async with world.db.session(world.scope) as session:
        await session.execute("update app.crm_connection set status = 'broken', status_reason = 'crm_scope'")
    code, said = doctor(home)
    assert code == 1
    assert "Their owners reconnect them with a new token." in said
    async with world.db.session(world.scope) as session:
        await session.execute("delete from app.crm_connection")
