"""Which live topics there are, read from the calls of `publish` in the features' code."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import gptagent.features

FEATURES = Path(gptagent.features.__file__).parent


def published_topics() -> set[str]:
    """Return the topics' first parts. An expression that cannot be read fails: name the topic plainly."""
    return {topic for file in sorted(FEATURES.rglob("*.py")) for topic in _topics_in(file)}


def _topics_in(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr == "publish" and ast.unparse(node.func.value) == "session":
            yield _read(node.args[0], file)


def _read(topic: ast.expr, file: Path) -> str:
    module = import_module("gptagent.features." + ".".join(file.relative_to(FEATURES).with_suffix("").parts))
    if isinstance(topic, ast.Constant):
        return str(topic.value)
    if isinstance(topic, ast.Name):
        return str(getattr(module, topic.id))
    if isinstance(topic, ast.Call) and isinstance(topic.func, ast.Name):
        return str(getattr(module, topic.func.id)("id")).partition("/")[0]
    raise AssertionError(f"{file}: {ast.unparse(topic)} is no topic that can be read")
