"""The right each route asks for, read from its endpoint's own code, and the page that lists them.

`python tests/isolation/rights.py` (with tests and src on the path) writes docs/security/permissions.md.
"""

import ast
import inspect
import textwrap
from pathlib import Path

from fastapi import FastAPI
from starlette.routing import Mount

from gptagent.entrypoints.web import build_web
from gptagent.features.organizations import policy
from gptagent.kernel.settings import Settings

PAGE = Path(__file__).parents[2] / "docs" / "security" / "permissions.md"
PERSON = "a person"  # asks for no right of a workspace: it is about whoever asks

# Routes that ask for no right, and why that is harmless.
WITHOUT = {
    "GET /manage": "leads to a workspace of the person's own",
    "GET /manage/{workspace}": "leads to its dashboard",
    "GET /manage/{workspace}/live": "says that something changed, never what; the pages ask for their right",
}
ASKED_OF_PEOPLE = {"person_of", "visitor_of"}


def rights_of(app: FastAPI) -> dict[str, str | None]:
    """Return `METHOD /address` -> the right it asks for; None if none is seen."""
    return {
        f"{method} {route.path}": _right(route.endpoint)
        for route in app.routes
        if not isinstance(route, Mount) and route.path.startswith(("/manage", "/admin", "/api/v1"))
        for method in sorted(route.methods - {"HEAD"})
    }


def _right(endpoint: object) -> str | None:
    """Return what the first call of `require`, or of what asks for a person, names."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(endpoint)))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    calls.sort(key=lambda node: (node.lineno, node.col_offset))
    for call in calls:
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        if name == "require" and len(call.args) == 2:
            return str(getattr(policy, call.args[1].attr))
        if name in ASKED_OF_PEOPLE:
            return PERSON
    return None


def table(rights: dict[str, str | None]) -> str:
    """Return the page: which role may call what."""
    roles = list(policy.PERMISSIONS)
    head = [
        "# Who may call what",
        "",
        "Made from the routes' own code by `python tests/isolation/rights.py`. One test holds it against the",
        "code, another calls every route with every role and kind of credential. A program's key has the",
        "rights it was given, never those over people, keys or the workspace itself.",
        "",
        f"| Route | Right | {' | '.join(roles)} |",
        f"|---|---|{'---|' * len(roles)}",
    ]
    rows = []
    for name, right in sorted(rights.items(), key=lambda item: (item[0].split()[1], item[0])):
        if right is None:
            continue
        marks = ["yes" if right == PERSON or right in policy.PERMISSIONS[role] else "" for role in roles]
        shown = right if right == PERSON else f"`{right}`"
        rows.append(f"| `{name}` | {shown} | {' | '.join(marks)} |")
    return "\n".join([*head, *rows]) + "\n"


class _Unwired:
    """Stands for a platform whose parts nobody calls: only the routes are looked at."""

    def __init__(self) -> None:
        self.settings = Settings()

    def __getattr__(self, name: str) -> "_Unwired":
        return self


def main() -> None:
    """Write the page."""
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(table(rights_of(build_web(_Unwired()))))


if __name__ == "__main__":
    main()
