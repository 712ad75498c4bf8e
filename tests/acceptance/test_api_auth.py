"""Who gets in: registering, logging in, access tokens, and what a stranger learns (nothing)."""

import base64
import json
from datetime import timedelta

import pytest

from acceptance.door import new_address
from acceptance.operations import OPERATIONS
from gptagent.features.identity.tokens import AccessClaims, AccessTokens
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import Vault
from gptagent.kernel.ids import new_id

PASSWORD = "correct horse battery"
COMMON = "qwerty123456"  # on the shipped list
WORSE_AND_WORSE = {
    "broken JSON": {"content": b"{", "headers": {"content-type": "application/json"}},
    "wrong types": {"json": {"name": [1], "title": 7, "address": None}},
    "unknown fields": {"json": {"is_admin": True}},
    "a broken form": {"content": b"--", "headers": {"content-type": "multipart/form-data; boundary=x"}},
}


@pytest.mark.parametrize("what", WORSE_AND_WORSE)
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_without_credentials_nothing_is_validated(operation, what, door):
    route = operation.route.replace("{", "").replace("}", "")  # ids that are none
    response = await door(operation.method, route, **WORSE_AND_WORSE[what])
    assert response.status_code == 401
    assert response.json()["code"] == "unauthenticated"
    assert response.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/", "/api/v2/agents", "/api/v1/agents/x/y/z"])
async def test_without_credentials_an_unknown_address_looks_like_any_other(method, path, door):
    response = await door(method, path)
    assert response.status_code == 401


async def test_without_credentials_the_size_of_a_body_is_not_judged(door):
    response = await door("POST", "/api/v1/articles", content=b"x" * 5_000_001)
    assert response.status_code == 401


def forged(header, claims):
    parts = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in (header, claims)
    )
    return ".".join((*parts, ""))


def bad_tokens(alice):
    good = alice.headers["authorization"].split()[1]
    head, body, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    other = AccessTokens(Vault([bytes(range(32))]))
    mine = AccessClaims(alice.scope.actor.id, alice.scope.org_id, new_id())
    richer = json.dumps(claims | {"exp": claims["exp"] + 9}).encode()
    return {
        "alg none": forged({"alg": "none"}, claims),
        "alg None": forged({"alg": "None"}, claims),
        "no alg": forged({}, claims),
        "header no object": forged([], claims),
        "without signature": f"{head}.{body}.",
        "another signature": f"{head}.{body}.{signature[::-1]}",
        "another body": f"{head}.{base64.urlsafe_b64encode(richer).decode().rstrip('=')}.{signature}",
        "another key": other.issue(mine, now=utcnow()),
        "one part": "x",
        "five parts": "a.b.c.d.e",
        "not base64": "\u00e4.\u00f6.\u00fc",
        "deep": base64.urlsafe_b64encode(b"[" * 40_000).decode() + f".{body}.{signature}",
        "empty": "",
    }


@pytest.mark.parametrize("kind", [
    "alg none", "alg None", "no alg", "header no object", "without signature", "another signature",
    "another body", "another key", "one part", "five parts", "not base64", "deep", "empty",
])  # fmt: skip
async def test_a_token_that_is_not_ours_opens_nothing(kind, door, alice):
    headers = {"authorization": f"Bearer {bad_tokens(alice)[kind]}".strip().encode()}
    response = await door("GET", "/api/v1/agents", headers=headers)
    assert response.status_code == 401, response.text
    assert response.json()["code"] in {"token_invalid", "unauthenticated"}


async def test_the_token_those_were_made_from_opens_the_door(alice):
    assert (await alice("GET", "/api/v1/agents")).status_code == 200


async def test_an_access_token_ends_after_ten_minutes(door, alice):
    """AUTH-20"""
    issued = utcnow() - timedelta(minutes=10)
    fresh = await door.of(alice.scope, now=issued + timedelta(seconds=30))
    assert (await fresh("GET", "/api/v1/agents")).status_code == 200
    stale = await door.of(alice.scope, now=issued)
    old = await stale("GET", "/api/v1/agents")
    assert (old.status_code, old.json()["code"]) == (401, "token_expired")


async def exchange(door, token):
    return await door("POST", "/api/v1/auth/refresh", json={"refresh_token": token})


async def test_a_refresh_token_is_exchanged_once_and_a_second_use_ends_the_log_in(door, new_email):
    """AUTH-20"""
    first = (await door.register(new_email())).json()
    second = (await exchange(door, first["refresh_token"])).json()
    bearer = {"authorization": f"Bearer {second['access_token']}"}
    door.used |= {second["access_token"], first["refresh_token"], second["refresh_token"]}
    assert (await door("GET", "/api/v1/agents", headers=bearer)).status_code == 200
    reused = await exchange(door, first["refresh_token"])
    assert (reused.status_code, reused.json()["code"]) == (401, "refresh_token_invalid")
    # Somebody else may have the token: whatever came of it is worth nothing from now on.
    assert (await exchange(door, second["refresh_token"])).status_code == 401
    assert (await door("GET", "/api/v1/agents", headers=bearer)).status_code == 401


async def test_a_refresh_token_of_nobody_is_refused(door):
    assert (await exchange(door, "nobody's")).json()["code"] == "refresh_token_invalid"


@pytest.mark.parametrize("scheme", ["Basic", "Token", "", "Bearer Bearer"])
async def test_only_a_bearer_token_is_a_credential_of_the_api(scheme, door, alice):
    token = alice.headers["authorization"].split()[1]
    response = await door("GET", "/api/v1/agents", headers={"authorization": f"{scheme} {token}".strip()})
    assert response.status_code == 401


async def test_a_browsers_cookie_is_no_credential_of_the_api(door, alice, database):
    """AUTH-13: else another site's form could use it."""
    from members import cookie_of

    cookie = await cookie_of(database, alice.scope)
    response = await door("GET", "/api/v1/agents", headers={"cookie": f"session={cookie}"})
    assert response.status_code == 401


async def test_registering_makes_a_workspace_one_owns(door, new_email):
    """AUTH-1, U038"""
    response = await door.register(new_email(), organization="Страна чудес")
    assert response.status_code == 201, response.text
    made = response.json()
    assert (made["token_type"], made["expires_in"]) == ("Bearer", 600)
    assert (made["workspace"]["slug"], made["workspace"]["role"]) == ("strana-chudes", "owner")
    headers = {"authorization": f"Bearer {made['access_token']}"}
    door.used.add(made["access_token"])
    assert (await door("GET", "/api/v1/agents", headers=headers)).json()["items"] == []


async def test_an_address_registers_once_however_it_is_written(door, new_email):
    """AUTH-2, AUTH-5, U040"""
    email = new_email()
    assert (await door.register(email)).status_code == 201
    again = await door.register(f"  {email.upper()} ")
    assert (again.status_code, again.json()["code"]) == (409, "email_taken")
    assert [fault["pointer"] for fault in again.json()["errors"]] == ["/email"]


@pytest.mark.parametrize("password", ["short", "11 letters.", "aaaaaaaaaaaaaaaa", COMMON, "x" * 201])
async def test_a_weak_password_is_refused(password, door, new_email):
    """AUTH-3"""
    response = await door.register(new_email(), password=password)
    assert response.status_code == 422
    assert [fault["pointer"] for fault in response.json()["errors"]] == ["/password"]


async def test_logging_in_gives_a_token_of_ones_workspace(door, new_email):
    """AUTH-4, AUTH-5"""
    email = new_email()
    registered = (await door.register(email)).json()["workspace"]
    response = await door.log_in(f" {email.upper()} ", PASSWORD)
    assert response.status_code == 200
    assert response.json()["workspace"] == registered
    named = await door.log_in(email, PASSWORD, workspace=registered["number"])
    assert named.status_code == 200


async def test_nobody_logs_in_to_a_workspace_of_others(door, new_email):
    theirs = (await door.register(new_email())).json()["workspace"]["number"]
    email = new_email()
    await door.register(email)
    foreign = await door.log_in(email, PASSWORD, workspace=theirs)
    missing = await door.log_in(email, PASSWORD, workspace=1)
    assert foreign.status_code == missing.status_code == 404
    assert foreign.json()["code"] == missing.json()["code"]


async def test_a_wrong_password_and_an_unknown_address_are_the_same_answer(door, new_email):
    """AUTH-4"""
    email = new_email()
    await door.register(email)
    wrong = await door.log_in(email, "not the right one")
    unknown = await door.log_in(new_email(), "not the right one")
    odd = await door.log_in("no address at all", "not the right one")
    answers = [response.json() | {"request_id": ""} for response in (wrong, unknown, odd)]
    assert answers[0] == answers[1] == answers[2]
    assert (wrong.status_code, wrong.json()["code"]) == (401, "wrong_credentials")
    names = [sorted(response.headers.keys()) for response in (wrong, unknown, odd)]
    assert names[0] == names[1] == names[2]


async def test_an_address_gets_ten_tries_a_minute(door, new_email):
    """AUTH-12"""
    address = new_address()
    body = {"email": "", "password": "not the right one"}
    statuses = []
    for _try in range(11):
        body["email"] = new_email()  # another account each time
        response = await door("POST", "/api/v1/auth/login", json=body, headers=address)
        statuses.append(response.status_code)
    assert statuses == [401] * 10 + [429]
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert response.json()["code"] == "too_many_logins"
    registering = await door("POST", "/api/v1/auth/register", json=REGISTER, headers=address)
    assert registering.status_code == 429


REGISTER = {"email": "a@b.test", "given_name": "A", "password": PASSWORD, "organization": "A"}


async def test_an_account_gets_ten_tries_whatever_address_they_come_from(door, new_email):
    """AUTH-12"""
    email = new_email()
    statuses = [(await door.log_in(email, "not the right one")).status_code for _try in range(11)]
    assert statuses == [401] * 10 + [429]
    assert (await door.log_in(email.upper(), "not the right one")).status_code == 429
