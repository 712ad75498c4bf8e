"""`gptagent up` as a newcomer and an operator meet it: real processes, real signals."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

from gptagent.entrypoints.demo.ports import free_port
from gptagent.kernel.settings import child_environment
from homes import copy_database

START_SECONDS = 90
STOP_SECONDS = 60
POLL_SECONDS = 0.1


@pytest.fixture
def home():
    folder = Path(tempfile.mkdtemp(prefix="gpta-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def used_home(home):
    """A home whose database is there already, where there is one to copy: to make it takes long."""
    copy_database(home)
    return home


class Running:
    """A started `gptagent up`; its output goes to a file, so nothing can block on it."""

    def __init__(self, home, port, **environment):
        self.log = home / f"up-{time.monotonic_ns()}.log"
        variables = {
            **child_environment(),
            "GPTAGENT_HOME": str(home),
            "PORT": str(port),
            **environment,
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "gptagent", "up"], env=variables, stdout=log, stderr=log
            )

    def wait_for(self, text):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if text in self.output():
                return
            if self.process.poll() is not None:
                break
            time.sleep(POLL_SECONDS)
        raise AssertionError(f"no {text!r} in:\n{self.output()}")

    def output(self):
        return self.log.read_text()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(STOP_SECONDS)


@pytest.fixture
def up(home):
    started = []

    def start(port, **environment):
        started.append(Running(home, port, **environment))
        return started[-1]

    yield start
    for running in started:
        running.stop()


def processes_of(home):
    """Pids whose environment or command line names this home."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if str(home).encode() in text:
            found.append(int(entry.name))
    return found


def until_nothing_runs_of(home):
    """What was killed is gone a moment later only: it ends when it is given the processor again."""
    deadline = time.monotonic() + STOP_SECONDS
    while left := processes_of(home):
        assert time.monotonic() < deadline, left
        time.sleep(POLL_SECONDS)


def test_the_first_start_offers_a_setup_link_and_a_signal_ends_everything(up, home):
    port = free_port()
    running = up(port)
    running.wait_for("/setup/")
    assert f"ready http://localhost:{port}" in running.output()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready") as answer:
        assert answer.status == 200
    variables = {**child_environment(), "GPTAGENT_HOME": str(home)}
    examined = subprocess.run([sys.executable, "-m", "gptagent", "doctor"], env=variables, check=False)
    assert examined.returncode == 0
    assert running.stop() == 0
    until_nothing_runs_of(home)


def test_a_second_start_on_the_same_home_says_so(up, used_home):
    first = up(free_port())
    first.wait_for("ready http")
    second = up(free_port())
    assert second.process.wait(START_SECONDS) != 0
    assert f"{used_home} is already in use" in second.output()
    assert str(first.process.pid) in second.output()


def test_a_taken_port_is_named_with_the_way_out(up, used_home):
    with socket.socket() as other:
        port = free_port()
        other.bind(("127.0.0.1", port))
        other.listen()
        running = up(port)
        assert running.process.wait(START_SECONDS) != 0
    assert f"Another program listens on port {port} of 127.0.0.1. End it, or set PORT" in running.output()
    assert "Traceback" not in running.output()
    until_nothing_runs_of(used_home)


def test_after_the_supervisor_was_killed_the_next_start_takes_over(up, used_home):
    port = free_port()
    first = up(port)
    first.wait_for("ready http")
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.wait()
    second = up(port)
    second.wait_for(f"ready http://localhost:{port}")
    assert second.stop() == 0
    until_nothing_runs_of(used_home)


def test_unsafe_production_settings_are_refused_with_a_sentence(up):
    running = up(free_port(), APP_ENV="production")
    assert running.process.wait(START_SECONDS) != 0
    assert "set PUBLIC_URL to the https:// address people open" in running.output()
    assert "set SECRET_KEYS" in running.output()
    assert "Traceback" not in running.output()


@pytest.mark.parametrize("transport", ["talk", "salesbot", "widget"])
def test_the_demonstration_passes(home, transport):
    """MSG-1, CRM-22: from webhook to reply, by each way into the chat, with nothing but this machine."""
    done = subprocess.run(
        [sys.executable, "-m", "gptagent", "demo", "--transport", transport],
        env=child_environment(),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("  passed  ") == 5


def test_a_second_web_process_without_redis_is_refused_with_a_sentence(up, used_home):
    """SEC-9: limits on log-ins are counted in one place or not at all."""
    up(free_port()).wait_for("ready http")
    variables = {**child_environment(), "GPTAGENT_HOME": str(used_home), "PORT": str(free_port())}
    second = subprocess.run(
        [sys.executable, "-m", "gptagent", "web"],
        env=variables,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )
    assert second.returncode != 0
    assert "Set REDIS_URL to run several" in second.stdout + second.stderr
    assert "Traceback" not in second.stdout + second.stderr


def test_a_demonstration_that_is_ended_leaves_nothing_behind(home):
    variables = {**child_environment(), "TMPDIR": str(home)}
    with subprocess.Popen(
        [sys.executable, "-m", "gptagent", "demo"], env=variables, stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout.readline().startswith("platform http")
        demo.terminate()
        assert demo.wait(2 * STOP_SECONDS) == 130
    until_nothing_runs_of(home)
