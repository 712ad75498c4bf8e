"""A creating request with an Idempotency-Key happens once, however often it is sent."""

import asyncio
from uuid import uuid4

import pytest

from members import add_member

AGENTS = "/api/v1/agents"


def keyed(key=None):
    return {"idempotency-key": key or uuid4().hex}


async def names(reader):
    listed = (await reader("GET", AGENTS, params={"limit": 200})).json()["items"]
    return [agent["name"] for agent in listed]


async def test_the_same_request_gets_its_first_answer_again(alice):
    key, body = keyed(), {"name": "Once"}
    first = await alice("POST", AGENTS, json=body, headers=key)
    again = await alice("POST", AGENTS, json=body, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert "idempotency-replayed" not in first.headers and again.headers["idempotency-replayed"] == "true"
    assert (await names(alice)).count("Once") == 1


async def test_a_refusal_of_the_values_is_an_answer_to_keep(alice):
    key, body = keyed(), {"name": ""}
    first = await alice("POST", AGENTS, json=body, headers=key)
    again = await alice("POST", AGENTS, json=body, headers=key)
    assert first.status_code == again.status_code == 422
    assert again.content == first.content and again.headers["idempotency-replayed"] == "true"


async def test_another_request_with_the_same_key_is_refused(alice):
    key = keyed()
    await alice("POST", AGENTS, json={"name": "The first"}, headers=key)
    other = await alice("POST", AGENTS, json={"name": "The second"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    elsewhere = await alice("POST", "/api/v1/articles", json={"title": "T", "content": "Text."}, headers=key)
    assert elsewhere.json()["code"] == "idempotency_key_reused"


async def test_the_same_key_of_somebody_else_is_another_key(door, alice, database):
    bob = await door.of(await add_member(database, alice.scope, "member"))
    key = keyed()
    made = [
        await who("POST", AGENTS, json={"name": f"Of {n}"}, headers=key) for n, who in enumerate((alice, bob))
    ]
    assert [response.status_code for response in made] == [201, 201]


async def test_of_requests_at_the_same_moment_one_creates(alice):
    key, body = keyed(), {"title": "Crowded", "content": "Long enough a text."}
    answers = await asyncio.gather(
        *(alice("POST", "/api/v1/articles", json=body, headers=key) for _copy in range(8))
    )
    assert {response.status_code for response in answers} <= {201, 409}
    for response in answers:
        if response.status_code == 409:
            assert response.json()["code"] == "idempotency_running" and response.headers["retry-after"]
    found = (await alice("GET", "/api/v1/articles", params={"search": "Crowded"})).json()["items"]
    assert len(found) == 1


async def claim_of_a_killed_request(database, scope, alice, key, seconds):
    """Leave the row as a process that was killed in the middle leaves it."""
    await alice("POST", AGENTS, json={"name": f"Killed {seconds}"}, headers=key)
    async with database.session(scope) as session:
        await session.execute("delete from app.agent where name = $1", f"Killed {seconds}")
        await session.execute(
            """update app.idempotency_key set status = null, body = '', headers = '{}',
                      created_at = now() - make_interval(secs => $2) where key = $1""",
            key["idempotency-key"],
            float(seconds),
        )


async def test_a_killed_request_blocks_for_a_minute_and_not_longer(alice, database):
    fresh, old = keyed(), keyed()
    await claim_of_a_killed_request(database, alice.scope, alice, old, 61)
    await claim_of_a_killed_request(database, alice.scope, alice, fresh, 50)
    waits = await alice("POST", AGENTS, json={"name": "Killed 50"}, headers=fresh)
    assert (waits.status_code, waits.json()["code"]) == (409, "idempotency_running")
    goes = await alice("POST", AGENTS, json={"name": "Killed 61"}, headers=old)
    assert goes.status_code == 201, goes.text


async def test_what_is_kept_of_a_new_key_is_sealed(alice, database):
    key, body = keyed(), {"name": "Sealed", "scopes": ["view"]}
    made = await alice("POST", "/api/v1/api-keys", json=body, headers=key)
    secret = made.json()["key"]
    alice.used.add(secret)
    again = await alice("POST", "/api/v1/api-keys", json=body, headers=key)
    assert again.json()["key"] == secret
    async with database.session(alice.scope) as session:
        rows = await session.fetch("select * from app.idempotency_key")
    assert rows and not [row for row in rows if secret.encode() in row["body"] or secret in str(dict(row))]


async def test_an_upload_sent_again_is_the_same_request_whatever_its_boundary(alice):
    key = keyed()
    send = [
        await alice(
            "POST", "/api/v1/documents", files={"file": ("a.txt", b"Apples of one key.")}, headers=key
        )
        for _copy in range(2)
    ]
    assert [response.status_code for response in send] == [201, 201]
    assert send[1].headers["idempotency-replayed"] == "true"
    other = await alice("POST", "/api/v1/documents", files={"file": ("a.txt", b"Pears.")}, headers=key)
    assert other.json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize("key", ["", "x" * 256, "with a space", "ключ".encode(), "tab\there"])
async def test_a_key_that_is_none_is_pointed_at(key, alice):
    response = await alice("POST", AGENTS, json={"name": "Odd key"}, headers={"idempotency-key": key})
    assert response.status_code == 422
    assert [fault["pointer"] for fault in response.json()["errors"]] == ["/Idempotency-Key"]


async def test_a_refusal_that_may_pass_is_not_kept(door, alice, database):
    """A viewer who becomes a member can send the same again."""
    dora = await door.of(await add_member(database, alice.scope, "viewer"))
    key, body = keyed(), {"name": "Later"}
    assert (await dora("POST", AGENTS, json=body, headers=key)).status_code == 403
    async with database.session(alice.scope) as session:
        await session.execute(
            "update app.member set role = 'member' where person_id = $1", dora.scope.actor.id
        )
    assert (await dora("POST", AGENTS, json=body, headers=key)).status_code == 201
