"""Errors on the wire: problem details in the reader's language, never with internals."""

import json
from http.cookies import SimpleCookie
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Form
from starlette.requests import Request
from starlette.responses import HTMLResponse

from gptagent.kernel import errors
from gptagent.kernel.http import (
    CSRF_FIELD,
    CSRF_HEADER,
    Csrf,
    CurrentScope,
    Wire,
    as_app_error,
    csrf_checked,
    csrf_cookie,
    install_problems,
    locale_of,
    problem,
    session_cookie,
)

TOKEN = "a-token-of-this-browser"


class Body(Wire):
    name: str
    count: int = 0


def make_app(csrf=None):
    app = FastAPI()
    install_problems(app)

    @app.middleware("http")
    async def who(request, call_next):
        request.state.csrf, request.state.request_id = csrf, "req-1"
        return await call_next(request)

    @app.post("/api/v1/things")
    async def make_thing(body: Body):
        return body

    @app.get("/api/v1/mine")
    async def mine(scope: CurrentScope):
        return scope

    @app.post("/form", dependencies=[Depends(csrf_checked)])
    @app.get("/form", dependencies=[Depends(csrf_checked)])
    async def form(name: Annotated[str, Form()] = ""):
        return {"name": name}

    return app


async def call(app, method, path, body=b"", **headers):
    """Send one request through the app's own ASGI door and return status, headers, body."""
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "scheme": "http", "server": ("test", 80), "client": ("192.0.2.1", 1), "http_version": "1.1",
        "root_path": "", "asgi": {"version": "3.0"},
    }  # fmt: skip
    sent = []
    parts = iter([{"type": "http.request", "body": body}])

    async def receive():
        return next(parts, {"type": "http.disconnect"})

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, b"".join(part.get("body", b"") for part in sent[1:])


async def call_json(app, method, path, body=None, **headers):
    status, headers, answer = await call(
        app, method, path, body if isinstance(body, bytes) else json.dumps(body).encode(), **headers
    )
    assert headers["content-type"] == "application/problem+json"
    return status, headers, json.loads(answer)


@pytest.mark.parametrize(
    ("error", "status", "retryable"),
    [
        (errors.Unauthenticated(), 401, False),
        (errors.Forbidden(), 403, False),
        (errors.NotFound(), 404, False),
        (errors.Conflict("x", "x"), 409, False),
        (errors.TooLarge("x", "x"), 413, False),
        (errors.UnsupportedType("x", "x"), 415, False),
        (errors.Invalid("x", "x"), 422, False),
        (errors.RateLimited("x", "x"), 429, True),
        (errors.Misconfigured("x", "x"), 500, False),
        (errors.UpstreamUnavailable("x", "x"), 503, True),
        (errors.OutcomeUnknown("x", "x"), 503, False),
    ],
)
def test_each_error_has_its_status_and_says_whether_trying_again_helps(error, status, retryable):
    answer = problem(error, "en", "req-1")
    assert (answer.status_code, type(error).retryable) == (status, retryable)
    assert json.loads(answer.body)["code"] == error.code


def test_a_problem_names_what_is_wrong_in_the_readers_language():
    error = errors.Invalid.field("password", "At least {limit} characters", limit=12)
    body = json.loads(problem(error, "en", "req-1").body)
    assert body["errors"] == [{"pointer": "/password", "detail": "At least 12 characters"}]
    assert body["status"] == 422 and body["request_id"] == "req-1" and body["type"] == "about:blank"
    assert json.loads(problem(errors.AppError("x", "Cancel"), "ru", "").body)["title"] == "Отменить"


def test_when_to_try_again_and_how_to_log_in_are_headers():
    assert problem(errors.RateLimited("x", "x", retry_after=0.2), "en", "").headers["retry-after"] == "1"
    assert problem(errors.RateLimited("x", "x", retry_after=59.6), "en", "").headers["retry-after"] == "60"
    assert problem(errors.Unauthenticated(), "en", "").headers["www-authenticate"] == "Bearer"
    assert "retry-after" not in problem(errors.NotFound(), "en", "").headers


async def test_a_body_that_cannot_be_read_is_malformed():
    status, _, body = await call_json(
        make_app(), "POST", "/api/v1/things", b"{", content_type="application/json"
    )
    assert (status, body["code"]) == (400, "malformed")


async def test_wrong_and_unknown_fields_are_each_named():
    status, _, body = await call_json(
        make_app(), "POST", "/api/v1/things", {"count": "x", "spare": 1}, content_type="application/json"
    )
    assert (status, body["code"], body["request_id"]) == (422, "invalid", "req-1")
    assert {fault["pointer"] for fault in body["errors"]} == {"/name", "/count", "/spare"}


async def test_unknown_addresses_and_methods_are_problems_too():
    status, _, body = await call_json(make_app(), "GET", "/api/v1/nothing")
    assert (status, body["code"]) == (404, "not_found")
    status, _, body = await call_json(make_app(), "GET", "/api/v1/things")
    assert (status, body["code"]) == (405, "method_not_allowed")


async def test_whoever_did_not_log_in_is_told_so():
    status, headers, body = await call_json(make_app(), "GET", "/api/v1/mine")
    assert (status, body["code"], headers["www-authenticate"]) == (401, "unauthenticated", "Bearer")


def test_an_unexpected_error_shows_nothing_of_itself():
    error = as_app_error(RuntimeError("password of Alice is hunter2"))
    assert (error.status, error.code) == (500, "internal")
    assert "hunter2" not in problem(error, "en", "").body.decode()


async def test_people_get_the_apps_page_and_programs_the_problem():
    app = make_app()
    app.state.error_page = lambda _request, error: HTMLResponse(f"<h1>{error.code}</h1>", error.status)
    status, _, body = await call(app, "GET", "/nowhere")
    assert (status, body) == (404, b"<h1>not_found</h1>")
    assert (await call_json(app, "GET", "/api/v1/nowhere"))[0] == 404


@pytest.mark.parametrize(
    ("csrf", "headers", "body", "status"),
    [
        (Csrf(TOKEN), {CSRF_HEADER.replace("-", "_"): TOKEN}, b"", 200),
        (Csrf(TOKEN), {}, f"{CSRF_FIELD}={TOKEN}&name=x".encode(), 200),
        (Csrf(TOKEN), {}, b"name=x", 403),
        (Csrf(TOKEN), {}, f"{CSRF_FIELD}=".encode(), 403),
        (Csrf(TOKEN), {}, f"{CSRF_FIELD}={TOKEN}x".encode(), 403),
        (Csrf(TOKEN), {}, f"{CSRF_FIELD}=%D1%8F".encode(), 403),
        (Csrf(TOKEN, is_new=True), {}, f"{CSRF_FIELD}={TOKEN}".encode(), 403),
        (None, {}, f"{CSRF_FIELD}={TOKEN}".encode(), 403),
    ],
)
async def test_a_form_needs_the_token_of_its_browser(csrf, headers, body, status):
    """AUTH-13"""
    kind = "application/x-www-form-urlencoded"
    answer = await call(make_app(csrf), "POST", "/form", body, content_type=kind, **headers)
    assert answer[0] == status
    assert (await call(make_app(csrf), "GET", "/form"))[0] == 200


async def test_a_form_is_still_read_after_its_token_was_checked():
    body = f"{CSRF_FIELD}={TOKEN}&name=Anna".encode()
    _, _, answer = await call(
        make_app(Csrf(TOKEN)), "POST", "/form", body, content_type="application/x-www-form-urlencoded"
    )
    assert json.loads(answer) == {"name": "Anna"}


def test_over_https_cookies_are_bound_to_their_host():
    """AUTH-19"""
    assert (session_cookie(secure=True), csrf_cookie(secure=True)) == ("__Host-session", "__Host-csrf")
    assert (session_cookie(secure=False), csrf_cookie(secure=False)) == ("session", "csrf")


def test_a_stored_language_goes_before_the_browsers():
    cookie = SimpleCookie({"language": "en"}).output(header="").strip().encode()
    headers = [(b"cookie", cookie), (b"accept-language", b"ru")]
    assert locale_of(Request({"type": "http", "headers": headers})) == "en"
    assert locale_of(Request({"type": "http", "headers": headers[1:]})) == "ru"
