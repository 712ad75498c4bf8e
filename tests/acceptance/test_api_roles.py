"""Who may do what over the API: every operation for every role, by the policy's own table."""

import pytest

from acceptance.operations import BY_NAME, OPEN, OPERATIONS, PERSON
from gptagent.features.organizations.policy import PERMISSIONS, PLATFORM_PERMISSIONS, READ_PROMPTS
from members import add_member


async def test_every_operation_of_the_api_states_the_right_it_needs(door):
    """TEN-4"""
    description = (await door("GET", "/api/v1/openapi.json")).json()
    found = {
        f"{method.upper()} {path}" for path, methods in description["paths"].items() for method in methods
    }
    assert found - OPEN == BY_NAME.keys(), "list it in acceptance/operations.py with the right it needs"


# A right that opens no operation but shows more of an answer: test_tracing.py has both looks.
SHOWS_MORE = {READ_PROMPTS}


@pytest.mark.parametrize("role", PERMISSIONS)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_a_role_may_do_what_the_policy_says_and_nothing_else(operation, role, door, alice, database):
    """TEN-4"""
    member = await door.of(await add_member(database, alice.scope, role))
    response = await member(operation.method, operation.path, **operation.options())
    if operation.needs == PERSON or operation.needs in PERMISSIONS[role]:
        assert response.status_code in {200, 201, 202, 204, 404, 422}, response.text
    else:
        assert response.status_code == 403, response.text
        assert response.json()["code"] == "forbidden"


def test_the_roles_of_the_policy_differ():
    """A matrix of equal columns would prove nothing."""
    assert PERMISSIONS["viewer"] < PERMISSIONS["member"] < PERMISSIONS["admin"] <= PERMISSIONS["owner"]
    needed = {operation.needs for operation in OPERATIONS} - {PERSON} - PLATFORM_PERMISSIONS
    assert needed | SHOWS_MORE == PERMISSIONS["owner"]


async def test_a_member_who_left_is_a_stranger_at_once(door, alice, database):
    """TEN-6"""
    bob = await door.of(await add_member(database, alice.scope, "member"))
    assert (await bob("GET", "/api/v1/agents")).status_code == 200
    async with database.session(alice.scope) as session:
        await session.execute("delete from app.member where person_id = $1", bob.scope.actor.id)
    assert (await bob("GET", "/api/v1/agents")).status_code == 401


async def test_a_lower_role_counts_from_the_next_request_on(door, alice, database):
    bob = await door.of(await add_member(database, alice.scope, "admin"))
    async with database.session(alice.scope) as session:
        await session.execute(
            "update app.member set role = 'viewer' where person_id = $1", bob.scope.actor.id
        )
    assert (await bob("POST", "/api/v1/agents", json={"name": "Late"})).status_code == 403
