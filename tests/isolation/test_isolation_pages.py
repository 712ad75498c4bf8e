"""Charlie opens every page: in Alice's workspace, and in his own with the ids of what is hers."""

from dataclasses import replace

import pytest

from gptagent.kernel.http import csrf_of_session
from isolation.estate import snapshot
from isolation.routes import ACCOUNT, CASES, PAGES, Foreign, Own, cases, essence, fill, miss, place, split
from members import add_member, cookie_of

ALL = [*cases(Own, pages=True), *cases(Foreign, pages=True)]
CHANGES = [name for name in ALL if name.startswith("POST ")]


def in_workspace(name, estate, of):
    """Return the method and the address of the page in this workspace with the other's object."""
    method, path = split(name)
    case = CASES[name]
    return method, place(fill(path, case, of) if isinstance(case, Foreign) else path, estate)


@pytest.mark.parametrize("name", ALL)
async def test_a_page_of_another_workspace_is_as_missing_as_one_of_no_workspace(
    name, as_charlie, alice, platform
):
    """TEN-8, U003"""
    before = await snapshot(platform.db, alice.scope)
    method, path = in_workspace(name, alice, alice)
    foreign = await as_charlie.call(method, path, **CASES[name].options)
    missing = await as_charlie.call(
        method, path.replace(str(alice.number), "999999999"), **CASES[name].options
    )
    assert foreign.status_code == 404, foreign.text
    assert essence(foreign) == essence(missing)
    assert alice.canary not in foreign.text.replace(path, "")
    assert await snapshot(platform.db, alice.scope) == before


@pytest.mark.parametrize("name", cases(Foreign, pages=True))
async def test_another_tenants_object_on_ones_own_page_is_as_missing_as_any(
    name, as_charlie, alice, charlie, platform
):
    """TEN-2"""
    before = await snapshot(platform.db, alice.scope)
    method, path = split(name)
    case = CASES[name]
    foreign = await as_charlie.call(method, place(fill(path, case, alice), charlie), **case.options)
    missing = await as_charlie.call(method, place(miss(path, case), charlie), **case.options)
    assert foreign.status_code == 404, foreign.text
    assert essence(foreign) == essence(missing)
    assert await snapshot(platform.db, alice.scope) == before


@pytest.mark.parametrize("name", [name for name in cases(Foreign, pages=True) if name.startswith("GET ")])
async def test_the_same_page_shows_what_is_ones_own(name, as_alice, alice):
    """Without this, a case with a wrong address would pass the test above."""
    await shows_ones_own(name, as_alice, alice)


@pytest.mark.parametrize("name", [name for name in cases(Foreign, pages=True) if name in CHANGES])
async def test_the_same_change_reaches_what_is_ones_own(name, as_dora, dora):
    """As above, in a workspace that may be changed."""
    await shows_ones_own(name, as_dora, dora)


async def shows_ones_own(name, caller, estate):
    method, path = in_workspace(name, estate, estate)
    response = await caller.call(method, path, **CASES[name].options)
    assert response.status_code in {200, 303, 422}, response.text


@pytest.mark.parametrize("name", [name for name in cases(Own, pages=True) if CASES[name].status])
async def test_a_page_shows_ones_own_workspace_only(name, as_charlie, alice, charlie):
    """TEN-1"""
    response = await as_charlie.call(*in_workspace(name, charlie, charlie), **CASES[name].options)
    assert response.status_code == CASES[name].status, response.text
    told = response.text + response.headers.get("location", "")
    assert not [known for known in alice.ids() | {alice.canary} if known in told]


@pytest.mark.parametrize("name", ALL)
async def test_without_a_session_every_page_leads_to_the_log_in(name, http, alice):
    """U002"""
    method, path = in_workspace(name, alice, alice)
    for address in (path, path.replace(str(alice.number), "999999999")):
        response = await http.request(method, address)
        assert response.status_code == 303
        assert response.headers["location"].startswith("/login")


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_without_the_pages_own_token_is_refused(name, http, as_alice, alice, platform):
    """AUTH-13, U027, U210"""
    before = await snapshot(platform.db, alice.scope)
    method, path = in_workspace(name, alice, alice)
    browser = {"cookie": f"session={as_alice.cookie}"}
    for token in ({}, {"x-csrf-token": "x" * 64}):
        response = await http.request(method, path, headers=browser | token, **CASES[name].options)
        assert response.status_code == 403, response.text
    assert await snapshot(platform.db, alice.scope) == before


async def test_the_token_of_a_form_is_the_one_these_tests_send(as_alice, alice):
    page = await as_alice.call("GET", f"/manage/{alice.number}-{alice.slug}/dashboard")
    assert f'name="csrf_token" value="{csrf_of_session(as_alice.cookie).token}"' in page.text


@pytest.fixture(scope="session")
async def looker_scope(platform, alice):
    return await add_member(platform.db, alice.scope, "viewer")


# Whoever may only look at the workspace still has an account and a membership of their own.
CHANGES_OF_WORKSPACE = [
    name for name in CHANGES if ACCOUNT not in name and not getattr(CASES[name], "of_oneself", False)
]


@pytest.mark.parametrize("name", CHANGES_OF_WORKSPACE)
async def test_whoever_may_only_look_changes_nothing(name, as_alice, looker_scope, alice, platform):
    """TEN-4"""
    looker = replace(as_alice, cookie=await cookie_of(platform.db, looker_scope))
    before = await snapshot(platform.db, alice.scope)
    response = await looker.call(*in_workspace(name, alice, alice), **CASES[name].options)
    assert response.status_code == 403, response.text
    assert await snapshot(platform.db, alice.scope) == before


@pytest.mark.parametrize("slug", ["", "-", "-another-name", "-%D0%B0"])
async def test_a_wrong_name_in_the_address_leads_to_the_right_one(slug, as_charlie, charlie):
    """TEN-8"""
    response = await as_charlie.call("GET", f"/manage/{charlie.number}{slug}/dashboard?x=1")
    assert response.status_code == 308
    assert response.headers["location"] == f"/manage/{charlie.number}-{charlie.slug}/dashboard?x=1"


def test_pages_are_among_the_cases():
    """The tests above are empty if the pages move elsewhere."""
    assert len([name for name in ALL if PAGES in name]) > 20
