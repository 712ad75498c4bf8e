"""What every lint shares: the files of the repository, their parsed form, findings and the escape.

The escape is a comment on the line or above it: `lint: RULE - reason`. Without a reason it does not count.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Finding:
    path: str
    line: int
    rule: str
    reason: str
    fix: str

    def __str__(self) -> str:
        return (
            f"{self.path}:{self.line}: [{self.rule}] {self.reason}\n"
            f"    fix: {self.fix}; escape: a comment `lint: {self.rule} - reason` here or above"
        )


@dataclass(frozen=True)
class Source:
    """A text file of the repository: its path from the root and its text."""

    path: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    @cached_property
    def tree(self) -> ast.Module | None:
        """The syntax tree; None for what is not Python."""
        return ast.parse(self.text) if self.path.endswith(".py") else None

    def nodes(self) -> Iterator[ast.AST]:
        if self.tree is not None:
            yield from ast.walk(self.tree)

    def is_any(self, *patterns: str) -> bool:
        return any(PurePosixPath(self.path).match(pattern) for pattern in patterns)

    def is_below(self, *folders: str) -> bool:
        return self.path.startswith(folders)

    def is_excused(self, rule: str, line: int) -> bool:
        """Whether the line, or a comment of its own above it, carries the escape."""
        own, above = self._line(line), self._line(line - 1).lstrip()
        texts = (own, above) if above.startswith(("#", "--", "<!--", "{#", "/*")) else (own,)
        return any(re.search(rf"lint: {rule} - \S", text) for text in texts)

    def _line(self, number: int) -> str:
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""


def tracked_sources(root: Path = ROOT) -> Iterator[Source]:
    """Yield the text files that are, or are about to be, under version control."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        check=True,
        capture_output=True,
    ).stdout.decode()
    for name in sorted(filter(None, listed.split("\0"))):
        path = root / name
        if path.is_file() and b"\0" not in (data := path.read_bytes()):
            yield Source(name, data.decode(errors="replace"))


def literals(source: Source) -> Iterator[tuple[int, int, str]]:
    """Yield first line, last line and text of every string in Python code that is no docstring.

    An f-string counts as one text, with {} where its values go.
    """
    passed = {id(node.value) for node in source.nodes() if isinstance(node, ast.Expr)}  # docstrings
    for node in source.nodes():
        if isinstance(node, ast.JoinedStr):
            passed.update(id(part) for part in node.values)
            text = "".join(_shown(part) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed:
            text = node.value
        else:
            continue
        yield node.lineno, node.end_lineno or node.lineno, text


def _shown(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "{}"
