"""What every answer carries for the browser's protection, whoever asks and whatever comes of it."""

import re

import pytest

ANSWERS = {
    "a list": ("GET", "/api/v1/agents", True),
    "a stranger's refusal": ("GET", "/api/v1/agents", False),
    "a missing object": ("GET", "/api/v1/agents/00000000-0000-0000-0000-000000000000", True),
    "an invalid request": ("POST", "/api/v1/agents", True),
    "a method not taken": ("PUT", "/api/v1/agents", True),
    "the description": ("GET", "/api/v1/openapi.json", False),
    "the description to be read": ("GET", "/api/docs", False),
    "a file of that page": ("GET", "/api/docs/docs.js", False),
    "a page for strangers": ("GET", "/login", False),
    "the way to the log-in": ("GET", "/manage", False),
    "a missing page": ("GET", "/assets/nothing.css", False),
    "health": ("GET", "/health/ready", False),
    "metrics": ("GET", "/metrics", False),
    "a hook": ("POST", "/hooks/kommo/nobodys/", False),
}


@pytest.mark.parametrize("what", ANSWERS)
async def test_every_answer_carries_the_security_headers(what, door, alice):
    """SEC-1"""
    method, path, inside = ANSWERS[what]
    headers = (await (alice if inside else door)(method, path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] in {"same-origin", "strict-origin-when-cross-origin", "no-referrer"}
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == ("public, max-age=86400" if path.endswith(".js") else "no-store")
    abilities = dict(one.split("=") for one in headers["permissions-policy"].split(", "))
    assert {abilities[name] for name in ("camera", "microphone", "geolocation", "payment", "usb")} == {"()"}
    assert set(abilities.values()) == {"()", "(self)"}
    assert re.fullmatch(r"[0-9a-f]{32}", headers["x-request-id"])
    assert "server" not in headers and "x-powered-by" not in headers
    assert "strict-transport-security" not in headers  # this one is reached over http


@pytest.mark.parametrize("what", ANSWERS)
async def test_the_content_security_policy_lets_nothing_inline_or_foreign_in(what, door, alice):
    """SEC-1, U210"""
    method, path, inside = ANSWERS[what]
    policy = (await (alice if inside else door)(method, path)).headers["content-security-policy"]
    rules = dict(rule.strip().partition(" ")[::2] for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" or rules["default-src"] == "'self'"
    assert rules["frame-ancestors"] == "'none'" and rules["base-uri"] == "'none'"
    assert rules["form-action"] == "'self'"
    for source in ("unsafe-inline", "unsafe-eval", "*", "http:", "https:", "blob:"):
        assert source not in policy
    assert "data:" not in rules["script-src"]


@pytest.mark.parametrize("origin", ["https://evil.test", "null"])
async def test_no_other_origin_may_read_the_answers(origin, alice):
    """SEC-2"""
    asked = {"origin": origin, "access-control-request-method": "GET"}
    for method in ("GET", "OPTIONS"):
        response = await alice(method, "/api/v1/agents", headers=asked)
        assert not [name for name in response.headers if name.startswith("access-control-")]


async def test_metrics_are_for_whoever_knows_the_token(door, alice):
    from acceptance.door import METRICS_TOKEN

    for headers in (
        {},
        {"authorization": "Bearer wrong"},
        alice.headers,
        {"authorization": "Bearer ü".encode()},
    ):
        response = await door("GET", "/metrics", headers=headers)
        assert response.status_code == 401 and "gptagent_" not in response.text
    allowed = await door("GET", "/metrics", headers={"authorization": f"Bearer {METRICS_TOKEN}"})
    assert allowed.status_code == 200
    assert "gptagent_http_request_seconds_bucket" in allowed.text
    assert "gptagent_queue_jobs" in allowed.text


async def test_metrics_count_by_route_and_never_by_address(door, alice):
    from acceptance.door import METRICS_TOKEN

    missing = "/api/v1/agents/0123456f-0000-7000-8000-000000000000"
    await alice("GET", missing)
    await door("POST", "/hooks/kommo/a-secret-of-nobody/")
    text = (await door("GET", "/metrics", headers={"authorization": f"Bearer {METRICS_TOKEN}"})).text
    assert 'route="/api/v1/agents/{agent_id}"' in text
    assert 'route="/hooks/kommo/{secret}' in text
    assert "0123456f" not in text and "a-secret-of-nobody" not in text
