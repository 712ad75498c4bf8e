"""The page docs/security/asvs.md: which requirement is met how. `python tests/asvs.py` counts its summary.

Each row of a table is: requirement, level, what it asks in words of ours, an answer, and what it rests on.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/security/asvs.md"
LEVELS = ROOT / "tests/asvs_levels.txt"
ANSWERS = ("shown", "not applicable", "open")
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    level: str
    asks: str
    answer: str
    rests_on: str

    @property
    def chapter(self) -> str:
        return self.id.partition(".")[0]

    @property
    def tests(self) -> list[tuple[str, str]]:
        """Return each named test as file and function."""
        return _TEST.findall(self.rests_on)


def wanted() -> dict[str, str]:
    """Return the requirements that are to be answered, with their level: 1 and 2, and all of V8."""
    known = dict(line.split() for line in LEVELS.read_text().splitlines())
    return {name: level for name, level in known.items() if level != "3" or name.startswith("V8.")}


def read(page: str) -> list[Row]:
    cells = (
        re.split(r"(?<!\\)\|", line.strip().strip("|"))
        for line in page.splitlines()
        if line.startswith("| V")
    )
    return [
        Row(*(cell.strip() for cell in row))
        for row in cells
        if re.fullmatch(r"V\d+\.\d+\.\d+", row[0].strip())
    ]


def headings(page: str) -> dict[str, str]:
    return dict(re.findall(r"^## (V\d+) (.+)$", page, re.MULTILINE))


def summary(page: str) -> str:
    """Return the table of how many requirements of each chapter have which answer."""
    counts = Counter((row.chapter, row.answer) for row in read(page))
    lines = [f"| Chapter | {' | '.join(ANSWERS)} | all |", f"|---|{'---:|' * (len(ANSWERS) + 1)}"]
    for chapter, name in headings(page).items():
        found = [counts[chapter, answer] for answer in ANSWERS]
        lines.append(f"| {chapter} {name} | {' | '.join(map(str, found))} | {sum(found)} |")
    sums = [sum(counts[chapter, answer] for chapter in headings(page)) for answer in ANSWERS]
    lines.append(f"| **All** | {' | '.join(f'**{one}**' for one in sums)} | **{sum(sums)}** |")
    return "\n".join(lines)


def with_summary(page: str) -> str:
    """Return the page with its summary counted anew."""
    head, _, rest = page.partition("\n## Summary\n")
    tail = rest[rest.index("\n## ") :]
    return f"{head}\n## Summary\n\n{summary(page)}\n{tail}"


@cache
def named_in(file: str) -> frozenset[str]:
    """Return the names of the tests in a file."""
    return frozenset(_names(ast.parse((ROOT / file).read_text())))


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name


if __name__ == "__main__":
    PAGE.write_text(with_summary(PAGE.read_text()))
