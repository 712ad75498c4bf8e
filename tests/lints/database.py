"""SQL has its place, and no setting outlives its transaction."""

import re
from collections.abc import Iterator

from lints.source import Finding, Source, literals

# Where SQL may stand besides every feature's store.py.
SQL_PLACES = (
    "src/gptagent/migrations/",
    "src/gptagent/kernel/db.py",
    "src/gptagent/kernel/idempotency.py",
    "src/gptagent/kernel/installation.py",
    "src/gptagent/kernel/jobs.py",
    "src/gptagent/kernel/live.py",
    "src/gptagent/kernel/postgres/",
    "tests/",
    "benchmarks/",
)
# `select 1` and PostgreSQL's own functions (locks) ask the connection, not a table.
_STATEMENTS = (
    r"select\s+(?!pg_)(\w+\.)*\w+\s*\(",
    r"select\s.*\bfrom\s",
    r"with\s+\w+\s+as\s*\(",
    r"insert\s+into\s",
    r"update\s+[\w.{}]+\s+set\s",
    r"delete\s+from\s",
    r"truncate\s+[\w.]+\s*$",
    r"(create|alter|drop)\s+(or\s+replace\s+)?(unique\s+)?(table|index|function|role|schema|policy|view)\s",
    r"(listen|notify|unlisten)\s+[\w.*]+\s*$",
    r"set\s+local\s",
)
_STATEMENT = re.compile("|".join(_STATEMENTS), re.DOTALL)
_SESSION_STATE = re.compile(
    # Names of settings are written small: a sentence like "set DATABASE_URL to ..." is none of them.
    r"(?:\A|;)\s*(?:set|SET)\s+(?!local\b|LOCAL\b)(?:session\s+|SESSION\s+)?[a-z_.]+\s*(?:=|to\b|TO\b)"
    r"|\b(?:set_config|SET_CONFIG)\s*\([^;]*?,\s*(?:false|FALSE)\s*\)",
)


def sql_in_its_place(source: Source) -> Iterator[Finding]:
    """Yield every SQL statement that stands in code which is no store."""
    if not source.is_below("src/", "benchmarks/", "tests/") or source.is_below(*SQL_PLACES):
        return
    if source.is_any("features/*/store.py", "features/*/*/store.py"):
        return
    for first, last, text in literals(source):
        start = text.lstrip()
        lowered = start.lower()
        # A sentence of the screen may begin with "Select"; SQL is written in one case.
        written = start[:1].islower() or start[:6].isupper()
        if written and _STATEMENT.match(lowered) and not _excused(source, "sql", first, last):
            yield Finding(
                source.path,
                first,
                "sql",
                "SQL outside of a store: a tenant's rows must have one door",
                "move it into the feature's store.py and call that",
            )


def no_session_state(source: Source) -> Iterator[Finding]:
    """Yield SQL that changes a pooled connection for whoever gets it next."""
    if source.is_below("tests/", "benchmarks/"):
        return
    if source.path.endswith(".sql"):
        texts = [(line, line, text) for line, text in _sql_statements(source.text)]
    else:
        texts = list(literals(source))
    for first, last, text in texts:
        if _SESSION_STATE.search(text) and not _excused(source, "session-state", first, last):
            yield Finding(
                source.path,
                first,
                "session-state",
                "the setting outlives its transaction and leaks to the next user of the connection",
                "use `set local` or set_config(..., true) within the transaction",
            )


def _sql_statements(text: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line[:1].strip():  # a statement begins in the first column; `set` below it belongs to an update
            yield number, line


def _excused(source: Source, rule: str, first: int, last: int) -> bool:
    return any(source.is_excused(rule, line) for line in range(first, last + 1))
