"""One supervisor per home: a lock the kernel releases when its holder dies."""

import fcntl
import os
from pathlib import Path

from gptagent.kernel.errors import Misconfigured
from gptagent.kernel.postgres.layout import adopt


class HomeLock:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def acquire(self) -> None:
        """Take the lock or raise Misconfigured naming its holder; taking it again changes nothing."""
        if self._handle is not None:
            return
        # not inherited by child processes: a worker left behind must not keep the home locked
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 20).decode() or "?"
            os.close(handle)
            raise self._in_use(holder) from None
        adopt(self._path)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        self._handle = handle

    def release(self) -> None:
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None

    def _in_use(self, holder: str) -> Misconfigured:
        return Misconfigured(
            "home_in_use",
            "{home} is already in use: process {pid} runs the platform there. "
            "Stop it first, or set GPTAGENT_HOME to another folder.",
            params={"home": str(self._path.parent.parent), "pid": holder},
        )
