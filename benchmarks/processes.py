"""What a tree of processes has used, read from /proc."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
KIB = 1024
PARTS = ("web", "worker", "postgres")


@dataclass(frozen=True, slots=True)
class Memory:
    """In MiB. `pss` counts a page that several processes share once, `rss` in each of them."""

    rss: float
    pss: float


def descendants(root: int) -> list[int]:
    """Return the process and everything it started, whichever thread did."""
    found = [root]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            found += [int(child) for child in _read(task).split()]
    return found


def cpu_seconds(root: int) -> dict[str, float]:
    """Return the CPU time of the tree by part, that of children which have ended included."""
    used = dict.fromkeys((*PARTS, "other"), 0.0)
    for pid in descendants(root):
        used[_part(pid)] += _cpu_of(pid)
    return used


def memory(root: int) -> Memory:
    rollups = [_read(Path(f"/proc/{pid}/smaps_rollup")) for pid in descendants(root)]
    return Memory(_sum_of(rollups, "Rss:"), _sum_of(rollups, "Pss:"))


def _part(pid: int) -> str:
    words = _read(Path(f"/proc/{pid}/cmdline")).replace("\0", " ")
    return next((part for part in PARTS if part in words), "other")


def _cpu_of(pid: int) -> float:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    # utime, stime, cutime, cstime: fields 14 to 17 of proc(5), the first two of which are cut off here.
    return sum(map(int, fields[11:15])) / TICKS_PER_SECOND


def _sum_of(rollups: list[str], name: str) -> float:
    lines = [line.split() for rollup in rollups for line in rollup.splitlines() if line.startswith(name)]
    return sum(int(line[1]) for line in lines) / KIB


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        return ""
