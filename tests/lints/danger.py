"""Doors that are open in one place only: the environment, and markup declared safe."""

import ast
import re
from collections.abc import Iterator

from lints.source import Finding, Source

ENVIRONMENT_DOOR = "src/gptagent/kernel/settings.py"
MARKUP_DOOR = "src/gptagent/kernel/text.py"
_ENVIRONMENT = {"environ", "environb", "getenv", "putenv", "unsetenv"}
_SAFE_FILTER = re.compile(r"\{[{%][^}]*?\|\s*safe\b|\{%-?\s*autoescape\s+false|\{%-?\s*filter\s+safe")


def one_environment_door(source: Source) -> Iterator[Finding]:
    """Yield every read of the environment outside of the settings."""
    if not source.is_below("src/") or source.path == ENVIRONMENT_DOOR:
        return
    for node in source.nodes():
        used = isinstance(node, ast.Attribute) and node.attr in _ENVIRONMENT and _is_os(node.value)
        imported = isinstance(node, ast.ImportFrom) and node.module == "os"
        if not used and not (imported and any(alias.name in _ENVIRONMENT for alias in node.names)):
            continue
        if not source.is_excused("environment", node.lineno):
            yield Finding(
                source.path,
                node.lineno,
                "environment",
                "the environment is read in one place, typed and documented",
                f"make it a field of Settings in {ENVIRONMENT_DOOR}",
            )


def _is_os(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "os"


def one_markup_door(source: Source) -> Iterator[Finding]:
    """Yield whatever declares a text safe without the sanitiser having seen it."""
    if not source.is_below("src/") or source.path == MARKUP_DOOR:
        return
    for line in _declared_safe(source):
        if not source.is_excused("markup", line):
            yield Finding(
                source.path,
                line,
                "markup",
                "markup is declared safe without having been sanitised",
                f"render it with render_markdown of {MARKUP_DOOR}, or let the template escape it",
            )


def _declared_safe(source: Source) -> Iterator[int]:
    for node in source.nodes():
        if isinstance(node, ast.Call) and _name(node.func) == "Markup":
            yield node.lineno
    if not source.path.endswith(".py"):
        for number, line in enumerate(source.lines, start=1):
            if _SAFE_FILTER.search(line):
                yield number


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
