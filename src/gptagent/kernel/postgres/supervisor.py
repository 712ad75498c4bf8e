"""Start, attach to and stop the server of one home."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import gptagent.kernel.postgres.processes as ps
from gptagent.kernel.errors import UpstreamUnavailable
from gptagent.kernel.postgres import binaries as programs
from gptagent.kernel.postgres.account import choose_account
from gptagent.kernel.postgres.cluster import create_cluster, server_command, superuser_password
from gptagent.kernel.postgres.endpoint import PORT, SUPERUSER, Answer, Endpoint, ask, await_ready
from gptagent.kernel.postgres.layout import Layout, adopt, locked_out
from gptagent.kernel.postgres.lock import HomeLock
from gptagent.kernel.postgres.sockets import LOCK, drop_socket_dir, prepare_socket_dir, socket_dir_of

# A fast shutdown writes a checkpoint, which may take a slow disk this long.
FAST_STOP_S = 120.0
IMMEDIATE_STOP_S = 30.0
LOG_CAP_BYTES = 5_000_000
LOG_TAIL_BYTES = 1_000

# Servers started by this process. They outlive the objects that started them, and whichever
# object looks next reaps the dead ones: PostgreSQL takes a zombie for a living server.
_children: dict[int, subprocess.Popen[bytes]] = {}


class Postgres:
    """The server outlives this object and its process: whoever starts next attaches to it."""

    def __init__(
        self,
        home: Path,
        *,
        on_progress: Callable[[str], None] | None = None,
        is_given_up: Callable[[], bool] = lambda: False,
        binaries: Path | None = None,
    ) -> None:
        self._layout = Layout(home.absolute())
        self._report = on_progress or (lambda _: None)
        self._is_given_up = is_given_up
        self._source = binaries
        self._lock = HomeLock(self._layout.lock)

    @property
    def pid(self) -> int | None:
        """The running server's process id; None when none runs."""
        _reap()
        return ps.postmaster(self._layout.data)

    def start(self) -> Endpoint:
        """Return when the server of this home serves: created, attached to or recovered as need be.

        Holds the home until `stop` or the end of this process. Called again it does nothing, or
        recovers a server that died. Raises Misconfigured when the home or its data cannot be used
        or another process supervises it, UpstreamUnavailable when the server does not come up or is
        given up while it recovers.
        """
        ps.require_proc()
        try:
            self._enter_home()
            self._lock.acquire()
            return self._ensure_running()
        except PermissionError as error:
            self._lock.release()
            raise locked_out(error, self._layout.home) from error
        except BaseException:
            self._lock.release()
            raise

    def attach(self) -> Endpoint | None:
        """Return the endpoint if a healthy server of this home runs; never starts one."""
        import psycopg

        try:
            self._layout.require_own()
            socket_dir = socket_dir_of(self._layout)
            if self.pid is None or socket_dir is None:
                return None
            endpoint = self._endpoint(socket_dir)
            return endpoint if ask(endpoint) is Answer.READY else None
        except psycopg.OperationalError:
            return None
        except PermissionError as error:
            raise locked_out(error, self._layout.home) from error

    def stop(self) -> None:
        """End the server of this home, if one runs, with all its data on disk; free the home."""
        if not self._layout.initialised:
            self._lock.release()
            return
        self._lock.acquire()
        try:
            if (pid := self.pid) is not None:
                self._shut_down(pid)
            drop_socket_dir(self._layout)
        finally:
            self._lock.release()

    def trim_log(self) -> None:
        """Keep the server's log below a cap plus one older part; its supervisor calls this now and then."""
        log = self._layout.log
        if log.exists() and log.stat().st_size > LOG_CAP_BYTES:
            older = log.with_suffix(".log.1")
            shutil.copy2(log, older)
            adopt(older)
            # the server appends, so it goes on at the new end
            os.truncate(log, 0)

    def _enter_home(self) -> None:
        self._layout.create()
        self._layout.require_own()

    def _ensure_running(self) -> Endpoint:
        layout = self._layout
        account = choose_account(layout.data)
        account.require_entry(layout.root)
        usable = programs.usable_binaries(self._source or programs.find_binaries(), account, layout)
        programs.require_version(usable, account, layout.data)
        password = superuser_password(layout)
        if not layout.initialised:
            self._report("Creating the database directory")
            create_cluster(layout, account, usable, password)
        socket_dir = prepare_socket_dir(layout, account)
        endpoint = self._endpoint(socket_dir)
        command = server_command(usable, layout, socket_dir)
        if self._rejoin(command, endpoint):
            return endpoint
        ps.clear_stale_locks(layout.data, socket_dir / LOCK)
        self._launch(lambda log: account.spawn(command, log), endpoint)
        return endpoint

    def _endpoint(self, socket_dir: Path) -> Endpoint:
        return Endpoint(socket_dir, PORT, SUPERUSER, superuser_password(self._layout))

    def _rejoin(self, command: list[str], endpoint: Endpoint) -> bool:
        pid = self.pid
        if pid is None:
            return False
        if ps.command_of(pid) != command:
            self._report("PostgreSQL runs with other programs or settings: restarting it")
            self._shut_down(pid)
            return False
        # false when it was shutting down: then it is gone by now
        is_ready = await_ready(
            endpoint, lambda: self.pid == pid and not self._is_given_up(), self._report_wait
        )
        self._end_if_given_up(is_ready=is_ready)
        return is_ready

    def _launch(self, spawn: Callable[[int], subprocess.Popen[bytes]], endpoint: Endpoint) -> None:
        self.trim_log()
        log = os.open(self._layout.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            adopt(self._layout.log)
            began = os.fstat(log).st_size
            child = spawn(log)
            _children[child.pid] = child
        finally:
            os.close(log)
        is_ready = await_ready(
            endpoint, lambda: child.poll() is None and not self._is_given_up(), self._report_wait
        )
        self._end_if_given_up(is_ready=is_ready)
        if not is_ready:
            raise UpstreamUnavailable(
                "postgres_did_not_start",
                "PostgreSQL did not start. The end of its log {log}: {tail}",
                params={"log": str(self._layout.log), "tail": self._log_tail(began)},
            )

    def _end_if_given_up(self, *, is_ready: bool) -> None:
        if not is_ready and self._is_given_up():
            raise UpstreamUnavailable(
                "postgres_start_given_up", "PostgreSQL was told to stop before it was ready."
            )

    def _report_wait(self, seconds: float) -> None:
        latest = self._log_tail(0).rpartition("\n")[2]
        self._report(f"PostgreSQL is starting or recovering ({seconds:.0f} s): {latest}")

    def _log_tail(self, start: int) -> str:
        with self._layout.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(start, size - LOG_TAIL_BYTES))
            return log.read().decode(errors="replace").strip()

    def _shut_down(self, pid: int) -> None:
        for number, patience in ((signal.SIGINT, FAST_STOP_S), (signal.SIGQUIT, IMMEDIATE_STOP_S)):
            ps.send(pid, number)
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline:
                # in this order: whoever ended meanwhile is reaped by asking for the pid
                if not ps.is_running(pid) and self.pid != pid:
                    return
                time.sleep(0.01)
        raise UpstreamUnavailable(
            "postgres_does_not_stop", "PostgreSQL (process {pid}) does not stop.", params={"pid": pid}
        )


def _reap() -> None:
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            del _children[pid]
