"""Run all tests (`make test`): jobs side by side, each with processes and a database of its own.

Whoever is free takes the next job, the longest first. What a job prints is shown as a whole when it ends.
"""

import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from homes import READY_HOME, new_home, own_database

SIDE_BY_SIDE = 3  # on the two cores of a small machine: one of three usually waits for a process or a clock
TESTS = Path(__file__).resolve().parent
FENCING = "chaos/test_fencing.py"


@dataclass(frozen=True, slots=True)
class Job:
    """`within` are folders or files of the tests. A folder may be shared: `first` and `last` are letters that
    the files' names begin with after `test_`.

    `is_traced`: the product runs within the tests' own process. Where it runs in others, tracing
    sees nothing of it and only costs time.
    """

    name: str
    within: tuple[str, ...]
    first: str = "a"
    last: str = "z"
    is_traced: bool = True

    def files(self) -> list[str]:
        """Return the files of this job."""
        found = [one for name in self.within for one in sorted((TESTS / name).glob("test_*.py"))]
        found += [TESTS / name for name in self.within if name.endswith(".py")]
        return [
            str(one.relative_to(Path.cwd()))
            for one in found
            if self.first <= one.name.removeprefix("test_")[0] <= self.last
            and (str(one.relative_to(TESTS)) != FENCING or FENCING in self.within)
        ]


# The longest first.
JOBS = (
    Job("acceptance", ("acceptance",), is_traced=False),
    Job("integration, a to j", ("integration",), last="j"),
    Job("integration, k to z", ("integration",), first="k"),
    Job("browser", ("browser",), is_traced=False),
    Job("isolation", ("isolation",), is_traced=False),
    Job("chaos", ("chaos",)),
    Job("fencing", (FENCING,), is_traced=False),  # thousands of turns: tracing them would double their time
    Job("contract, unit", ("contract", "unit")),
)
_shown = threading.Lock()


def main() -> int:
    """Return 0 if every job is well. Raises LookupError for a file that no job or more than one has."""
    given = sorted(file for job in JOBS for file in job.files())
    known = sorted(str(path.relative_to(Path.cwd())) for path in TESTS.glob("*/test_*.py"))
    if given != known:
        raise LookupError(f"tests/run.py: one job for each of {sorted(set(known) ^ set(given)) or given}")
    # Dozens of processes start: compiling the sources costs each of them a third of its start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with new_home() as ready:
        with own_database(ready):
            pass
        os.environ[READY_HOME] = str(ready)
        with ThreadPoolExecutor(SIDE_BY_SIDE) as hands:
            return max(
                abs(code) for code in hands.map(_run, JOBS)
            )  # a job that was killed has a negative one


def _run(job: Job) -> int:
    command = [sys.executable, "-m", *(("coverage", "run", "-m") if job.is_traced else ())]
    command += ["pytest", "-p", "no:cacheprovider", *job.files()]
    began = time.monotonic()
    with tempfile.TemporaryFile() as kept:
        code = subprocess.run(command, stdout=kept, stderr=subprocess.STDOUT, check=False).returncode
        kept.seek(0)
        told = f"{job.name}: {'well' if code == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s\n\n"
        with _shown:
            sys.stdout.buffer.write(kept.read() + told.encode())
            sys.stdout.flush()
    return code


if __name__ == "__main__":
    sys.exit(main())
