"""What the product's own source never does: build commands, statements or pages from what people write."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "gptagent"
ELSEWHERE = {"sandbox", "versions"}  # no part of the product; migrations run files of their own folder
FILES = [path for path in sorted(SOURCE.rglob("*.py")) if not ELSEWHERE & {*path.relative_to(SOURCE).parts}]
SCRIPTS = sorted((SOURCE / "ui/components").rglob("*.js"))
STATEMENTS = {"fetch", "fetchrow", "fetchval", "execute", "executemany"}
# Words that become part of a statement without being a constant of the code, and where they come from.
CHOSEN = {
    "sets": "names of columns: the verb refuses every other key",
    "for_update": "one of two literals",
    "kind": "a Literal type of two words",
    "setting": "two UUIDs, typed as such",
    "self._begin": "a constant with a number of milliseconds",
    "query.sql": "a statement of the store's own",
    "query.columns": "names of columns that stand beside it",
    "query.continued": "the same names, and numbers of parameters",
    "query.rows": "a constant",
    "SORTS[sort]": "a constant, chosen by its key",
    "_VIEWS[wanted.view]": "a constant, chosen by its key",
    "page.clause": "columns of the list's own orders, from code; what the reader sent are its parameters",
}


@cache
def calls(path):
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]


def called(call):
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def foreign_parts(statement):
    """Yield what an f-string puts into a statement, but for the module's constants."""
    for part in ast.walk(statement):
        if isinstance(part, ast.FormattedValue):
            name = ast.unparse(part.value.func if isinstance(part.value, ast.Call) else part.value)
            if not re.fullmatch(r"_?[A-Z][A-Z_]*", name) and not is_one_of_two_literals(part.value):
                yield name
        elif isinstance(part, ast.BinOp) and isinstance(part.op, ast.Add | ast.Mod):
            yield ast.unparse(part)


def is_one_of_two_literals(node):
    return isinstance(node, ast.IfExp) and all(
        isinstance(side, ast.Constant) for side in (node.body, node.orelse)
    )


# Where a provider that costs something is asked, and why there: within the budgets, or for no workspace.
ASKED = {
    ("features/inference/paying.py", "embed"): "within the budgets",
    ("features/inference/paying.py", "transcribe"): "within the budgets",
    ("features/knowledge/reranking/service.py", "rerank"): "within the budgets",
    ("features/knowledge/vectors/service.py", "embed"): "within the budgets, and one text at each start",
    ("features/knowledge/vectors/jobs.py", "embed"): "within the budgets",
    ("features/dialog/hearing/jobs.py", "transcribe"): "within the budgets",
    ("entrypoints/doctor.py", "embed"): "the operator's own question",
    ("entrypoints/doctor.py", "rerank"): "the operator's own question",
    ("entrypoints/doctor.py", "transcribe"): "the operator's own question",
    ("features/knowledge/rebuilding/asking.py", "embed"): "within the budgets",
    ("features/knowledge/rebuilding/service.py", "embed"): "a job, which asks within the budgets",
}


def test_no_provider_is_asked_but_where_it_is_counted():
    found = {
        (str(path.relative_to(SOURCE)), called(call)): ast.unparse(call.func)
        for path in FILES
        for call in calls(path)
        if called(call) in {"embed", "transcribe", "rerank"} and isinstance(call.func, ast.Attribute)
    }
    assert set(found) == set(ASKED)
    services = (
        "features/knowledge/vectors/jobs.py",
        "features/knowledge/rebuilding/asking.py",
        "features/dialog/hearing/jobs.py",
    )
    assert {name for (path, _), name in found.items() if path in services} == {
        "inference.embed",
        "inference.transcribe",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_statement_holds_what_people_write(path):
    statements = [call.args[0] for call in calls(path) if called(call) in STATEMENTS and call.args]
    assert {name for statement in statements for name in foreign_parts(statement)} <= set(CHOSEN)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_command_goes_through_a_shell_and_no_page_is_made_of_a_text(path):
    shells = {"system", "popen", "create_subprocess_shell", "getoutput", "from_string", "Template"}
    for call in calls(path):
        assert called(call) not in shells
        assert "shell" not in [word.arg for word in call.keywords if called(call) in {"run", "Popen"}]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_pattern_is_made_of_what_people_write(path):
    for call in calls(path):
        if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "re" and call.args:
            assert list(foreign_parts(call.args[0])) == []


FORBIDDEN = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|postMessage|localStorage"
    r"|sessionStorage|indexedDB|__proto__|Object\.assign|XMLHttpRequest|javascript:"
)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_our_scripts_make_no_markup_of_texts_and_keep_nothing(path):
    assert FORBIDDEN.findall(path.read_text()) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_our_scripts_give_no_object_a_key_that_came_from_elsewhere(path):
    """So that no page can pollute the prototype of all objects."""
    kept = re.sub(r"\w+(?:\.\w+)*\.(?:dataset|style)\[", "", path.read_text())
    assert re.findall(r"\w\[[^\]\"'\d=~*^$|]+\]\s*=[^=]", kept) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_cookie_of_a_script_is_bound_to_the_host_over_https(path):
    text = path.read_text()
    if "document.cookie" in text:
        assert '= location.protocol === "https:" ? ["__Host-", ";secure"] : ["", ""]' in text
        assert text.count("document.cookie") == text.count("${prefix}") == text.count("${secure}") == 1
