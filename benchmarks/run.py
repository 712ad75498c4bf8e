"""Run the benchmarks one after another, each in a process of its own; prints one `name label value` per line.

`python benchmarks/run.py [--only NAME]... [--list]`. One that cannot run says why in a line on stderr, and
the exit code is 1. `--list` tells what each is and the most that it may take; the last five are the long
ones.
"""

import argparse
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A script with its options, and after how many seconds it is taken to hang."""

    command: tuple[str, ...]
    longest: float = 180.0


# In this order: the figures of the first ones are the first to be looked at.
BENCHMARKS = {
    "turns": Benchmark(("turns.py",)),
    "webhooks": Benchmark(("webhooks.py",)),
    "jobs": Benchmark(("jobs.py",)),
    "pages": Benchmark(("pages.py",)),
    "counting": Benchmark(("counting.py",)),
    "parsing": Benchmark(("parsing.py",)),
    "ingestion": Benchmark(("ingestion.py",), 300),
    "start": Benchmark(("start.py",)),
    "bursts": Benchmark(("bursts.py",)),
    # Recall, refusal and quotations, and latency at 5,000 passages.
    "recall": Benchmark(("recall.py",), 900),
    "recall-50000": Benchmark(("recall.py", "--latency", "--chunks", "50000"), 1_200),
    "vectors": Benchmark(("vectors.py",), 600),
    # Words and meaning together at 5,000, 10,000 and 50,000 passages, all of which are embedded first.
    "vectors-latency": Benchmark(("vectors.py", "--latency"), 2_400),
    # 1,000 of them, ten made to hurt.
    "documents": Benchmark(("documents.py",), 1_800),
}
STOP_SECONDS = 40.0


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the platform on this machine.")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="run this one; may be repeated")
    parser.add_argument("--list", action="store_true", help="name them, and the seconds each may take")
    options = parser.parse_args()
    chosen = options.only or list(BENCHMARKS)
    if options.list:
        for name in chosen:
            print(f"{name} {BENCHMARKS[name].longest:.0f} {' '.join(BENCHMARKS[name].command)}")
        return 0
    ended = [run(name) for name in chosen]
    return 0 if all(ended) else 1


def run(name: str) -> bool:
    """Run one benchmark and let its figures through. Returns whether it came to its end."""
    began, benchmark = time.monotonic(), BENCHMARKS[name]
    script, *options = benchmark.command
    with subprocess.Popen(
        [sys.executable, str(FOLDER / script), *options], stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            _, complaints = process.communicate(timeout=benchmark.longest)
        except subprocess.TimeoutExpired:
            complaints = f"not done within {benchmark.longest:.0f} s"
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
