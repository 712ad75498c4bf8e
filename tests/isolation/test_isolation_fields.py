"""Who may read an object reads all of it; who may change it changes all it takes, but for what is listed."""

import re
from pathlib import Path

import pytest

from gptagent.entrypoints.web import build_web
from gptagent.features.organizations.policy import PERMISSIONS, VIEW
from isolation.estate import furnish
from isolation.rights import rights_of
from isolation.routes import CASES, Foreign, Own, fill, split
from members import add_member

CONTROLS = Path(__file__).resolve().parents[2] / "docs/security/controls.md"
API = "/api/v1/"
OF_ONESELF = "/api/v1/account"
# What an order to the CRM may be given: its object lies there, so nothing is read here first.
ORDERED = {
    "name": "Website",
    "first_name": None,
    "last_name": None,
    "price": 5,
    "responsible_user_id": 1,
    "pipeline_id": 1,
    "stage_id": 142,
    "tags_add": ["VIP"],
    "tags_remove": ["VIP"],
    "fields": {"1": "x"},
    "evidence": {"reason": "asked for"},
}


@pytest.fixture(scope="module")
def rights(platform):
    return rights_of(build_web(platform))


@pytest.fixture(scope="module")
async def wendy(platform):
    """Furnished for this file: its objects are written anew as they are."""
    estate = await furnish(platform.db, platform.vault, "wagtail6h1p")
    async with platform.db.session(estate.scope) as session:
        await session.execute("update app.organization set locale = 'en'")
    return estate


@pytest.fixture
async def of_role(enter, platform, wendy):
    """Return somebody of Wendy's workspace for each role."""
    return {
        role: await enter(wendy, await add_member(platform.db, wendy.scope, role)) for role in PERMISSIONS
    }


def operations(method, estate):
    """Yield each operation of the API with this method: its route, and the address of the estate's object."""
    for name, case in CASES.items():
        if name.startswith(f"{method} {API}") and isinstance(case, Own | Foreign):
            path = split(name)[1]
            yield name, fill(path, case, estate) if isinstance(case, Foreign) else path


def fields(value, place=""):
    """Yield the place of every field; the items of a list count as one."""
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield f"{place}/{name}"
        yield from fields(inner, f"{place}/{name}")
    for inner in value if isinstance(value, list) else ():
        yield from fields(inner, f"{place}/*")


async def test_whoever_may_read_something_reads_all_its_fields(of_role, rights, wendy):
    differ, compared = [], 0
    for name, path in operations("GET", wendy):
        if rights[name] != VIEW or path.startswith(OF_ONESELF):
            continue
        answers = {role: await caller.call("GET", path) for role, caller in of_role.items()}
        if answers["owner"].headers["content-type"] != "application/json":
            continue
        assert {answer.status_code for answer in answers.values()} == {200}, name
        shown = {role: set(fields(answer.json())) for role, answer in answers.items()}
        compared += len(shown["owner"]) > 1
        differ += [(name, role) for role in shown if shown[role] != shown["owner"]]
    assert differ == [] and compared > 8


def rights_of_fields():
    """Return the fields with a right of their own, as the page lists them: (operation, field) -> right."""
    part = CONTROLS.read_text().partition("\n## Fields\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(PATCH [^`]+)` \| `(\w+)` \| `([\w.]+)` \|", part, re.MULTILINE)
    return {(operation, field): right for operation, field, right in rows}


async def test_whoever_may_change_something_may_change_all_its_fields_but_those_listed(
    *, of_role, rights, wendy, http, platform
):
    description = (await http.get("/api/v1/openapi.json")).json()
    colleague = str((await add_member(platform.db, wendy.scope, "member")).actor.id)
    closed, wrong, seen = rights_of_fields(), [], set()
    for name, path in operations("PATCH", wendy):
        if path.startswith(OF_ONESELF):
            continue
        where = path.replace(str(wendy.person_id), colleague)
        operation = description["paths"][split(name)[1]]["patch"]
        is_order = "202" in operation["responses"]
        body = operation["requestBody"]["content"]["application/json"]
        takes = description["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]["properties"]
        kept = ORDERED if is_order else (await of_role["owner"].call("GET", where)).json()
        kept = kept.get("entity", kept)  # a card of the graph holds what can be changed
        assert takes.keys() <= kept.keys(), name
        for role, caller in of_role.items():
            if rights[name] not in PERMISSIONS[role]:
                continue
            for field in takes:
                seen.add((name, field))
                may = closed.get((name, field), rights[name]) in PERMISSIONS[role]
                answer = await caller.call("PATCH", where, json={field: kept[field]})
                allowed = {202, 422} if is_order else {200}  # 422: the mirror does not know such a thing
                if answer.status_code not in (allowed if may else {403}):
                    wrong.append((name, field, role, answer.status_code))
    assert wrong == [] and len(seen) > 10 and closed.keys() <= seen
