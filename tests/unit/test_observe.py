"""Logs: JSON lines with ids, never personal data or secrets."""

import json
import subprocess
import sys

import pytest

from gptagent.kernel.observe import REDACTED, drop_exception_texts, redact

PROGRAM = """
import logging
import structlog
from gptagent.kernel.ids import new_id
from gptagent.kernel.observe import configure_logging, job_context
from gptagent.kernel.scope import Scope

configure_logging()
log = structlog.get_logger("test")
with job_context("test.job", 7, Scope(new_id(), request_id="req-1")):
    log.info("happened", email="anna@example.com", row_id=5)
    try:
        raise ValueError("anna@example.com wrote this")
    except ValueError:
        log.exception("broke")
logging.getLogger("library").warning("from a %s", "library")
logging.getLogger("library").info("too quiet")
"""


@pytest.mark.parametrize(
    "key",
    ["password", "Authorization", "access_token", "user_email", "text", "full_name", "SECRET_KEYS", "phone"],
)
def test_a_value_under_a_private_name_is_blanked(key):
    assert redact(None, "info", {key: "x", "org_id": "y"}) == {key: REDACTED, "org_id": "y"}


@pytest.mark.parametrize("key", ["job_name", "route_name", "event_name", "logger_name", "org_id", "count"])
def test_what_operators_need_stays(key):
    assert redact(None, "info", {key: "x"}) == {key: "x"}


def test_an_exceptions_own_words_are_dropped():
    event = {"exception": [{"exc_type": "ValueError", "exc_value": "anna@example.com", "exc_notes": ["x"]}]}
    assert drop_exception_texts(None, "error", event) == {"exception": [{"exc_type": "ValueError"}]}


def test_every_line_is_json_that_names_its_job_and_nobody():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    happened, broke, library = [json.loads(line) for line in done.stdout.splitlines()]
    assert (happened["event"], happened["row_id"], happened["email"]) == ("happened", 5, REDACTED)
    for line in (happened, broke):
        assert (line["job"], line["job_id"], line["request_id"]) == ("test.job", 7, "req-1")
        assert line["org_id"] and line["timestamp"].endswith("Z") and line["level"]
    assert broke["exception"][0]["exc_type"] == "ValueError"
    assert library["event"] == "from a library"
    assert "anna" not in done.stdout
