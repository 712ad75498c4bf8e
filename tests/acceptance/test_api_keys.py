"""Keys of programs: shown once, stored as a hash, narrow, revocable."""

import hashlib
from datetime import timedelta

import pytest

from gptagent.features.organizations.policy import KEY_SCOPES
from gptagent.kernel.clock import utcnow
from members import add_member

KEYS = "/api/v1/api-keys"


async def make_key(owner, *scopes, **more):
    response = await owner("POST", KEYS, json={"name": "Website", "scopes": list(scopes), **more})
    assert response.status_code == 201, response.text
    owner.used.add(response.json()["key"])
    return response.json()


def program(door, key):
    return {"headers": {"authorization": f"Bearer {key['key']}"}}


async def test_a_key_is_shown_once_and_stored_as_a_hash(alice, database):
    """AUTH-14, U188"""
    response = await alice("POST", KEYS, json={"name": "Website", "scopes": ["view"]})
    made = response.json()
    secret = made.pop("key")
    alice.used.add(secret)
    assert secret.startswith("gpa_") and len(secret) > 40
    assert response.headers["cache-control"] == "no-store"
    shown = (await alice("GET", f"{KEYS}/{made['id']}")).json()
    assert shown == made
    assert (shown["key_start"], shown["key_end"]) == (secret[:10], secret[-4:])
    async with database.session(alice.scope) as session:
        rows = [str(dict(row)) for row in await session.fetch("select * from app.api_key")]
        (stored,) = await session.fetch("select key_hash from app.api_key where id = $1", made["id"])
    assert stored["key_hash"] == hashlib.sha256(secret.encode()).digest()
    assert not [row for row in rows if secret in row]


async def test_a_key_does_what_its_scopes_name_and_nothing_else(door, alice):
    """AUTH-14"""
    key = program(door, await make_key(alice, "view", "agents.edit"))
    assert (await door("GET", "/api/v1/agents", **key)).status_code == 200
    made = await door("POST", "/api/v1/agents", json={"name": "By a program"}, **key)
    assert made.status_code == 201
    body = {"title": "Title", "content": "Long enough a text."}
    assert (await door("POST", "/api/v1/articles", json=body, **key)).status_code == 403
    assert (await door("GET", KEYS, **key)).status_code == 403


async def test_a_revoked_key_is_refused_from_the_next_request_on(door, alice):
    """AUTH-14, U188"""
    made = await make_key(alice, "view")
    key = program(door, made)
    assert (await door("GET", "/api/v1/agents", **key)).status_code == 200
    assert (await alice("DELETE", f"{KEYS}/{made['id']}")).status_code == 204
    refused = await door("GET", "/api/v1/agents", **key)
    assert (refused.status_code, refused.json()["code"]) == (401, "key_invalid")
    assert (await alice("GET", f"{KEYS}/{made['id']}")).json()["state"] == "revoked"


async def test_an_expired_key_is_refused(door, alice, database):
    """AUTH-14, U188"""
    made = await make_key(alice, "view", expires_in_days=30)
    async with database.session(alice.scope) as session:
        past = utcnow() - timedelta(seconds=1)
        await session.execute("update app.api_key set expires_at = $2 where id = $1", made["id"], past)
    assert (await door("GET", "/api/v1/agents", **program(door, made))).status_code == 401
    assert (await alice("GET", f"{KEYS}/{made['id']}")).json()["state"] == "expired"


async def test_a_scope_the_policy_no_longer_has_counts_for_nothing(door, alice, database):
    made = await make_key(alice, "view")
    async with database.session(alice.scope) as session:
        odd = ["view", "workspace.own", "members.manage", "bygone.right"]
        await session.execute("update app.api_key set scopes = $2 where id = $1", made["id"], odd)
    assert (await alice("GET", f"{KEYS}/{made['id']}")).json()["scopes"] == ["view"]
    assert (await door("GET", KEYS, **program(door, made))).status_code == 403
    assert (await door("GET", "/api/v1/agents", **program(door, made))).status_code == 200


@pytest.mark.parametrize(
    "scopes", [[], ["nothing"], ["workspace.own"], ["members.manage"], ["view", "audit.read"]]
)
async def test_no_key_gets_a_right_over_people_keys_or_what_its_maker_lacks(scopes, alice):
    """TEN-4"""
    response = await alice("POST", KEYS, json={"name": "Greedy", "scopes": scopes})
    assert response.status_code == 422
    assert [fault["pointer"] for fault in response.json()["errors"]] == ["/scopes"]


async def test_an_admin_gives_a_key_what_an_admin_may(door, alice, database):
    bob = await door.of(await add_member(database, alice.scope, "admin"))
    made = await make_key(bob, *KEY_SCOPES)
    assert set(made["scopes"]) == KEY_SCOPES
    assert made["created_by"] == str(bob.scope.actor.id)
    assert made["created_by_name"] == "Bob Member"


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", " "), ("name", "x" * 101), ("description", "x" * 501), ("expires_in_days", 0)],
)
async def test_a_wrong_field_is_pointed_at(field, value, alice):
    response = await alice("POST", KEYS, json={"name": "Right", "scopes": ["view"], field: value})
    assert [fault["pointer"] for fault in response.json()["errors"]] == [f"/{field}"]


async def test_the_last_use_of_a_key_is_known(door, alice):
    made = await make_key(alice, "view")
    assert made["last_used_at"] is None
    await door("GET", "/api/v1/agents", **program(door, made))
    assert (await alice("GET", f"{KEYS}/{made['id']}")).json()["last_used_at"]


async def test_making_and_revoking_leave_a_record_without_the_key(alice, database):
    """TEN-10"""
    made = await make_key(alice, "view")
    for _twice in range(2):
        await alice("DELETE", f"{KEYS}/{made['id']}")
    async with database.session(alice.scope) as session:
        rows = await session.fetch(
            "select action, changes from app.audit_event where target_id = $1 order by seq", made["id"]
        )
    assert [row["action"] for row in rows] == ["api_key.created", "api_key.revoked"]
    assert made["key"] not in str([dict(row) for row in rows])
