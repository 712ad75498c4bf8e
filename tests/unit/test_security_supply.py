"""What the product asks for is in the list of what is installed."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_dependency_of_the_product_is_in_the_list():
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {re.match(r"[\w\-]+", one)[0].lower() for one in wanted}
    pinned = set(re.findall(r"^([\w.\-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert names <= {one.lower() for one in pinned}
