"""Run all tests, in two halves side by side, each with processes and a database of its own (`make test`).

What the first half prints is shown as it comes, what the second prints when the first is through.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

# Folders of about the same time in sum; a new folder goes to the shorter half.
FIRST = ("integration", "unit", "browser")
SECOND = ("acceptance", "contract", "isolation", "chaos")
FENCING = "chaos/test_fencing.py"  # thousands of turns: tracing them would double their time
TESTS = Path(__file__).resolve().parent


def main() -> int:
    """Return 0 if every half is well. Raises LookupError for a folder that is in neither."""
    missing = {path.parent.name for path in TESTS.glob("*/test_*.py")} - {*FIRST, *SECOND}
    if missing:
        raise LookupError(f"name these folders in tests/run.py: {sorted(missing)}")
    with tempfile.TemporaryFile() as kept:
        second = subprocess.Popen(_half(SECOND), stdout=kept, stderr=subprocess.STDOUT)
        try:
            codes = [subprocess.run(_half(FIRST), check=False).returncode, second.wait()]
        finally:
            second.terminate()
            second.wait()
        _show(kept)
    codes.append(subprocess.run([sys.executable, "-m", "pytest", _path(FENCING)], check=False).returncode)
    return max(codes)


def _half(folders: Sequence[str]) -> list[str]:
    traced = [sys.executable, "-m", "coverage", "run", "-m", "pytest", "-p", "no:cacheprovider"]
    return [*traced, f"--ignore={_path(FENCING)}", *map(_path, folders)]


def _path(name: str) -> str:
    return str((TESTS / name).relative_to(Path.cwd()))


def _show(kept: IO[bytes]) -> None:
    kept.seek(0)
    sys.stdout.buffer.write(kept.read())
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
