"""Sizes, and reasons for every silenced check."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from lints.source import Finding, Source

MAX_FUNCTION_LINES = 100
MAX_FILE_LINES = 600
_NOQA = re.compile(r"#\s*noqa\b(?!:\s*[A-Z]+[0-9]+(?:,\s*[A-Z]+[0-9]+)*\s+-\s+\S)", re.IGNORECASE)
# "This library has no annotations" is what the two codes say themselves.
_IGNORE = re.compile(
    r"#\s*type:\s*ignore\b(?!\[(?:import-untyped|no-untyped-call)\])(?!\[[a-z, -]+\]\s*#\s*\S)"
)


def short_enough(source: Source) -> Iterator[Finding]:
    """Yield functions and files that nobody reads in one go."""
    if not source.path.endswith(".py"):
        return
    if len(source.lines) > MAX_FILE_LINES and not source.is_excused("size", 1):
        reason = f"{len(source.lines)} lines in a file, {MAX_FILE_LINES} are allowed"
        yield Finding(source.path, 1, "size", reason, "split it by verb or by noun")
    for node in source.nodes():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES and not source.is_excused("size", node.lineno):
                reason = f"{length} lines in `{node.name}`, {MAX_FUNCTION_LINES} are allowed"
                yield Finding(source.path, node.lineno, "size", reason, "give its steps names of their own")


def silence_has_a_reason(source: Source) -> Iterator[Finding]:
    """Yield `noqa` and `type: ignore` comments without code or reason."""
    if not source.path.endswith(".py"):
        return
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT and (_NOQA.search(token.string) or _IGNORE.search(token.string)):
            yield Finding(
                source.path,
                token.start[0],
                "silence",
                "a check is silenced without saying which one and why",
                "write `# noqa: CODE - reason` or `# type: ignore[code]  # reason`, or mend what it found",
            )
