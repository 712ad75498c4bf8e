"""Processes of the platform as they run in earnest, for tests that speak to them over HTTP."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Literal

import httpx2

from gptagent.entrypoints.demo.ports import free_port
from gptagent.kernel.settings import child_environment
from trust import TRUST

START_SECONDS = 120.0
STOP_SECONDS = 15.0
POLL_SECONDS = 0.05
PATIENT = """
from gptagent.entrypoints import serving
from gptagent.entrypoints.cli import main

in_earnest = serving.create_app

def create_app():
    from gptagent.features.crm import api  # not before the process said where it counts
    from gptagent.features.crm.deliveries import processing, service

    processing.ACT_SECONDS = service.CATCH_UP_SECONDS = api.ANSWER_SECONDS = 60.0
    return in_earnest()

serving.create_app = create_app
main()
"""
_numbers = count(1)


@dataclass
class Server:
    """A running process. `used` collects what its log must never hold."""

    process: "subprocess.Popen[bytes]"
    log_file: Path
    url: str = ""
    used: set[str] = field(default_factory=set)

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def until(self, what: str, condition) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            assert self.process.poll() is None, f"{what}: the process ended\n{self.log[-3000:]}"
            assert time.monotonic() < deadline, f"{what}: not in time\n{self.log[-3000:]}"
            time.sleep(POLL_SECONDS)

    def answers(self, path: str) -> bool:
        try:
            return httpx2.get(self.url + path, timeout=5, verify=TRUST).status_code == 200
        except httpx2.TransportError:
            return False


@contextmanager
def serving(home: Path, *, port: int = 0, is_patient: bool = False, **settings: str) -> Iterator[Server]:
    """Run a web process on this home's database until the block ends; on a free port if none is given.

    `is_patient`: it acts on each webhook itself, however long a busy machine takes, where no worker runs.
    """
    port = port or free_port()
    program = ("-c", PATIENT) if is_patient else ("-m", "gptagent")
    with _running("web", home, program, HOST="127.0.0.1", PORT=str(port), **settings) as server:
        server.url = f"http://127.0.0.1:{port}"
        server.until("the web process is ready", lambda: server.answers("/health/live"))
        yield server


@contextmanager
def working(home: Path, **settings: str) -> Iterator[Server]:
    """Run a worker process on this home's database until the block ends."""
    with _running("worker", home, ("-m", "gptagent"), **settings) as worker:
        worker.until("the worker is ready", lambda: "worker_ready" in worker.log)
        yield worker


@contextmanager
def _running(
    name: Literal["web", "worker"], home: Path, program: tuple[str, str], **settings: str
) -> Iterator[Server]:
    log_file = home / f"{name}-{next(_numbers)}.log"
    environment = {**child_environment(), "GPTAGENT_HOME": str(home), "PYTHONUNBUFFERED": "1", **settings}
    with log_file.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *program, name],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    try:
        yield Server(process, log_file)
    finally:
        _stop(process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
