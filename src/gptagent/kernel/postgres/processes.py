"""Which processes serve a data directory. Read from /proc only what every user may read:

in a container root often lacks the right to see another user's /proc/N/cwd or /proc/N/exe.
"""

import os
import signal
import time
from pathlib import Path

from gptagent.kernel.errors import Misconfigured, UpstreamUnavailable

PROC = Path("/proc")
ORPHANS_END_BY_THEMSELVES_S = 1.0
ORPHANS_END_AT_ALL_S = 60.0


def require_proc() -> None:
    if not (PROC / "self/stat").exists():
        raise Misconfigured(
            "postgres_needs_linux",
            "The embedded PostgreSQL needs Linux with /proc. Set DATABASE_URL to a server of your own.",
        )


def server_mark(data: Path) -> str:
    """The server's `cluster_name`: it stands in the command line of each of its processes."""
    place = data.stat()
    return f"gptagent.{place.st_dev}.{place.st_ino}."


def read_pid(file: Path) -> int | None:
    """The process a lock file names; None when there is no such file or it is empty."""
    try:
        first = file.read_text().partition("\n")[0].strip()
    except FileNotFoundError:
        return None
    return int(first) if first.removeprefix("-").isdigit() else None


def postmaster(data: Path) -> int | None:
    """The living server of this data directory."""
    pid = read_pid(data / "postmaster.pid")
    return pid if pid is not None and _serves(pid, data) else None


def command_of(pid: int) -> list[str]:
    try:
        return (PROC / str(pid) / "cmdline").read_text().split("\0")[:-1]
    except OSError:
        return []


def is_running(pid: int) -> bool:
    """False also for a zombie: it only waits to be reaped, which some containers never do."""
    return _state(pid) not in {None, "Z", "X"}


def clear_stale_locks(data: Path, socket_lock: Path) -> None:
    """Remove lock files whose pid has gone to a foreign process or a zombie.

    PostgreSQL judges a stale pid itself, except that it takes any process of its own user, and a
    zombie, for a living server. A pid that is gone is left to it. Raises UpstreamUnavailable
    when a process of the crashed server does not end: unlinking then would let two servers in.
    """
    _end_orphans(data)
    for lock in (data / "postmaster.pid", socket_lock):
        pid = read_pid(lock)
        if pid is not None and pid > 0 and _state(pid) is not None:
            lock.unlink()


def _end_orphans(data: Path) -> None:
    began, asked = time.monotonic(), False
    while orphans := [pid for pid in _all_pids() if _serves(pid, data)]:
        waited = time.monotonic() - began
        if waited > ORPHANS_END_AT_ALL_S:
            raise UpstreamUnavailable(
                "postgres_orphans",
                "Processes of a crashed PostgreSQL do not end: {pids}",
                params={"pids": ", ".join(map(str, orphans))},
            )
        if waited > ORPHANS_END_BY_THEMSELVES_S and not asked:
            asked = True
            for pid in orphans:
                send(pid, signal.SIGQUIT)
        time.sleep(0.02)


def send(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def _serves(pid: int, data: Path) -> bool:
    folder = PROC / str(pid)
    try:
        if not is_running(pid) or (folder / "comm").read_text().strip() != "postgres":
            return False
        if folder.stat().st_uid == data.stat().st_uid and any(
            server_mark(data) in part for part in command_of(pid)
        ):
            return True
        # a server somebody started by hand does not carry our mark
        return (folder / "cwd").samefile(data)
    except OSError:
        return False


def _state(pid: int) -> str | None:
    try:
        # the name in brackets may itself hold brackets and spaces
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None
