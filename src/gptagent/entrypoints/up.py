"""`gptagent up`: one command, one machine. PostgreSQL, one web and one worker process, watched.

This process imports little: it stays for as long as the platform runs.
"""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gptagent.kernel.errors import Misconfigured, UpstreamUnavailable
from gptagent.kernel.i18n import translate
from gptagent.kernel.settings import Settings, share_metrics

if TYPE_CHECKING:
    from gptagent.kernel.postgres import Postgres

READY_TIMEOUT_SECONDS = 60.0
PORT_TIMEOUT_SECONDS = 10.0  # a web process left behind drains for eight
STOP_TIMEOUT_SECONDS = 12.0  # the whole platform ends within 15 s of SIGTERM
POLL_SECONDS = 0.1
WATCH_SECONDS = 0.5
TRIM_LOG_SECONDS = 3600.0
RESTART_DELAYS = (0.5, 1, 2, 5, 10, 30)
STEADY_AFTER_SECONDS = 60.0  # a process that lived so long starts its back-off anew


@dataclass(slots=True)
class Child:
    """A supervised process in a process group of its own."""

    name: str
    options: tuple[str, ...] = ()
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    failures: int = 0
    restart_at: float = 0.0

    def start(self) -> None:
        command = [
            sys.executable,
            "-m",
            "gptagent",
            self.name,
            "--supervisor",
            str(os.getpid()),
            *self.options,
        ]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
        self.started_at = time.monotonic()

    def watch(self) -> None:
        """Start the process again, later each time, if it has ended."""
        now = time.monotonic()
        if self.process is not None and self.process.poll() is not None:
            steady = now - self.started_at > STEADY_AFTER_SECONDS
            self.failures = 0 if steady else self.failures
            delay = RESTART_DELAYS[min(self.failures, len(RESTART_DELAYS) - 1)]
            print(
                f"{self.name} ended ({self.process.returncode}), starting it again in {delay} s", flush=True
            )
            self.failures += 1
            self.restart_at = now + delay
            self.process = None
        if self.process is None and now >= self.restart_at:
            self.start()

    def ask_to_stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait_or_kill(self, deadline: float) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@dataclass(slots=True)
class Revival:
    """Starts PostgreSQL again, later each time it fails. Web and worker reconnect by themselves."""

    failures: int = 0
    restart_at: float = 0.0

    def watch(self, server: "Postgres") -> None:
        if server.pid is not None or time.monotonic() < self.restart_at:
            return
        print("PostgreSQL ended, starting it again", flush=True)
        try:
            server.start()
        except UpstreamUnavailable as error:
            delay = RESTART_DELAYS[min(self.failures, len(RESTART_DELAYS) - 1)]
            print(f"{translate('en', error.message, **error.params)} Again in {delay} s.", flush=True)
            self.failures += 1
            self.restart_at = time.monotonic() + delay
        else:
            self.failures = 0


@dataclass(slots=True)
class Up:
    settings: Settings
    reload: bool = False
    stopping: threading.Event = field(default_factory=threading.Event)
    children: tuple[Child, ...] = field(init=False)

    def __post_init__(self) -> None:
        options = ("--reload",) if self.reload else ()
        self.children = (Child("web", options), Child("worker"))

    def run(self) -> int:
        """Start everything, print the URL, watch until told to stop. Returns the exit code."""
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: self.stopping.set())
        if self.settings.database_url is not None:
            self._migrate(self._external_owner(), self.settings.database_url.get_secret_value())
            return self._serve()
        from gptagent.kernel.postgres import Postgres, prepare_database

        server = Postgres(
            self.settings.home,
            on_progress=lambda text: print(text, flush=True),
            is_given_up=self.stopping.is_set,
        )
        try:
            endpoint = server.start()
        except UpstreamUnavailable:
            if not self.stopping.is_set():
                raise
            server.stop()
            return 0
        try:
            roles = prepare_database(endpoint, self.settings.home)
            self._migrate(roles.owner_dsn, roles.app_dsn)
            return self._serve(server)
        finally:
            server.stop()

    def _external_owner(self) -> str:
        if self.settings.database_owner_url is None:
            raise Misconfigured(
                "database_owner_missing", "Set DATABASE_OWNER_URL to the role that owns the tables."
            )
        return self.settings.database_owner_url.get_secret_value()

    def _migrate(self, owner_dsn: str, app_dsn: str) -> None:
        """Migrate in a process of its own: Alembic would stay in this one's memory as long as it runs."""
        from gptagent.migrations.run import is_current, migrate

        if not is_current(owner_dsn):
            command = [sys.executable, "-m", "gptagent", "migrate"]
            if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
                raise Misconfigured(
                    "migration_failed", "The database could not be migrated; see the lines above."
                )
            print("database is up to date", flush=True)
        migrate(owner_dsn, app_dsn)

    def _serve(self, server: "Postgres | None" = None) -> int:
        self._wait_for_port()
        share_metrics(self.settings.home, fresh=True)
        for child in self.children:
            child.start()
        try:
            if not self._wait_until_ready():
                return 0 if self.stopping.is_set() else 1
            print(f"ready {self.settings.base_url}", flush=True)
            if link := self._setup_link():
                print(f"First start: create your account at {link}", flush=True)
            self._watch(server)
            return 0
        finally:
            self._stop_children()

    def _watch(self, server: "Postgres | None") -> None:
        trimmed_at, revival = time.monotonic(), Revival()
        while not self.stopping.wait(WATCH_SECONDS):
            for child in self.children:
                child.watch()
            if server is not None:
                revival.watch(server)
            if server is not None and time.monotonic() - trimmed_at > TRIM_LOG_SECONDS:
                server.trim_log()
                trimmed_at = time.monotonic()

    def _wait_for_port(self) -> None:
        """Wait for the web process of a killed supervisor. Raises Misconfigured if the port stays taken."""
        deadline = time.monotonic() + PORT_TIMEOUT_SECONDS
        while self._port_is_taken() and not self.stopping.is_set():
            if time.monotonic() > deadline:
                raise Misconfigured(
                    "port_taken",
                    "Another program listens on port {port} of {host}. End it, or set PORT to a free one.",
                    params={"port": str(self.settings.port), "host": self.settings.host},
                )
            time.sleep(POLL_SECONDS)

    def _port_is_taken(self) -> bool:
        family = socket.AF_INET6 if ":" in self.settings.host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server will bind it
            try:
                probe.bind((self.settings.host, self.settings.port))
            except OSError as error:
                return error.errno == errno.EADDRINUSE
        return False

    def _wait_until_ready(self) -> bool:
        url = f"http://{self._probe_host()}:{self.settings.port}/health/ready"
        deadline = time.monotonic() + READY_TIMEOUT_SECONDS
        while time.monotonic() < deadline and not self.stopping.is_set():
            for child in self.children:
                child.watch()
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:
                    if answer.status == 200:
                        return True
            except (urllib.error.URLError, OSError):
                time.sleep(POLL_SECONDS)
        return False

    def _probe_host(self) -> str:
        return "127.0.0.1" if self.settings.host in {"0.0.0.0", "::"} else self.settings.host  # noqa: S104 - compared

    def _setup_link(self) -> str | None:
        """Return the one-time link for the first account; a process of its own keeps this one small."""
        command = [sys.executable, "-m", "gptagent", "setup-link"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        return answer.stdout.strip() or None

    def _stop_children(self) -> None:
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        for child in self.children:
            child.ask_to_stop()
        for child in self.children:
            child.wait_or_kill(deadline)
