"""`make audit`: known holes in what we depend on, locks that are whole and not old, no secret in sight.

With `--offline` nothing is asked of the network: what `make ci` runs.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
LOCK_MAX_DAYS = 90  # by then somebody has looked at new releases, even if no advisory feed is within reach
_DAY_SECONDS = 86_400
_PIN = re.compile(r"[A-Za-z0-9._-]+(\[[^\]]+\])?==[^\s;]+")

Problems = list[str]


def main(arguments: list[str]) -> int:
    """Print what was found; 1 if there is any."""
    problems = [*_lock_problems(), *_secret_problems()]
    if "--offline" not in arguments:
        problems += _advisories()
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    return 1 if problems else 0


def _lock_problems() -> Iterator[str]:
    for name in LOCKS:
        path = ROOT / name
        yield from (f"{name}: {fault}" for fault in unlocked(path.read_text()))
        days = age_days(path, time.time())
        if days > LOCK_MAX_DAYS:
            yield f"{name}: {days:.0f} days old: run deploy/lock.sh and read what changed"


def unlocked(text: str) -> list[str]:
    """Return the requirements of a lock that are not pinned to one version, or have no SHA-256."""
    faults = []
    for entry in re.split(r"\n(?=\S)", text.strip()):
        if not entry or entry.startswith("#"):
            continue
        first = entry.split()[0]
        if not _PIN.fullmatch(first):
            faults.append(f"{first} is not pinned to one version")
        if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry):
            faults.append(f"{first} has no hash")
    return faults


def age_days(lock: Path, now: float) -> float:
    """Return since when the lock is as it is, by its last commit; 0 while it is being changed."""
    git = ["git", "-C", str(lock.parent)]
    changed = subprocess.run([*git, "status", "--porcelain", lock.name], capture_output=True, check=True)
    told = [*git, "log", "-1", "--format=%ct", "--", lock.name]
    last = subprocess.run(told, capture_output=True, check=False)  # fails while there is no commit at all
    if changed.stdout.strip() or not last.stdout.strip():
        return 0.0
    return (now - int(last.stdout)) / _DAY_SECONDS


def _secret_problems() -> Iterator[str]:
    from lints.secrets import scan_history, scan_tree

    scans: tuple[Callable[[Path], list[object]], ...] = (scan_tree, scan_history)
    yield from dict.fromkeys(str(leak) for scan in scans for leak in scan(ROOT))


def _advisories() -> Problems:
    """Ask the advisory feed about every locked package."""
    program = Path(sys.executable).with_name("pip-audit")
    problems: Problems = []
    for name in LOCKS:
        command = [str(program), "--disable-pip", "--require-hashes", "-r", str(ROOT / name), "-f", "json"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
        problems += judge(name, answer.stdout)
    return problems


def judge(name: str, report: str) -> Problems:
    """Return the holes a report of pip-audit names; says on the screen what could not be asked."""
    try:
        packages = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        packages = []
    asked = [one for one in packages if "skip_reason" not in one]
    if not asked:
        sys.stdout.write(f"{name}: no advisory feed can be reached: only the lock's age is judged\n")
    elif len(asked) < len(packages):
        unknown = ", ".join(one["name"] for one in packages if "skip_reason" in one)
        sys.stdout.write(f"{name}: the feed does not know {unknown}\n")
    return [
        f"{name}: {one['name']} {one['version']}: {hole['id']}, mended in {hole['fix_versions'] or 'none'}"
        for one in asked
        for hole in one["vulns"]
    ]


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main(sys.argv[1:]))
