"""What is installed is what was looked at: pinned, with hashes, from the one registry."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PIN = re.compile(r"([\w.\-\[\]]+)==([^ ]+)(?: ; [^\\]+)? \\")


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-dev.lock"])
def test_every_component_is_pinned_by_its_hashes(name):
    entries = re.split(r"\n(?=\S)", (ROOT / name).read_text().strip())
    assert len(entries) > 30
    for entry in entries:
        first, *hashes = entry.splitlines()
        assert PIN.fullmatch(first), first
        assert hashes and all(re.fullmatch(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?", one) for one in hashes)


def test_every_dependency_of_the_product_is_in_the_list():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.match(r"[\w\-]+", one)[0].lower() for one in wanted}
    pinned = set(re.findall(r"^([\w.\-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert names <= {one.lower() for one in pinned}
