"""Charlie calls every route with everything he could learn of Alice's workspace."""

import json

import pytest

from gptagent.entrypoints.web import build_web
from isolation.estate import snapshot
from isolation.routes import (
    CASES,
    Foreign,
    Own,
    Public,
    cases,
    essence,
    fill,
    miss,
    missing_advice,
    routes_of,
    split,
)


def test_every_route_has_a_tenant_case(platform):
    """TEN-1"""
    known = routes_of(build_web(platform))
    assert not known - CASES.keys(), missing_advice(known - CASES.keys())
    assert not CASES.keys() - known, "these cases are of routes that are gone"


@pytest.mark.parametrize("name", cases(Foreign, pages=False))
async def test_another_tenants_object_answers_as_a_missing_one(name, as_charlie, alice, platform):
    """TEN-2, MSG-18"""
    method, path = split(name)
    case = CASES[name]
    before = await snapshot(platform.db, alice.scope)
    foreign = await as_charlie.call(method, fill(path, case, alice), **case.options)
    missing = await as_charlie.call(method, miss(path, case), **case.options)
    assert foreign.status_code == 404, foreign.text
    assert essence(foreign) == essence(missing)
    assert await snapshot(platform.db, alice.scope) == before


# What changes nothing (test_isolation_reading.py) may be asked in the workspace of all tests.
ASKING = [name for name in cases(Foreign, pages=False) if name.startswith("GET ")]
CHANGING = [name for name in cases(Foreign, pages=False) if name not in ASKING]


@pytest.mark.parametrize("name", ASKING)
async def test_the_same_question_reaches_an_object_of_ones_own(name, as_alice, alice):
    """Without this, a case with a wrong address would pass the test above."""
    await reaches_ones_own(name, as_alice, alice)


@pytest.mark.parametrize("name", CHANGING)
async def test_the_same_call_reaches_an_object_of_ones_own(name, as_dora, dora):
    """As above, in a workspace that may be changed."""
    await reaches_ones_own(name, as_dora, dora)


async def reaches_ones_own(name, caller, estate):
    method, path = split(name)
    response = await caller.call(method, fill(path, CASES[name], estate), **CASES[name].options)
    assert response.status_code in {200, 201, 202, 204, 409, 422}, response.text


@pytest.mark.parametrize("name", cases(Own, pages=False))
async def test_a_list_holds_rows_of_ones_own_workspace_only(name, as_charlie, alice):
    """TEN-1, MSG-18"""
    method, path = split(name)
    response = await as_charlie.call(method, path, **CASES[name].options)
    assert response.status_code == CASES[name].status, response.text
    assert not [known for known in alice.ids() | {alice.canary} if known in response.text]


@pytest.mark.parametrize("name", cases(Public, pages=False))
async def test_what_needs_no_credential_tells_nothing_of_a_workspace(name, http, alice, charlie):
    method, path = split(name)
    case = CASES[name]
    response = await http.request(method, case.path or path, **case.options)
    assert response.status_code < 500
    told = response.text + json.dumps(dict(response.headers))
    for estate in (alice, charlie):
        assert not [known for known in estate.ids() | {estate.canary} if known in told]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_organisation_named_by_the_client_is_ignored(method, as_charlie, alice):
    """TEN-3: in a header nobody looks at it, as a parameter nobody knows it."""
    who = as_charlie.headers | {"x-org-id": str(alice.scope.org_id), "x-organization": str(alice.number)}
    named = {"org_id": str(alice.scope.org_id), "workspace": str(alice.number)}
    path = "/api/v1/agents" if method == "GET" else f"/api/v1/conversations/{alice.conversation_id}/takeover"
    verb = "GET" if method == "GET" else "PUT"
    response = await as_charlie.http.request(verb, path, headers=who)
    assert response.status_code == (200 if method == "GET" else 404)
    refused = await as_charlie.http.request(verb, path, headers=who, params=named)
    assert refused.status_code == 422
    assert alice.canary not in response.text + refused.text


async def test_a_hook_takes_no_message_of_another_account(http, alice, charlie, platform):
    """The secret is Charlie's, the account Alice's: as unknown as a secret of nobody."""
    before = [await snapshot(platform.db, estate.scope) for estate in (alice, charlie)]
    form = {"account[id]": str(alice.account_id), "message[add][0][id]": "m", "message[add][0][chat_id]": "c"}
    wrong = await http.post(f"/hooks/kommo/{charlie.hook_secret}/", data=form)
    unknown = await http.post("/hooks/kommo/nobodys/", data=form)
    assert (wrong.status_code, wrong.content) == (unknown.status_code, unknown.content) == (404, b"")
    assert [await snapshot(platform.db, estate.scope) for estate in (alice, charlie)] == before
