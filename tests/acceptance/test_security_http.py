"""What a hostile or careless client gets from the web process, whatever address it asks."""

import http.client
import json
import re
import socket
import time
from contextlib import closing
from urllib.parse import urlsplit

import httpx2
import pytest

from acceptance.door import new_address
from acceptance.test_api_headers import ANSWERS
from gptagent.kernel.ids import new_id

ODD = "50%25 &amp; %3Cb%3E <b>{{7*7}}</b> {x} %s ${y}"


@pytest.mark.parametrize("what", ANSWERS)
async def test_every_body_says_what_it_is_and_in_which_letters(what, door, alice):
    method, path, inside = ANSWERS[what]
    response = await (alice if inside else door)(method, path)
    kind = response.headers.get("content-type", "")
    if response.content:
        assert re.fullmatch(
            r"application/(problem\+)?json|text/(html|plain|javascript);.*charset=utf-8", kind
        )
        assert ("json" in kind) == response.text.startswith(("{", "["))


@pytest.mark.parametrize(
    "path", ["/login", "/health/live", "/assets/nothing.css", "/hooks/kommo/x/", "/metrics"]
)
@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT"])
async def test_a_request_is_never_sent_back(method, path, door):
    response = await door(method, path, headers={"x-echo": "cuckoo"})
    assert response.status_code in {400, 401, 404, 405} and "cuckoo" not in response.text


@pytest.mark.parametrize(
    "path",
    [
        "/.git/HEAD", "/.git/config", "/.env", "/.svn/entries", "/pyproject.toml", "/requirements.lock",
        "/assets/", "/assets", "/assets/../.git/HEAD", "/assets/%2e%2e/web.py", "/assets/web.py", "/files/",
        "/docs", "/redoc", "/debug", "/openapi.json", "/server-status",
    ],
)  # fmt: skip
async def test_nothing_but_routes_is_served(path, door, alice):
    for caller in (door, alice):
        response = await caller("GET", path)
        assert response.status_code in {303, 401, 404}, response.text[:300]
        assert "ref: refs" not in response.text and "Index of" not in response.text


async def test_a_word_comes_back_as_it_was_written(alice):
    """Nothing is decoded twice, and no text is taken for a template."""
    made = await alice("POST", "/api/v1/articles", json={"title": ODD, "content": ODD})
    kept = (await alice("GET", f"/api/v1/articles/{made.json()['id']}")).json()
    assert (kept["title"], kept["content"]) == (ODD, ODD)
    found = await alice("GET", "/api/v1/articles", params={"search": ODD})
    assert [item["id"] for item in found.json()["items"]] == [made.json()["id"]]


async def test_a_value_has_one_place_and_is_given_once(alice):
    """What the address says beside the body, or says twice, is refused instead of guessed at."""
    name = f"Body {new_id()}"
    beside = await alice("POST", "/api/v1/agents", params={"name": "From the address"}, json={"name": name})
    twice = await alice("GET", "/api/v1/articles", params=[("search", "a"), ("search", "b")])
    for response, pointer in ((beside, "/name"), (twice, "/search")):
        assert response.status_code == 422
        assert pointer in [fault["pointer"] for fault in response.json()["errors"]]
    listed = await alice("GET", "/api/v1/agents")
    assert name not in listed.text and "From the address" not in listed.text


@pytest.mark.parametrize("field", ["token", "access_token", "api_key", "session", "authorization"])
async def test_no_credential_is_taken_from_the_address(field, door, alice):
    token = alice.headers["authorization"].split()[1]
    for value in (token, f"Bearer {token}"):
        assert (await door("GET", "/api/v1/agents", params={field: value})).status_code == 401


async def test_whoever_is_no_proxy_cannot_choose_the_address_that_is_counted(web):
    """Another address than the proxy's own, with a forged header each time, is still one client."""
    transport = httpx2.HTTPTransport(local_address="127.0.0.77")
    with httpx2.Client(base_url=web.url, transport=transport, timeout=60) as client:
        body = {"password": "not the right one"}
        answers = [
            client.post(
                "/api/v1/auth/login",
                json=body | {"email": f"{new_id().hex}@example.test"},
                headers={"x-forwarded-for": f"198.18.0.{number}", "x-real-ip": f"198.18.1.{number}"},
            ).status_code
            for number in range(11)
        ]
    assert answers == [401] * 10 + [429]


SMUGGLED = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "head",
    [
        f"Content-Length: {len(SMUGGLED)}\r\nTransfer-Encoding: chunked",
        f"Transfer-Encoding: chunked\r\nContent-Length: {len(SMUGGLED)}",
        f"Content-Length: 5\r\nContent-Length: {len(SMUGGLED)}",
        "Content-Length: +5",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding : chunked",
    ],
)
def test_a_request_with_two_ends_is_no_two_requests(head, web):
    address = urlsplit(web.url)
    with socket.create_connection((address.hostname, address.port), timeout=60) as connection:
        connection.sendall(
            f"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n0\r\n\r\n{SMUGGLED}".encode()
        )
        heard = b""
        while part := connection.recv(65_536):
            heard += part
    assert heard.startswith(b"HTTP/1.1 400 ") and heard.count(b"HTTP/1.1 ") == 1


def test_a_connection_that_a_proxy_in_front_keeps_is_kept_here_too(web):
    """A request sent on one that is just being closed is lost, and no proxy sends a POST twice."""
    address = urlsplit(web.url)
    with closing(http.client.HTTPConnection(address.hostname, address.port, timeout=60)) as kept:
        for pause_seconds in (0, 6):
            time.sleep(pause_seconds)
            kept.request("GET", "/health/live")
            assert kept.getresponse().read() == b'{"status":"alive"}'


async def test_a_refused_request_leaves_a_line_with_its_route_and_status(web, door, alice):
    """Missing or foreign, without credential, without the page's token, with wrong values, once too often."""
    stuffed = {"json": {"email": "x@example.test", "password": "guess"}, "headers": new_address()}
    for _try in range(10):
        await door("POST", "/api/v1/auth/login", **stuffed)
    refused = {
        404: await alice("GET", f"/api/v1/agents/{new_id()}"),
        401: await door("POST", "/api/v1/agents", json={}, headers=new_address()),
        403: await door("POST", "/login", data={"email": "x@example.test", "password": "x"}),
        422: await alice("POST", "/api/v1/agents", json={"name": "", "is_admin": True}),
        429: await door("POST", "/api/v1/auth/login", **stuffed),
    }
    ids = [response.headers["x-request-id"] for response in refused.values()]
    web.until("the last line is written", lambda: all(one in web.log for one in ids))
    for status, response in refused.items():
        (line,) = [line for line in web.log.splitlines() if response.headers["x-request-id"] in line]
        told = json.loads(line)
        assert (told["event"], told["status"]) == ("request", status)
        assert told["method"] and told["route"] and told["timestamp"].endswith("Z")
