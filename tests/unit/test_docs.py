"""Documentation that fails the build: what exists has its line, and what has a line exists.

A page of docs/reference/ keeps a table below each heading; the first cell of a row names the thing.
"""

import ast
import inspect
import json
import re
from collections import defaultdict
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from acceptance.operations import OPEN, OPERATIONS
from gptagent.bootstrap import build_jobs
from gptagent.entrypoints.cli import EXIT_CODES, app
from gptagent.features.agents.checking import described
from gptagent.features.agents.model import Settings as AgentSettings
from gptagent.features.agents.table import SETTINGS
from gptagent.features.audit.sentences import SENTENCES
from gptagent.features.dialog import web as dialog_pages
from gptagent.features.knowledge.model import FAILURES
from gptagent.features.knowledge.sites.model import REASONS as SITE_REASONS
from gptagent.features.organizations import policy
from gptagent.kernel import errors, http, observe
from gptagent.kernel.events import Event
from gptagent.kernel.jobs import JobClass
from gptagent.kernel.settings import Settings
from isolation.topics import published_topics

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "gptagent"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
CODE = re.compile(r"`([^`\n]+)`|^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")


def table(page, heading):
    """Return the rows below a heading of a reference page: name -> the other cells."""
    text = (ROOT / "docs" / "reference" / f"{page}.md").read_text()
    part = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [line.strip().strip("|").split("|") for line in part.splitlines() if line.startswith("| `")]
    assert rows, f"docs/reference/{page}.md has no table below `## {heading}`"
    found = {cells[0].strip().strip("`"): [cell.strip() for cell in cells[1:]] for cells in rows}
    assert len(found) == len(rows), f"{page}: something has two lines"
    return found


def same(documented, existing, page):
    missing, gone = set(existing) - set(documented), set(documented) - set(existing)
    assert not missing, f"give {sorted(missing)} a line in docs/reference/{page}.md"
    assert not gone, f"docs/reference/{page}.md tells of {sorted(gone)}, which do not exist"


@cache
def commands():
    """Each command with its options and arguments, as `gptagent --help` shows them."""

    def walk(command, words):
        for name, child in getattr(command, "commands", {}).items():
            yield from walk(child, f"{words} {name}")
        if not hasattr(command, "commands"):
            yield words, [p.opts[-1] for p in command.params if not getattr(p, "hidden", False)]

    return dict(walk(typer.main.get_command(app), "gptagent"))


def code_of(page):
    """Return the code spans and blocks of a page."""
    return [span or block for span, block in CODE.findall(page.read_text())]


def slug(heading):
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page):
    return {slug(line.lstrip("#")) for line in page.read_text().splitlines() if line.startswith("#")}


def test_every_setting_has_its_line():
    documented = table("configuration", "Settings")
    same(documented, {name.upper() for name in Settings.model_fields}, "configuration")
    for name, field in Settings.model_fields.items():
        if field.default not in (None, "", False):
            assert str(field.default) in documented[name.upper()][0], f"{name}: another default"


def test_every_setting_of_an_agent_has_its_line_with_limits_default_and_sentence():
    """U212"""
    documented = table("agents", "Settings")
    same(documented, SETTINGS, "agents")
    defaults = described(AgentSettings())
    for name, setting in SETTINGS.items():
        limits, default, says = documented[name]
        assert says == setting.says, name
        bounds = (setting.low, setting.high) if setting.kind in {"text", "number"} else (setting.high,)
        assert all(str(one) in limits for one in bounds if one), name
        assert all(f"`{one}`" in limits for one in setting.options), name
        assert limits.endswith(", model") == setting.needs_model, name
        if isinstance(defaults[name], bool | int):
            assert default == f"`{json.dumps(defaults[name])}`", name


def test_every_command_and_option_has_its_line():
    documented = table("cli", "Commands")
    same({name.partition(" <")[0].partition(" --")[0] for name in documented}, commands(), "cli")
    for name, cells in documented.items():
        command = name.partition(" <")[0].partition(" --")[0]
        for option in commands()[command]:
            shown = option if option.startswith("--") else f"<{option}>"
            assert shown in f"{name} {' '.join(cells)}", f"{command}: {shown} is not told"


def test_every_exit_code_has_its_line():
    documented = table("cli", "Exit codes")
    assert {str(code) for code in EXIT_CODES.values()} <= documented.keys()


def test_every_job_has_its_line_and_class():
    wiring = SimpleNamespace(
        db=None,
        crm=None,
        reading=None,
        vault=None,
        renewal=None,
        links=None,
        subscribers=None,
        embedder=None,
        understanding=None,
        reranking=SimpleNamespace(reranker=None),
        settings=Settings(llm_model=None),
    )
    specs = {spec.name: spec.job_class.name.lower() for spec in build_jobs(wiring)}
    documented = table("jobs", "Jobs")
    same(documented, specs, "jobs")
    for name, job_class in specs.items():
        assert documented[name][0] == job_class


def test_every_retry_class_promises_what_it_does():
    documented = table("jobs", "Retry classes")
    same(documented, {member.name.lower() for member in JobClass}, "jobs")
    for member in JobClass:
        profile = member.value
        figures = (profile.attempts, profile.first_delay, profile.max_delay, profile.timeout)
        assert documented[member.name.lower()][:4] == [str(figure) for figure in figures]


def test_every_metric_has_its_line_and_labels():
    existing = {}
    for metric in vars(observe).values():
        if isinstance(metric, MetricWrapperBase):
            name = metric.describe()[0].name
            existing[f"{name}_total" if isinstance(metric, Counter) else name] = metric
    documented = table("metrics", "Metrics")
    same(documented, existing, "metrics")
    for name, metric in existing.items():
        kind, labels = documented[name][:2]
        assert kind == metric.describe()[0].type
        assert re.findall(r"`(\w+)`", labels) == list(metric._labelnames), name


def test_every_permission_has_its_line_and_roles():
    documented = table("permissions", "Rights")
    same(documented, policy.PERMISSIONS["owner"], "permissions")
    for permission, cells in documented.items():
        for role, cell in zip(policy.PERMISSIONS, cells, strict=False):
            assert (cell == "yes") == (permission in policy.PERMISSIONS[role]), f"{permission}: {role}"


def raised_codes():
    """Return each code with the statuses it is raised with, read from the code that raises it."""
    kinds = {n: k for n, k in vars(errors).items() if inspect.isclass(k) and issubclass(k, errors.AppError)}
    found = defaultdict(set)
    for kind in (errors.Unauthenticated, errors.Forbidden, errors.NotFound):
        found[inspect.signature(kind).parameters["code"].default].add(str(kind.status))
    for status, (code, _message) in http._FRAMEWORK.items():
        found[code].add(str(status))
    for file in sorted(SOURCE.rglob("*.py")):
        if "sandbox" in file.parts or file == SOURCE / "kernel" / "errors.py":
            continue
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            for name, code in codes_in(node, tree, kinds):
                found[code].add(str(kinds[name].status))
    found["invalid"].add(str(errors.Invalid.status))
    found["internal"].add("500")
    return found


def codes_in(node, tree, kinds):
    """Yield the kind and code of `Kind("code", ...)`, of a table's `(Kind, "code", ...)`, and of a class of
    its own, which hands it to `super().__init__`.
    """
    if isinstance(node, ast.ClassDef):
        base = next((one.id for one in node.bases if isinstance(one, ast.Name) and one.id in kinds), None)
        begun = [one for one in ast.walk(node) if isinstance(one, ast.Call) and base]
        yield from (
            (base, one.args[0].value)
            for one in begun
            if ast.unparse(one.func) == "super().__init__" and isinstance(one.args[0], ast.Constant)
        )
    if isinstance(node, ast.Tuple) and isinstance(node.elts[0] if node.elts else None, ast.Name):
        code = node.elts[1] if len(node.elts) > 1 else None
        if node.elts[0].id in kinds and isinstance(code, ast.Constant):
            yield node.elts[0].id, code.value
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in kinds):
        return
    code = node.args[0] if node.args else None
    if isinstance(code, ast.Constant):
        yield node.func.id, code.value
    elif isinstance(code, ast.Name):
        values = [n.value for n in ast.walk(tree) if isinstance(n, ast.Assign) and is_to(n, code.id)]
        choices = [c for v in values if isinstance(v, ast.IfExp) for c in (v.body, v.orelse)]
        assert choices, f"line {node.lineno}: name the code where it is raised"
        yield from ((node.func.id, choice.value) for choice in choices)


def is_to(assignment, name):
    return any(isinstance(target, ast.Name) and target.id == name for target in assignment.targets)


def test_every_error_code_has_its_line_and_status():
    documented, existing = table("errors", "Codes"), raised_codes()
    same(documented, existing, "errors")
    for code, statuses in existing.items():
        assert set(re.findall(r"\d{3}", documented[code][0])) == statuses, code


def test_every_reason_of_a_failed_document_has_its_line():
    same(table("errors", "Documents that could not be read"), FAILURES, "errors")


def test_every_reason_of_a_sites_page_has_its_line():
    same(table("errors", "Pages of sites that were not taken"), SITE_REASONS, "errors")


def test_every_reason_of_a_turn_has_its_line():
    assert dialog_pages.REASONS.keys() <= table("errors", "Turns that ended without a reply").keys()


def is_fact(kind):
    return inspect.isclass(kind) and issubclass(kind, Event) and kind is not Event


def test_every_event_has_its_line():
    modules = [f"gptagent.features.{file.parent.name}.events" for file in SOURCE.glob("features/*/events.py")]
    facts = [kind for module in modules for kind in vars(import_module(module)).values() if is_fact(kind)]
    same(table("events", "Facts"), {fact.__name__ for fact in facts}, "events")


def test_every_live_topic_has_its_line():
    same(table("events", "Live topics"), published_topics(), "events")


def test_every_operation_of_the_api_has_its_line_and_right():
    documented = table("http", "Operations")
    needed = {f"{one.method} {one.route}": one.needs for one in OPERATIONS} | dict.fromkeys(OPEN, "")
    same(documented, needed, "http")
    for name, right in needed.items():
        assert documented[name][0].strip("`") == right, name


ACTION = re.compile(r"[a-z_]+\.[a-z_]+")
APPENDED = re.compile(r"audit_append\('\w+', [^,]+, [^,]+, '([a-z_.]+)'")


def actions():
    """Return every action that is recorded, by the code and by the schema's own functions."""
    found = set()
    for file in sorted(SOURCE.rglob("*.py")):
        source = file.read_text()
        if "features.audit.model import" in source:
            tree = ast.parse(source)
            found |= {action for entry in calls_of("Entry", tree) for action in actions_of(entry, tree, file)}
    migrations = SOURCE / "migrations"
    for file in (*migrations.glob("sql/*.sql"), *migrations.glob("*.py")):
        found |= set(APPENDED.findall(file.read_text()))
    return found


def calls_of(name, tree):
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and name == getattr(node.func, "id", getattr(node.func, "attr", ""))
    ]


def actions_of(entry, tree, file):
    """Read the literal action; where a function was given it, read it from that function's callers."""
    given = [*entry.args[:1], *(word.value for word in entry.keywords if word.arg == "action")][0]
    choices = (given.body, given.orelse) if isinstance(given, ast.IfExp) else (given,)
    if all(isinstance(choice, ast.Constant) for choice in choices):
        return {choice.value for choice in choices}
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = [function for function in functions if entry in ast.walk(function)]
    values = [
        node for function in inside for call in calls_of(function.name, tree) for node in ast.walk(call)
    ]
    found = {node.value for node in values if isinstance(node, ast.Constant) and is_action(node.value)}
    assert found, f"{file.name}:{entry.lineno}: name the action where it is recorded"
    return found


def is_action(value):
    return isinstance(value, str) and bool(ACTION.fullmatch(value))


def test_every_action_of_the_audit_has_its_line():
    """TEN-10"""
    same(table("audit", "Actions"), actions(), "audit")
    assert [action for action in actions() if not is_action(action)] == []


def test_every_action_of_the_audit_has_a_sentence_for_its_readers():
    assert actions() <= SENTENCES.keys(), "say it in features/audit/sentences.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for markdown, html in LINK.findall(page.read_text()):
        target = markdown or html
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{target} leads nowhere"
        assert not anchor or anchor in anchors(there), f"{target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_of_the_documents_exist(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for code in code_of(page):
        for line in re.findall(r"(?:^|\s)make((?: [a-z]+)+)", code):
            assert set(line.split()) <= targets, f"there is no `make{line}`"
        for words in re.findall(r"(?:^|/|\s)gptagent ((?:[a-z-]+ ?)+)", code):
            first, _, rest = words.strip().partition(" ")
            names = {f"gptagent {first}", f"gptagent {first} {rest.partition(' ')[0]}"}
            known = {known for command in commands() for known in (command, command.rpartition(" ")[0])}
            assert names & known, f"there is no command `gptagent {words}`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_and_variables_of_the_documents_exist(page):
    for code in code_of(page):
        for path in re.findall(r"(?<![\w/.])(?:src|tests|docs|benchmarks|deploy)/[\w./-]*\w", code):
            assert (ROOT / path).exists(), f"{path} does not exist"
        for name in re.findall(r"(?<![\w$])([A-Z]{2,}(?:_[A-Z]+)+)(?==|$)", code):
            assert name.lower() in Settings.model_fields, f"{name} is no setting"


def test_every_page_can_be_reached_from_the_readme():
    reached, ways = set(), [ROOT / "README.md"]
    while ways:
        page = ways.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        targets = [markdown or html for markdown, html in LINK.findall(page.read_text())]
        here = [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
        ways += [(page.parent / path).resolve() for path in here]
    assert set(PAGES) <= reached, f"nothing leads to {sorted(map(str, set(PAGES) - reached))}"


NAMED_TESTS = re.compile(r"`(tests/[\w/.]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_test_that_is_named_as_proof_exists(page):
    assert [name for name in NAMED_TESTS.findall(page.read_text()) if not (ROOT / name).exists()] == []


def test_every_promise_of_security_names_what_shows_it():
    promises = (ROOT / "SECURITY.md").read_text().partition("## What we promise")[2].partition("\n## ")[0]
    told = re.split(r"\n- ", promises)[1:]
    assert len(told) > 10
    assert [one.split(".")[0] for one in told if not NAMED_TESTS.search(one)] == []
