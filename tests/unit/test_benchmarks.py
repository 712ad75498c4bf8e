"""The list of benchmarks: none is left out, and each is documented with its name."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks"


def listed():
    said = subprocess.run(
        [sys.executable, FOLDER / "run.py", "--list"], capture_output=True, text=True, check=True
    )
    return [line.split() for line in said.stdout.splitlines()]


def test_every_benchmark_is_run_has_a_time_limit_and_is_documented():
    known = (ROOT / "docs" / "reference" / "cli.md").read_text().splitlines()
    (line,) = [line for line in known if line.startswith("| `gptagent bench`")]
    names = line.partition("(")[2].partition(")")[0]
    found = listed()
    assert names.split(", ") == [name for name, *_ in found]
    assert all(float(longest) >= 60 for _, longest, *_ in found)
    runnable = {file.name for file in FOLDER.glob("*.py") if "__main__" in file.read_text()}
    assert {script for _, _, script, *_ in found} == runnable - {"run.py", "load.py"}, (
        "load.py is what makes load"
    )
