"""How many requests, how large, how slow, of which type, from which origin."""

import asyncio

import httpx2
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from acceptance.door import Door
from acceptance.operations import OPERATIONS
from cast import make_scope
from gptagent.entrypoints.middleware import Limits
from gptagent.kernel.errors import AppError
from servers import serving

SHOP, OTHER = "https://shop.example", "https://shop.example.evil.test"
HTTP_OK = 200


@pytest.fixture(scope="module")
def strict(home, roles, web):
    """A web process with the limits as they are, and one allowed origin."""
    with serving(
        home, REGISTRATION="open", REDIS_URL="redis://:x@127.0.0.1:1/0", CORS_ORIGINS=SHOP
    ) as server:
        yield server


@pytest.fixture(scope="module")
async def narrow(strict, database, vault):
    async with httpx2.AsyncClient(base_url=strict.url, timeout=60) as client:
        yield Door(client, database, vault, strict.used)


async def test_a_person_has_a_hundred_requests_in_ten_seconds(narrow, database):
    """SEC-8"""
    alice = await narrow.of(await make_scope(database))
    answers = [await alice("GET", "/api/v1/agents")]
    answers += await asyncio.gather(*(alice("GET", "/api/v1/agents") for _request in range(299)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused and len([answer for answer in answers if answer.status_code == HTTP_OK]) >= 100
    first = answers[0].headers
    assert (first["ratelimit-limit"], first["ratelimit-remaining"]) == ("100", "99")
    assert 1 <= int(first["ratelimit-reset"]) <= 10
    told = refused[0]
    assert told.json()["code"] == "rate_limited" and told.headers["ratelimit-remaining"] == "0"
    assert 1 <= int(told.headers["retry-after"]) <= 10
    bob = await narrow.of(await make_scope(database))
    assert (await bob("GET", "/api/v1/agents")).status_code == HTTP_OK


@pytest.mark.parametrize("token", [None, "Bearer gpa_nobodys", "Bearer x.y.z"])
async def test_who_shows_no_accepted_credential_is_counted_by_address(token, narrow):
    """SEC-8"""
    headers = {"x-forwarded-for": f"192.0.2.{len(token or '')}"} | ({"authorization": token} if token else {})
    asked = (narrow("GET", "/api/v1/agents", headers=headers) for _request in range(90))
    answers = await asyncio.gather(*asked)  # at once: one after the other they may take more than two windows
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) == {401, 429} and statuses.count(401) >= 20
    elsewhere = headers | {"x-forwarded-for": "192.0.2.250"}
    assert (await narrow("GET", "/api/v1/agents", headers=elsewhere)).status_code == 401


async def test_a_preflight_of_the_listed_origin_is_answered_before_a_credential_is_asked_for(narrow):
    """SEC-2"""
    asked = {"origin": SHOP, "access-control-request-method": "POST"}
    answer = await narrow("OPTIONS", "/api/v1/agents", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert "Idempotency-Key" in answer.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in answer.headers
    assert "Origin" in answer.headers["vary"]


async def test_the_listed_origin_reads_answers_and_refusals(narrow, database):
    """SEC-2"""
    alice = await narrow.of(await make_scope(database))
    for who in (alice, narrow):
        answer = await who("GET", "/api/v1/agents", headers={"origin": SHOP})
        assert answer.headers["access-control-allow-origin"] == SHOP
        assert "ETag" in answer.headers["access-control-expose-headers"]
        assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize("origin", [OTHER, "http://shop.example", "https://shop.example:444", "null", ""])
async def test_any_other_origin_reads_nothing(origin, narrow):
    """SEC-2"""
    asked = {"origin": origin, "access-control-request-method": "GET"}
    for method in ("GET", "OPTIONS"):
        answer = await narrow(method, "/api/v1/agents", headers=asked)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_pages_and_hooks_are_for_no_origin(narrow):
    """SEC-2"""
    for path in ("/login", "/hooks/kommo/nobodys/", "/health/live"):
        answer = await narrow("GET", path, headers={"origin": SHOP})
        assert not [name for name in answer.headers if name.startswith("access-control-")]


WITH_BODY = [operation for operation in OPERATIONS if operation.body]
TYPES = [
    "text/plain",
    "application/xml",
    "application/x-www-form-urlencoded",
    "application/jsonp",
    "text/json",
    "",
]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda operation: operation.name)
async def test_a_body_of_another_type_is_refused(operation, kind, alice):
    headers = {"content-type": kind} if kind else {}
    response = await alice(operation.method, operation.path, content=b'{"name": "x"}', headers=headers)
    assert (response.status_code, response.json()["code"]) == (415, "content_type_unsupported")


@pytest.mark.parametrize("operation", WITH_BODY, ids=lambda operation: operation.name)
async def test_a_type_written_otherwise_is_the_same_type(operation, alice):
    kind = "Application/JSON; charset=utf-8"
    response = await alice(operation.method, operation.path, content=b"{}", headers={"content-type": kind})
    read = {422, 404, 200} if operation.method == "PATCH" else {422, 404}  # a patch of nothing is fine
    assert response.status_code in ({415} if "files" in operation.body else read)


async def test_a_form_field_nobody_knows_is_refused(alice):
    """SEC-11"""
    response = await alice(
        "POST",
        "/api/v1/documents",
        files={"file": ("a.txt", b"A.")},
        data={"org_id": "x", "status": "completed"},
    )
    assert response.status_code == 422
    assert {fault["pointer"] for fault in response.json()["errors"]} == {"/org_id", "/status"}


async def test_a_body_that_comes_too_slowly_is_given_up():
    """SEC-3"""
    asked = asyncio.Event()

    async def reads(scope, receive, send):
        body = await Request(scope, receive).body()
        await PlainTextResponse(body)(scope, receive, send)

    async def never():
        asked.set()
        await asyncio.Event().wait()

    scope = {"type": "http", "method": "POST", "path": "/api/v1/agents", "headers": []}
    with pytest.raises(AppError) as refused:
        await Limits(reads, seconds=0.05)(scope, never, None)
    assert asked.is_set() and (refused.value.status, refused.value.code) == (503, "timeout")
