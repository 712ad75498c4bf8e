"""Run the benchmarks one after another, each in a process of its own; prints one `name label value` per line.

`python benchmarks/run.py [--only NAME]...`. One that cannot run says why in a line on stderr, and the exit
code is 1.
"""

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent
# In this order: the figures of the first ones are the first to be looked at.
BENCHMARKS = (
    "turns",
    "webhooks",
    "jobs",
    "pages",
    "counting",
    "parsing",
    "ingestion",
    "start",
    "recall",
    "vectors",
)
LONGEST_SECONDS = 180.0
STOP_SECONDS = 40.0


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the platform on this machine.")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="run this one; may be repeated")
    chosen = parser.parse_args().only or BENCHMARKS
    ended = [run(name) for name in chosen]
    return 0 if all(ended) else 1


def run(name: str) -> bool:
    """Run one benchmark and let its figures through. Returns whether it came to its end."""
    began = time.monotonic()
    with subprocess.Popen(
        [sys.executable, str(FOLDER / f"{name}.py")], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            _, complaints = process.communicate(timeout=LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            complaints = f"not done within {LONGEST_SECONDS:.0f} s"
            _stop(process)
        except KeyboardInterrupt:
            _stop(process)
            raise
    reason = complaints.strip().rpartition("\n")[2]
    if process.returncode or reason.startswith("skipped"):
        print(f"{name}: {reason or f'ended with {process.returncode}'}", file=sys.stderr, flush=True)
    print(f"bench_s {name} {time.monotonic() - began:.1f}", flush=True)
    return process.returncode == 0


def _stop(process: "subprocess.Popen[str]") -> None:
    """Interrupt it, as Ctrl-C does, so that it ends the platform it has started."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


if __name__ == "__main__":
    sys.exit(main())
