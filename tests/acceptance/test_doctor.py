"""`gptagent doctor` says what is wrong and how it is mended; its exit code tells which of the two."""

import subprocess
import sys
from urllib.parse import urlsplit

import httpx2

from gptagent.kernel.settings import child_environment
from gptagent.sandbox.spawn import running


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
    for what in ("disk", "files", "database", "migrations", "model", "reranking", "speech", "vision"):
        assert f"ok       {what}" in said
    assert "agents quote the knowledge base" in said
    assert "none set: of voice messages agents ask for words (SPEECH_MODEL)" in said
    assert "none set: of pictures agents ask for words (VISION_MODEL)" in said


def test_models_for_voice_and_pictures_are_asked_and_what_is_set_in_vain_is_told(tmp_path):
    """A moment of silence and a picture are sent; a key without a model is a mistake."""
    with running("llm") as url, httpx2.Client(base_url=f"{url}/_sandbox") as control:
        parts = urlsplit(url)
        there = {"EGRESS_ALLOW": f"{parts.hostname}:{parts.port}", "SPEECH_BASE_URL": f"{url}/v1"}
        there |= {"VISION_BASE_URL": f"{url}/v1", "SPEECH_MODEL": "ear", "VISION_MODEL": "eye"}
        _code, said = doctor(tmp_path, **there)
        for what in ("speech", "vision"):
            assert f"ok       {what:<11} {parts.hostname} answers in" in said
        calls = {one["kind"]: one["prompt"] for one in control.get("/calls").json()["calls"]}
        assert set(calls) == {"transcription", "chat"} and "image_url" in str(calls["chat"])
        gone = {"SPEECH_MODEL": "deaf", "SPEECH_FALLBACK_MODEL": "ear"}
        gone |= {"VISION_MODEL": "deaf", "VISION_FALLBACK_MODEL": "eye"}
        fault = {"model": "deaf", "status": 404, "count": 10}
        control.post("/faults", json=fault).raise_for_status()
        _code, said = doctor(tmp_path, **there | gone)
        assert "PROBLEM  speech" in said and "PROBLEM  vision" in said, "that another answers is no health"
        control.delete("/faults").raise_for_status()
        vain = {**there, "VISION_API_KEY": "set-in-vain"}
        del vain["SPEECH_MODEL"], vain["VISION_MODEL"]
        code, said = doctor(tmp_path, **vain)
    assert code == 1
    assert "PROBLEM  speech      SPEECH_BASE_URL is set without SPEECH_MODEL" in said
    assert "PROBLEM  vision      VISION_BASE_URL and VISION_API_KEY are set without VISION_MODEL" in said
    assert "-> Set VISION_MODEL, or remove VISION_BASE_URL and VISION_API_KEY." in said
    assert "set-in-vain" not in said
    gone = {"SPEECH_MODEL": "ear", "SPEECH_BASE_URL": "http://127.0.0.1:9/v1"}
    _code, said = doctor(tmp_path, **gone)
    assert "PROBLEM  speech" in said and "-> Check SPEECH_BASE_URL, SPEECH_API_KEY and SPEECH_MODEL" in said


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
