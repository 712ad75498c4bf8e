"""The administration of the platform refuses everybody of a workspace, whatever their role and credential."""

import re
from dataclasses import replace
from uuid import uuid4

import pytest

from gptagent.features.identity.service import hash_token
from gptagent.features.organizations.model import API_KEY_PREFIX
from gptagent.features.organizations.policy import KEY_SCOPES, PERMISSIONS
from gptagent.kernel.ids import new_id, new_token
from isolation.estate import insert
from isolation.routes import CASES, Installation, essence, split
from members import add_member

NAMES = sorted(name for name, case in CASES.items() if isinstance(case, Installation))
API = [name for name in NAMES if "/api/" in name]
PAGES = [name for name in NAMES if "/api/" not in name]


def addressed(name, estate):
    """Return method and address, with the ids of what there is: a person and a workspace."""
    method, path = split(name)
    own = {"{number}": str(estate.number), "{person_id}": str(estate.scope.actor.id)}
    return method, re.sub(r"\{\w+\}", lambda found: own.get(found[0], str(uuid4())), path)


@pytest.fixture(scope="session")
async def people(platform, erin):
    return {role: await add_member(platform.db, erin.scope, role) for role in PERMISSIONS}


def test_there_is_something_to_refuse():
    assert len(API) > 14 and len(PAGES) > 14


@pytest.mark.parametrize("role", PERMISSIONS)
async def test_a_page_is_as_missing_as_one_that_does_not_exist(role, enter, people, alice, erin):
    """AUTH-15"""
    who, told = await enter(erin, people[role]), []
    missing = essence(await who.call("GET", "/nothing"))
    for name in PAGES:
        method, path = addressed(name, alice)
        answer = await who.call(method, path, **CASES[name].options)
        if essence(answer) != missing:
            told.append((name, answer.status_code))
    assert told == []


@pytest.mark.parametrize("role", PERMISSIONS)
async def test_an_operation_is_refused_to_every_role(role, enter, people, alice, erin):
    """AUTH-15"""
    who = await enter(erin, people[role])
    answers = {name: await who.call(*addressed(name, alice), **CASES[name].options) for name in API}
    assert {name: one.status_code for name, one in answers.items()} == dict.fromkeys(API, 403)
    assert {one.json()["code"] for one in answers.values()} == {"forbidden"}


async def test_an_operation_is_refused_to_a_key_of_a_workspace(as_charlie, alice, charlie, platform):
    """AUTH-14"""
    key = API_KEY_PREFIX + new_token()
    async with platform.db.session(charlie.scope) as session:
        ends = {"key_start": key[:8], "key_end": key[-4:], "scopes": sorted(KEY_SCOPES)}
        await insert(session, "api_key", id=new_id(), name="k", key_hash=hash_token(key), **ends)
    program = replace(as_charlie, headers={"authorization": f"Bearer {key}"})
    for name in API:
        assert (await program.call(*addressed(name, alice), **CASES[name].options)).status_code == 403, name


async def test_a_stranger_is_led_to_the_log_in_or_refused(http, alice):
    for name in NAMES:
        answer = await http.request(*addressed(name, alice), **CASES[name].options)
        assert answer.status_code == (401 if name in API else 303), name
        if name in PAGES:
            assert answer.headers["location"].startswith("/login")


@pytest.mark.parametrize(
    "question",
    [
        "select 1 from app.admin_organizations('', null, null, 10)",
        "select 1 from app.admin_people('', null, null, 10)",
        "select 1 from app.admin_members($1)",
        "select 1 from app.admin_memberships($1)",
        "select 1 from app.admin_figures()",
    ],
)
async def test_the_database_answers_an_administrators_question_in_no_other_transaction(
    question, platform, charlie
):
    args = [charlie.scope.org_id] if "$1" in question else []
    async with platform.db.session(charlie.scope) as session:
        assert await session.fetch(question, *args) == []
    async with platform.db.installation(charlie.scope.actor.id) as session:
        assert await session.fetch(question, *args) == []


@pytest.mark.parametrize("change", ["admin_suspend_organization", "admin_suspend_person", "admin_appoint"])
async def test_the_database_changes_nothing_for_an_administrator_in_another_transaction(
    change, platform, charlie, alice
):
    target = alice.scope.org_id if "organization" in change else alice.scope.actor.id
    async with platform.db.session(charlie.scope) as session:
        outcome = await session.fetchval(f"select app.{change}($1, true)", target)
    assert outcome in {False, "missing"}
