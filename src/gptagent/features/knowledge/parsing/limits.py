"""What a parsing child may use. The child sets them on itself before it opens the file."""

import os
import resource
import signal

MEMORY_BYTES = 1 << 30
CPU_SECONDS = 60
WALL_SECONDS = 120
TEXT_MAX_CHARS = 6_000_000
OUTPUT_MAX_BYTES = 20_000_000
UNPACKED_MAX_BYTES = 300_000_000  # of an archive, by its own directory; the memory limit stops one that lies
ARCHIVE_MAX_ENTRIES = 10_000
ARCHIVE_FILES_MAX = 1_000  # of a ZIP: each becomes a document
UNREADY = 70  # how a child ends whose readers cannot be loaded: no file was looked at
ALONE = 1  # number of the child's task `read`: a letter without what is attached
ATTACHED_MAX = 50  # files of one letter that are read
ATTACHED_NAMED_MAX = 200  # those, and those named as unread: every list of documents reads the names
ATTACHED_DEPTH_MAX = 5  # letters within letters
PARTS_DEPTH_MAX = 500  # of a letter, of whatever kind
PAGES_MAX = 10_000
PICTURE_MAX_PIXELS = 50_000_000
SHEET_MAX_PIXELS = 12_000_000  # of a page that is recognised: A4 at 300 dots an inch has 8.7 million
SCANS_MAX = 300  # pages of one document whose text is recognised, some seconds each
RECOGNISING_SECONDS = 60  # a page
_OPEN_FILES = 64
_NOBODY = 65534


def restrain() -> None:
    """Limit memory, CPU, time, written files and open files of this process, and let it start no other."""
    _restrain_use()
    refuse_processes()


def become(program: list[str]) -> None:
    """Go on as another program, under the same limits and as nobody. It cannot start a third."""
    _restrain_use()
    drop_root()
    # Only now: the kernel starts no program for a user who has just become one with too many processes.
    refuse_processes()
    os.execve(program[0], program, {"OMP_THREAD_LIMIT": "1", "LC_ALL": "C.UTF-8"})  # noqa: S606 - no shell


def refuse_processes() -> None:
    _limit(resource.RLIMIT_NPROC, 0)


def _restrain_use() -> None:
    for kind, amount in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):
        _limit(kind, amount)
    # The parent kills the child in time; this ends it when the parent is gone.
    signal.alarm(WALL_SECONDS + 10)


def _limit(kind: int, amount: int) -> None:
    hard = resource.getrlimit(kind)[1]
    limit = amount if hard == resource.RLIM_INFINITY else min(amount, hard)
    resource.setrlimit(kind, (limit, limit))


def drop_root() -> None:
    """Become nobody if root: the file is open by now, and nothing else on this machine is needed."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)
