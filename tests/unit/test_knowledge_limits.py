"""What a parsing child cannot do, tried in a real one."""

import subprocess
import sys

import pytest

_START = """
import os, resource, sys
from gptagent.features.knowledge.parsing import limits
limits.restrain()
limits.drop_root()
"""


def run(code: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run([sys.executable, "-I", "-c", _START + code], capture_output=True, check=False)


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        ("bytearray(limits.MEMORY_BYTES)", b"MemoryError"),
        ("os.fork()", b"BlockingIOError"),
        ("os.write(os.memfd_create('x'), b'x')", b"File too large"),
        ("[os.open('/dev/null', os.O_RDONLY) for _ in range(200)]", b"Too many open files"),
        ("resource.setrlimit(resource.RLIMIT_CPU, (600, 600))", b"ValueError"),
    ],
)
def test_a_child_is_refused(code, refusal):
    done = run(code)
    assert done.returncode == 1
    assert refusal in done.stderr


def test_a_child_is_not_root():
    assert run("sys.stdout.write(str(os.geteuid()))").stdout != b"0"


def test_a_child_ends_by_itself_when_its_parent_is_gone():
    assert int(run("import signal; sys.stdout.write(str(signal.alarm(0)))").stdout) > 0
