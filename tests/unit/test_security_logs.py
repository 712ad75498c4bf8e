"""A log is one line per event whatever stands in it, and an error nobody foresaw is in it."""

import json
import subprocess
import sys

PROGRAM = r"""
import asyncio, logging, structlog
from fastapi import FastAPI
from gptagent.entrypoints.middleware import RequestEdge
from gptagent.kernel.observe import configure_logging

configure_logging()
FORGED = 'x"}\n{"event": "forged"}\r\n\x1b[2J\u2028'
structlog.get_logger("test").info(FORGED, route=FORGED)
logging.getLogger("library").warning("%s", FORGED)

async def broken(scope, receive, send):
    raise ValueError("anna@example.com wrote this")

async def drop(message):
    pass

scope = {"type": "http", "method": "GET", "path": "/api/x", "headers": [], "app": FastAPI()}
asyncio.run(RequestEdge(broken, https=False)(scope, None, drop))
"""


def lines_of(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.split("\n") if line]


def test_what_people_write_makes_no_line_of_its_own():
    first, second, *_ = lines_of(PROGRAM)
    for line in (first, second):
        assert line["event"].startswith('x"}\n{"event": "forged"}')
    assert first["route"] == first["event"]


def test_an_error_nobody_foresaw_is_logged_with_its_request_and_without_its_text():
    *_, failed, request = lines_of(PROGRAM)
    assert (failed["event"], failed["level"], failed["error"]) == ("request_failed", "error", "ValueError")
    assert failed["exception"][0]["frames"] and "anna" not in json.dumps(failed)
    assert (request["event"], request["status"]) == ("request", 500)
    assert failed["request_id"] == request["request_id"]
