"""How the API says no: problem details, a stable code, a pointer per wrong field, never an internal."""

import asyncio
import re

import pytest
from fastapi import FastAPI

from acceptance.operations import OPERATIONS
from gptagent.entrypoints.middleware import RequestEdge
from gptagent.features.agents.table import NAME_MAX_CHARS

WITH_BODY = [operation for operation in OPERATIONS if "json" in operation.body]
JSON = {"content-type": "application/json"}
BODY_MAX_BYTES = 5_000_000


def check_problem(response, status, code):
    """Assert the shape of RFC 9457 and return the body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == status and body["code"] == code and body["type"] == "about:blank"
    assert body["title"] and body["request_id"] == response.headers["x-request-id"]
    return body


def pointers(body):
    return [fault["pointer"] for fault in body["errors"]]


@pytest.mark.parametrize(
    "content", [b"{", b"", b"{'a': 1}", b"\xff\xfe", b"[" * 100_000, b'{"name": ' + b"9" * 5_000]
)
@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda operation: operation.name)
async def test_what_is_no_json_is_malformed(operation, content, alice):
    response = await alice(operation.method, operation.path, content=content, headers=JSON)
    if content:
        check_problem(response, 400, "malformed")
    else:
        check_problem(response, 422, "invalid")


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda operation: operation.name)
async def test_a_field_nobody_knows_is_refused_by_name(operation, alice):
    """SEC-11: mass assignment"""
    body = operation.options()["json"] | {"is_admin": True, "org_id": str(alice.scope.org_id)}
    response = await alice(operation.method, operation.path, json=body)
    assert {"/is_admin", "/org_id"} <= set(pointers(check_problem(response, 422, "invalid")))


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda operation: operation.name)
async def test_every_field_of_the_wrong_type_is_pointed_at(operation, alice):
    sent = operation.options()["json"]
    response = await alice(operation.method, operation.path, json={name: [{"odd": 1}] for name in sent})
    wrong = pointers(check_problem(response, 422, "invalid"))
    assert {pointer.split("/")[1] for pointer in wrong} == set(sent)


async def test_wrong_values_are_pointed_at_together(alice):
    made = (await alice("POST", "/api/v1/agents", json={"name": "Strict"})).json()
    wrong = {"name": "x" * (NAME_MAX_CHARS + 1), "instructions": "short", "response_delay_seconds": 3_601}
    response = await alice("PATCH", f"/api/v1/agents/{made['id']}", json=wrong)
    body = check_problem(response, 422, "invalid")
    assert sorted(pointers(body)) == ["/instructions", "/name", "/response_delay_seconds"]
    assert all(fault["detail"] for fault in body["errors"])
    assert (await alice("GET", f"/api/v1/agents/{made['id']}")).json() == made


@pytest.mark.parametrize("text", ["a\0b", "\0"])
@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda operation: operation.name)
async def test_a_text_postgresql_cannot_store_is_pointed_at(operation, text, alice):
    sent = operation.options()["json"]
    response = await alice(operation.method, operation.path, json=dict.fromkeys(sent, text))
    assert set(pointers(check_problem(response, 422, "invalid"))) == {f"/{name}" for name in sent}


@pytest.mark.parametrize("query", ["search=%00", "before=%00", "search=a%00b"])
async def test_a_query_postgresql_cannot_read_is_invalid(query, alice):
    response = await alice("GET", f"/api/v1/articles?{query}")
    assert pointers(check_problem(response, 422, "invalid")) == [f"/{query.partition('=')[0]}"]


@pytest.mark.parametrize(
    "before", ["0001-01-01T00:00:00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00"]
)
async def test_a_time_at_the_edge_of_time_is_no_error(before, alice):
    response = await alice("GET", "/api/v1/conversations", params={"before": before})
    assert response.status_code in {200, 422}, response.text


async def test_an_address_nobody_has_is_not_found(alice):
    check_problem(await alice("GET", "/api/v1/nothing"), 404, "not_found")


async def test_a_method_an_address_does_not_take_is_told(alice):
    response = await alice("PUT", "/api/v1/agents")
    check_problem(response, 405, "method_not_allowed")
    assert "GET" in response.headers["allow"]


async def test_a_body_beyond_the_limit_is_refused_unread(alice):
    """SEC-3"""
    response = await alice("POST", "/api/v1/articles", content=b"x" * (BODY_MAX_BYTES + 1), headers=JSON)
    check_problem(response, 413, "too_large")


async def test_a_body_of_undeclared_size_is_cut_off_at_the_limit(alice):
    """SEC-3"""

    async def endless():
        for _part in range(60):
            yield b"x" * 100_000

    response = await alice("POST", "/api/v1/articles", content=endless(), headers=JSON)
    check_problem(response, 413, "too_large")


@pytest.mark.parametrize("name", [f"Twin {number}" for number in range(6)])
async def test_of_those_who_take_one_name_at_the_same_moment_one_gets_it(name, alice):
    calls = [alice("POST", "/api/v1/agents", json={"name": name}) for _call in range(8)]
    responses = await asyncio.gather(*calls)
    refused = [response for response in responses if response.status_code != 201]
    assert len(refused) == 7
    for response in refused:
        assert pointers(check_problem(response, 422, "invalid")) == ["/name"]


async def test_every_answer_has_a_request_id_of_its_own(alice):
    mine = {"x-request-id": "chosen by the client"}
    responses = [await alice("GET", "/api/v1/agents", headers=mine) for _call in range(3)]
    ids = {response.headers["x-request-id"] for response in responses}
    assert len(ids) == 3 and all(re.fullmatch(r"[0-9a-f]{32}", one) for one in ids)


@pytest.mark.parametrize(
    ("language", "title"), [("en-GB,en", "There is nothing here."), ("de", "Здесь ничего нет.")]
)
async def test_the_title_is_in_the_readers_language_and_the_code_is_not(language, title, alice):
    response = await alice("GET", "/api/v1/nothing", headers={"accept-language": language})
    assert check_problem(response, 404, "not_found")["title"] == title


@pytest.mark.parametrize("begun", [False, True])
async def test_an_error_in_the_middle_of_an_answer_adds_no_second_one(begun):
    """The server then cuts the answer off; a second head would be an error with the text of the first."""
    sent = []

    async def send(message):
        sent.append(message["type"])

    async def broken(_scope, _receive, send):
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ValueError("in the middle")

    scope = {"type": "http", "method": "GET", "path": "/api/x", "headers": [], "app": FastAPI()}
    await RequestEdge(broken, https=False)(scope, None, send)
    assert sent == ["http.response.start", *([] if begun else ["http.response.body"])]
