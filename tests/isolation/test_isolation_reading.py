"""What only asks, only answers: no GET and no HEAD changes anything of the workspace."""

import pytest

from isolation.estate import snapshot
from isolation.routes import CASES, PAGES, Foreign, Own, fill, place

# That somebody looked may itself be recorded.
RECORD = {"audit_event", "audit_head"}
ASKING = sorted(
    name
    for name, case in CASES.items()
    if name.startswith("GET ") and (isinstance(case, Foreign) or (isinstance(case, Own) and case.status))
)


async def kept(platform, estate):
    found = await snapshot(platform.db, estate.scope)
    return {table: rows for table, rows in found.items() if table not in RECORD}


@pytest.mark.parametrize("name", ASKING)
async def test_asking_changes_nothing(name, as_alice, alice, platform):
    case = CASES[name]
    path = place(name.removeprefix("GET "), alice)
    if isinstance(case, Foreign):
        path = fill(path, case, alice)
    before = await kept(platform, alice)
    answer = await as_alice.call("GET", path, **case.options)
    assert answer.status_code < 400 or answer.status_code == getattr(case, "status", None), answer.text
    await as_alice.call("HEAD", path, **case.options)
    assert await kept(platform, alice) == before


def test_pages_and_the_api_are_asked():
    assert {PAGES in name for name in ASKING} == {True, False} and len(ASKING) > 15
