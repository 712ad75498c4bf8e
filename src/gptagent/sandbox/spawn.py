"""Starts an emulator as a process of its own, for tests and benches."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

STOP_SECONDS = 5


@contextmanager
def running(name: Literal["kommo", "llm", "smtp"], *arguments: str, port: int = 0) -> Iterator[str]:
    """Run the emulator and hand out its address once it accepts connections; stop it at the end.

    Raises RuntimeError if it ends before it is ready.
    """
    command = [sys.executable, "-m", f"gptagent.sandbox.{name}", "--port", str(port), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line.startswith("ready "):
                raise RuntimeError(f"the {name} sandbox did not start")
            yield line.split()[1]
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
