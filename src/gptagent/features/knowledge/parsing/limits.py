"""What a parsing child may use. The child sets them on itself before it opens the file."""

import os
import resource
import signal

MEMORY_BYTES = 1 << 30
CPU_SECONDS = 60
WALL_SECONDS = 120
TEXT_MAX_CHARS = 6_000_000
OUTPUT_MAX_BYTES = 20_000_000
UNPACKED_MAX_BYTES = 300_000_000  # of a DOCX, by its own directory; the memory limit stops one that lies
ARCHIVE_MAX_ENTRIES = 10_000
PAGES_MAX = 10_000
_OPEN_FILES = 64
_NOBODY = 65534


def restrain() -> None:
    """Limit memory, CPU, time, written files and open files of this process, and let it start no other."""
    for kind, amount in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        hard = resource.getrlimit(kind)[1]
        limit = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
        resource.setrlimit(kind, (limit, limit))
    # The parent kills the child in time; this ends it when the parent is gone.
    signal.alarm(WALL_SECONDS + 10)


def drop_root() -> None:
    """Become nobody if root: the file is open by now, and nothing else on this machine is needed."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
