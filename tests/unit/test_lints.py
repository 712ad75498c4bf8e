"""The house's own lints: each finds its fault, lets the right thing pass and honours its escape."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lints.rules import check, check_all
from lints.source import ROOT, Source

SERVICE = "src/gptagent/features/crm/service.py"
BINARIES = Path(sys.executable).parent


def rules(path, text):
    return [finding.rule for finding in check([Source(path, text)])]


def test_text_that_is_or_may_come_under_version_control_is_checked(tmp_path):
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / ".gitignore").write_text("ignored.py\n")
    (tmp_path / "ignored.py").write_text("import os  # noqa\n")
    (tmp_path / "new.py").write_text("import os  # noqa\n")
    (tmp_path / "picture.png").write_bytes(b"\0 /home/me/")
    assert [(finding.path, finding.rule) for finding in check_all(tmp_path)] == [("new.py", "silence")]


@pytest.mark.parametrize(
    ("path", "text", "rule"),
    [
        (SERVICE, 'x = "select id from app.agent"', "sql"),
        (SERVICE, 'x = f"""\n  update app.{t} set a = 1"""', "sql"),
        (SERVICE, 'x = "DELETE FROM app.agent"', "sql"),
        (SERVICE, 'x = "select app.org()"', "sql"),
        (SERVICE, 'x = "with a as (select 1) select a from a"', "sql"),
        ("src/gptagent/features/crm/store.py", 'x = "set app.org_id = 1"', "session-state"),
        ("src/gptagent/kernel/db.py", "x = \"select set_config('app.org_id', $1, false)\"", "session-state"),
        ("src/gptagent/migrations/sql/crm.sql", "set search_path = app;", "session-state"),
        (SERVICE, "import os\nx = os.environ['HOME']", "environment"),
        (SERVICE, "from os import getenv", "environment"),
        (SERVICE, "from markupsafe import Markup\nx = Markup(text)", "markup"),
        (SERVICE, "import markupsafe\nx = markupsafe.Markup(text)", "markup"),
        ("src/gptagent/ui/layouts/page.html", "<p>{{ text | safe }}</p>", "markup"),
        ("src/gptagent/ui/layouts/page.html", "{% autoescape false %}", "markup"),
        (SERVICE, "def long():\n" + "    x = 1\n" * 100, "size"),
        (SERVICE, "x = 1\n" * 601, "size"),
        (SERVICE, "import os  # noqa", "silence"),
        (SERVICE, "import os  # noqa: F401", "silence"),
        (SERVICE, "x = 1  # type: ignore", "silence"),
        (SERVICE, "x = 1  # type: ignore[misc]", "silence"),
        ("README.md", "Get it from https://pypi.org/project/gptagent/", "registry"),
        ("Makefile", "pip install --index-url x", "registry"),
        ("docs/start.md", "cd /home/me/gptagent", "machine-path"),
        ("tests/unit/test_x.py", 'x = "/root/gptagent"', "machine-path"),
        ("docs/start.md", "Written by Claude.", "making-of"),
        ("CHANGELOG.md", "helper-3 added the lints", "making-of"),
        ("CHANGELOG.md", "made by an AI", "making-of"),
    ],
)  # fmt: skip
def test_a_fault_is_found(path, text, rule):
    assert rules(path, text) == [rule]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (SERVICE, '"""select id from app.agent"""'),
        (SERVICE, 'x = "Select a workspace from the list"'),
        (SERVICE, 'x = "select"'),
        (SERVICE, 'x = "select 1"'),
        (SERVICE, 'x = "select pg_try_advisory_lock($1)"'),
        (SERVICE, 'x = "update the settings"'),
        (SERVICE, 'x = "set DATABASE_URL to the address"'),
        ("src/gptagent/features/crm/store.py", 'x = "select id from app.agent"'),
        ("src/gptagent/features/crm/store.py", 'x = "update app.agent\\n set name = $1"'),
        ("src/gptagent/kernel/db.py", 'x = "begin; set local app.org_id = 1"'),
        ("src/gptagent/migrations/sql/crm.sql", "update app.agent\n  set name = '';"),
        ("src/gptagent/migrations/sql/crm.sql", "language sql security definer set search_path = app;"),
        ("src/gptagent/kernel/settings.py", "import os\nx = os.environ"),
        ("src/gptagent/kernel/text.py", "from markupsafe import Markup\nx = Markup(text)"),
        ("src/gptagent/ui/layouts/page.html", "<p>{{ text }} a|safe</p>"),
        (SERVICE, "def short():\n" + "    x = 1\n" * 99),
        (SERVICE, "import os  # noqa: F401 - loaded for its effect"),
        (SERVICE, "x = 1  # type: ignore[misc]  # the class variable of one instance"),
        (SERVICE, 'x = "# noqa"'),
        ("docs/start.md", "when the session ends; https://example.com/home/page"),
        ("src/gptagent/features/crm/web.py", 'x = "/manage/1-acme/"'),
    ],
)
def test_what_is_right_passes(path, text):
    assert rules(path, text) == []


def test_the_escape_counts_only_with_a_reason_and_for_its_own_rule():
    text = 'x = "select id from app.agent"'
    assert rules(SERVICE, f"{text}  # lint: sql - a probe without rows") == []
    assert rules(SERVICE, f"# lint: sql - a probe without rows\n{text}") == []
    assert rules(SERVICE, f"{text}  # lint: sql -") == ["sql"]
    assert rules(SERVICE, f"{text}  # lint: markup - not this one") == ["sql"]


def test_a_finding_says_reason_fix_and_escape():
    (finding,) = check([Source(SERVICE, 'x = "select id from app.agent"')])
    text = str(finding)
    assert text.startswith(f"{SERVICE}:1: [sql] ") and "fix: " in text and "`lint: sql - reason`" in text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("DTZ005", "from datetime import datetime\n\nNOW = datetime.now()\n"),
        ("DTZ003", "from datetime import datetime\n\nNOW = datetime.utcnow()\n"),
        ("S307", 'X = eval("1")\n'),
        ("S102", 'exec("1")\n'),
        ("S301", 'import pickle\n\nX = pickle.loads(b"")\n'),
        ("S506", 'import yaml\n\nX = yaml.load("")\n'),
        ("S704", "from markupsafe import Markup\n\nX = Markup(input())\n"),
        ("BLE001", "try:\n    X = 1\nexcept Exception:\n    X = 2\n"),
    ],
)
def test_ruff_refuses_what_the_house_leaves_to_it(code, text):
    command = [BINARIES / "ruff", "check", "--output-format=concise", "--stdin-filename", SERVICE, "-"]
    found = subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=False)
    assert f" {code} " in found.stdout


@pytest.fixture
def copy(tmp_path):
    """A copy of the product and its contracts, to be spoiled."""
    ignored = shutil.ignore_patterns("__pycache__", "*.html", "*.css", "*.js", "*.svg", "locales", "sql")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=ignored)
    shutil.copytree(ROOT / "tests/lints", tmp_path / "tests/lints", ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(folder):
    """Return the names of the broken contracts."""
    command = [BINARIES / "lint-imports", "--no-cache", "--no-logo"]
    environment = {"PATH": os.defpath, "PYTHONPATH": str(folder / "src"), "COLUMNS": "200"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    broken = {line.split(" BROKEN")[0] for line in done.stdout.splitlines() if " BROKEN" in line}
    assert bool(broken) == bool(done.returncode), done.stdout + done.stderr
    return broken


def test_the_product_keeps_its_import_contracts_and_a_bad_import_breaks_one_each(copy):
    assert lint_imports(copy) == set()
    bad = {
        "kernel/clock.py": "import gptagent.features.crm.model",
        "features/crm/service.py": "import gptagent.features.dialog.model",
        "features/dialog/service.py": "import gptagent.features.crm.store",
        "entrypoints/worker.py": "import gptagent.adapters.kommo.wire",
        "features/agents/service.py": "import httpx2",
        "features/agents/model.py": "import asyncpg",
        "sandbox/wire.py": "import gptagent.kernel.clock",
        "adapters/kommo/wire.py": "import gptagent.sandbox.wire",
    }
    for path, line in bad.items():
        with (copy / "src/gptagent" / path).open("a") as file:
            file.write(f"\n{line}\n")
    assert lint_imports(copy) == {
        "The house: entrypoints, bootstrap, adapters, features, ui, kernel",
        "A feature imports only features listed before it",
        "Of another feature only its public modules",
        "Only bootstrap wires adapters",
        "Calls out leave through egress and adapters",
        "Models and policies are pure",
        "The sandbox does not know the product",
        "The product does not know the sandbox",
    }
