"""The page of decisions and inventories: its figures are the code's, its inventories complete."""

import ast
import re
from datetime import timedelta
from importlib import import_module
from pathlib import Path

from limits import RateLimitItem

from gptagent.features.identity.guessable import CONTEXT_WORDS
from gptagent.features.knowledge.model import EXTENSIONS
from gptagent.kernel.settings import Settings
from lints.supply import LOCK_MAX_DAYS

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "gptagent"
FILES = [path for path in sorted(SOURCE.rglob("*.py")) if "sandbox" not in path.relative_to(SOURCE).parts]
PAGE = (ROOT / "docs/security/controls.md").read_text()
LIBRARIES = {"argon2", "authlib", "cryptography", "hashlib", "hmac", "joserfc", "pyotp", "random", "secrets"}
LIBRARIES |= {"ssl", "webauthn"}
LEVELS = {"debug", "info", "warning", "error", "critical", "exception"}


def part(heading):
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def rows(heading):
    lines = [line for line in part(heading).splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def first_names(heading):
    return {row[0].strip("`") for row in rows(heading) if row[0].startswith("`")}


def said(value):
    """Return a constant as the page writes it."""
    if isinstance(value, RateLimitItem):
        return f"{value.amount:,} in {value.get_expiry()} s"
    if isinstance(value, timedelta):
        hours, minutes = divmod(value.total_seconds(), 3_600)
        return f"{value.days} d" if value.days > 1 else f"{hours:g} h" if hours else f"{minutes / 60:g} min"
    return f"{value:,}"


def test_every_figure_is_the_codes():
    figures = re.compile(r"^\| [^|]+ \| ([^|]+) \| `(\w+) in ([\w/]+)\.py` \|$", re.MULTILINE)
    limits = [found for found in figures.findall(PAGE) if found[1].isupper()]
    assert len(limits) > 40
    for cell, name, file in limits:
        module = import_module(f"gptagent.{file.replace('/', '.')}")
        assert cell == said(getattr(module, name)), f"{name} in {file}.py"


def lets_in(function):
    calls = (node for node in ast.walk(function) if isinstance(node, ast.Call))
    return any(
        ast.unparse(call.func).endswith((".open_session", ".open_grant", ".insert_impersonation"))
        for call in calls
    )


def test_every_way_in_is_named():
    """Whatever opens a session or a grant is on the page, and nothing else."""
    ways = set()
    for path in FILES:
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.AsyncFunctionDef | ast.FunctionDef) and lets_in(function):
                ways.add(f"{function.name} in {path.relative_to(SOURCE)}")
    assert ways == set(re.findall(r"\| `(\w+ in [\w/]+\.py)` \|$", part("Ways in"), re.MULTILINE))


def test_words_that_make_no_password_are_named():
    (words,) = (row for row in rows("Ways in") if row[0].startswith("`") and len(row) == 1)
    assert set(re.findall(r"`([^`]+)`", words[0])) == CONTEXT_WORDS


def imported(tree):
    """Yield each name of a cryptographic library that a file uses, as `library.name`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
            library = node.module.split(".")[0]
            yield from (library if library == "webauthn" else f"{library}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in LIBRARIES:
            yield ast.unparse(node)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) == "os.urandom":
            yield "os.urandom"


def test_every_cryptographic_primitive_is_in_the_inventory_and_no_other():
    used = {name for path in FILES for name in imported(ast.parse(path.read_text()))}
    used -= {name for name in used if name.endswith(("Error", "InvalidTag", "Protocol"))}
    listed = {
        name for name in first_names("Cryptography") if ("." in name or name in LIBRARIES) and "/" not in name
    }
    assert listed == used


def test_no_primitive_that_is_known_to_be_weak_is_used():
    weak = re.compile(r"\b(md5|sha1|des|rc4|ecb|cbc|blowfish|pkcs1v15|mt19937)\b", re.IGNORECASE)
    code = {path: "\n".join(ast.unparse(ast.parse(path.read_text())).splitlines()) for path in FILES}
    found = {path.name: weak.findall(re.sub(r'"""(.|\n)*?"""', "", text)) for path, text in code.items()}
    assert {name: words for name, words in found.items() if words} == {}


def test_every_event_of_the_log_is_in_the_inventory_with_its_level():
    events = {}
    for path in FILES:
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
                continue
            if ast.unparse(call.func.value) in {"log", "_log"} and call.func.attr in LEVELS:
                events[call.args[0].value] = call.func.attr
    listed = {row[0].strip("`"): row[1] for row in rows("Logs") if row[0].startswith("`")}
    assert listed == events


def test_every_address_an_operator_sets_is_among_the_connections():
    settings = {name.upper() for name in Settings.model_fields if name.endswith(("_url", "_issuer"))}
    assert settings == set(re.findall(r"`([A-Z_]+_(?:URL|ISSUER))`", part("Connections")))


def test_every_ending_that_may_be_uploaded_is_named():
    assert set(re.findall(r"`(\.\w+)`", part("Uploads"))) == set(EXTENSIONS)


def test_the_promised_age_of_dependencies_is_the_one_that_is_checked():
    assert f"at least every {LOCK_MAX_DAYS} days" in part("Dependencies")
