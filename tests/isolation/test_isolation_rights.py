"""Every route says which right it needs, and every role and credential gets just that far."""

import pytest

from gptagent.entrypoints.web import build_web
from gptagent.features.identity.service import hash_token
from gptagent.features.organizations.model import API_KEY_PREFIX
from gptagent.features.organizations.policy import KEY_SCOPES, PERMISSIONS, PLATFORM_PERMISSIONS
from gptagent.kernel.ids import new_id, new_token
from gptagent.kernel.routing import LazyRoute
from isolation.estate import insert, snapshot
from isolation.rights import PAGE, PERSON, WITHOUT, rights_of, table
from isolation.routes import CASES, PAGES, Foreign, Own, Public, essence, fill, miss, place, split
from members import add_member

CREDENTIALS = ("cookie", "token", "key")


def test_fastapi_understands_every_route(platform):
    """Routes are analysed when they are first asked for: a wrong one would fail at its first call."""
    routes = [route for route in build_web(platform).routes if isinstance(route, LazyRoute)]
    assert len({id(route.dependant) for route in routes}) == len(routes) > 500


@pytest.fixture(scope="session")
def rights(platform):
    return rights_of(build_web(platform))


def test_every_route_declares_the_right_it_needs(rights):
    """TEN-4: begin the endpoint with require(scope, policy.X)."""
    silent = {name for name, right in rights.items() if right is None}
    silent = {name for name in silent if not isinstance(CASES.get(name), Public)}
    assert silent == WITHOUT.keys()


def test_the_page_of_permissions_is_what_the_code_asks_for(rights):
    assert PAGE.read_text() == table(rights), "run python tests/isolation/rights.py"


@pytest.fixture(scope="session")
async def keys(platform, erin):
    """One key for each role of Erin's workspace, with all that the role may give a key."""
    made = {}
    async with platform.db.session(erin.scope) as session:
        for role, permissions in PERMISSIONS.items():
            key = API_KEY_PREFIX + new_token()
            scopes = sorted(permissions & KEY_SCOPES)
            ends = {"key_start": key[:12], "key_end": key[-3:]}
            await insert(
                session, "api_key", id=new_id(), name=role, key_hash=hash_token(key), scopes=scopes, **ends
            )
            made[role] = key
    return made


@pytest.fixture
async def caller(enter, platform, erin, keys, request):
    """Somebody of Erin's workspace with this role and this kind of credential."""
    credential, role = request.param
    member = await add_member(platform.db, erin.scope, role)
    caller = await enter(erin, member)
    if credential == "key":
        caller.headers["authorization"] = f"Bearer {keys[role]}"
    return caller, credential, role


def reached(credential, kinds):
    """Names of the routes of these kinds that take the credential."""
    for name, case in CASES.items():
        is_page = PAGES in name
        if isinstance(case, kinds) and (credential == "cookie") == is_page and not name.endswith("/live"):
            yield name, case


MATRIX = [(credential, role) for credential in CREDENTIALS for role in PERMISSIONS]


@pytest.mark.parametrize("caller", MATRIX, indirect=True, ids="-".join)
async def test_another_tenants_object_is_as_missing_for_every_role_and_credential(
    caller, alice, erin, platform
):
    """TEN-2"""
    who, credential, _role = caller
    before, told = await snapshot(platform.db, alice.scope), []
    for name, case in reached(credential, Foreign):
        method, path = split(name)
        foreign = await who.call(method, place(fill(path, case, alice), erin), **case.options)
        missing = await who.call(method, place(miss(path, case), erin), **case.options)
        if essence(foreign) != essence(missing) or foreign.status_code not in {403, 404}:
            told.append((name, foreign.status_code, missing.status_code))
    assert told == []
    assert await snapshot(platform.db, alice.scope) == before


@pytest.mark.parametrize("caller", MATRIX, indirect=True, ids="-".join)
async def test_a_role_or_key_without_the_right_is_refused_and_changes_nothing(caller, erin, platform, rights):
    """TEN-4"""
    who, credential, role = caller
    before, passed, refused = await snapshot(platform.db, erin.scope), [], 0
    held = PERMISSIONS[role] & KEY_SCOPES if credential == "key" else PERMISSIONS[role]
    for name, case in reached(credential, (Own, Foreign)):
        right = rights.get(name)
        lacks = right not in held if right not in {None, PERSON} else right == PERSON and credential == "key"
        if not lacks:
            continue
        method, path = split(name)
        address = fill(path, case, erin) if isinstance(case, Foreign) else path
        response = await who.call(method, place(address, erin), **case.options)
        refused += response.status_code == 403
        if response.status_code != 403:
            passed.append((name, response.status_code))
    assert passed == []
    assert refused or held >= set(rights.values()) - {None, PERSON} - PLATFORM_PERMISSIONS
    assert await snapshot(platform.db, erin.scope) == before
