"""Lists in pages, entity tags, and changes that nobody loses."""

from uuid import UUID

import pytest

from cast import make_scope
from gptagent.features.knowledge.scripts import service as scripts
from gptagent.kernel.clock import utcnow
from gptagent.kernel.ids import new_id

AGENTS, ARTICLES = "/api/v1/agents", "/api/v1/articles"


@pytest.fixture
async def clara(door, database):
    """The owner of a workspace with seven agents, every second one active."""
    clara = await door.of(await make_scope(database, "Clara's"))
    for number in (4, 2, 7, 1, 6, 3, 5):
        made = await clara("POST", AGENTS, json={"name": f"Agent {number}"})
        if number % 2:
            await clara("PATCH", f"{AGENTS}/{made.json()['id']}", json={"is_active": True})
    return clara


async def walk(reader, path, **params):
    """Return the items of all pages."""
    found, cursor = [], None
    while True:
        given = {**params, **({"cursor": cursor} if cursor else {})}
        page = (await reader("GET", path, params=given)).json()
        assert len(page["items"]) <= params.get("limit", 50)
        found += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


@pytest.mark.parametrize(
    ("sort", "numbers"), [("created_at", "4271635"), ("-created_at", "5361724"), ("name", "1234567")]
)
async def test_pages_joined_are_the_list_in_its_order(sort, numbers, clara):
    found = await walk(clara, AGENTS, sort=sort, limit=2)
    assert "".join(agent["name"][-1] for agent in found) == numbers


async def test_a_filter_holds_over_all_pages(clara):
    found = await walk(clara, AGENTS, sort="name", limit=1, is_active="true")
    assert [agent["name"] for agent in found] == ["Agent 1", "Agent 3", "Agent 5", "Agent 7"]


async def test_what_is_added_or_deleted_between_two_pages_shifts_nothing(clara):
    first = (await clara("GET", AGENTS, params={"sort": "-created_at", "limit": 3})).json()
    await clara("POST", AGENTS, json={"name": "Agent 8"})
    await clara("DELETE", f"{AGENTS}/{first['items'][-1]['id']}")
    rest = {"sort": "-created_at", "limit": 50, "cursor": first["next_cursor"]}
    second = (await clara("GET", AGENTS, params=rest)).json()["items"]
    assert "".join(agent["name"][-1] for agent in first["items"] + second) == "5361724"


@pytest.mark.parametrize("path", ["articles", "documents", "connections", "conversations", "api-keys"])
async def test_every_list_has_pages(path, clara):
    assert (await clara("GET", f"/api/v1/{path}")).json() == {"items": [], "next_cursor": None}


@pytest.fixture
async def thread(clara, database):
    """A conversation of five messages in Clara's workspace."""
    connection_id, conversation_id = new_id(), new_id()
    async with database.session(clara.scope) as session:
        await session.execute(
            """insert into app.crm_connection (id, provider, host, account_id, name, token_sealed, hook_hash,
                                               hook_sealed)
               values ($1, 'kommo', 'x.kommo.test', $2, 'X', '', $3, '')""",
            connection_id,
            new_id().int % 2**31,
            connection_id.bytes,
        )
        await session.execute(
            """insert into app.conversation (id, connection_id, chat_id, customer_name, channel, last_seq)
               values ($1, $2, 'c', 'Ann', 'waba', 5)""",
            conversation_id,
            connection_id,
        )
        for seq in range(1, 6):
            await session.execute(
                """insert into app.message (conversation_id, seq, author, author_name, text, sent_at)
                   values ($1, $2, 'customer', 'Ann', $3, $4)""",
                conversation_id,
                seq,
                f"Message {seq}",
                utcnow(),
            )
    return f"/api/v1/conversations/{conversation_id}"


@pytest.mark.parametrize(("sort", "seqs"), [("-seq", [5, 4, 3, 2, 1]), ("seq", [1, 2, 3, 4, 5])])
async def test_a_long_thread_is_read_in_pages(sort, seqs, thread, clara):
    found = await walk(clara, f"{thread}/messages", sort=sort, limit=2)
    assert [message["seq"] for message in found] == seqs


@pytest.mark.parametrize("cursor", ["x", "!!!", "bnVsbA", "WyJuYW1lIiwiYSIsMV0", "W10", "Ww", "a" * 1_999])
async def test_a_cursor_that_is_none_is_pointed_at(cursor, clara):
    response = await clara("GET", AGENTS, params={"cursor": cursor})
    assert response.status_code == 422
    assert [fault["pointer"] for fault in response.json()["errors"]] == ["/cursor"]


async def test_a_cursor_of_another_order_is_refused(clara):
    page = (await clara("GET", AGENTS, params={"sort": "name", "limit": 1})).json()
    other = await clara("GET", AGENTS, params={"sort": "-created_at", "cursor": page["next_cursor"]})
    assert other.status_code == 422


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "sort=secret", "before=1", "is_active=perhaps", "limit=1&limit=2"],
)
async def test_a_wrong_or_unknown_parameter_is_pointed_at(query, clara):
    response = await clara("GET", f"{AGENTS}?{query}")
    assert response.status_code == 422, response.text
    assert [fault["pointer"] for fault in response.json()["errors"]] == [f"/{query.partition('=')[0]}"]


async def objects(clara, thread):
    """Yield the address of one object of each kind."""
    made = {
        AGENTS: {"json": {"name": "Tagged"}},
        ARTICLES: {"json": {"title": "Tagged", "content": "Long enough a text."}},
        "/api/v1/documents": {"files": {"file": ("tagged.txt", b"Tagged.")}},
        "/api/v1/api-keys": {"json": {"name": "Tagged", "scopes": ["view"]}},
    }
    for path, options in made.items():
        answer = (await clara("POST", path, **options)).json()
        clara.used |= {answer["key"]} if "key" in answer else set()
        yield f"{path}/{answer['id']}"
    conversation = (await clara("GET", thread)).json()
    yield thread
    yield f"/api/v1/connections/{conversation['connection_id']}"


async def test_what_has_not_changed_is_not_sent_again(clara, thread):
    async for path in objects(clara, thread):
        tag = (await clara("GET", path)).headers["etag"]
        assert tag.startswith('"')
        same = await clara("GET", path, headers={"if-none-match": f'"other", W/{tag}'})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
        assert (await clara("GET", path, headers={"if-none-match": '"other"'})).status_code == 200


async def test_a_change_meant_for_another_state_changes_nothing(clara, thread):
    async for path in objects(clara, thread):
        read = await clara("GET", path)
        method, target = ("PUT", f"{path}/takeover") if path == thread else ("DELETE", path)
        for wrong in ('"another"', f"W/{read.headers['etag']}", "junk"):
            refused = await clara(method, target, headers={"if-match": wrong})
            assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
        assert (await clara("GET", path)).content == read.content
        meant = await clara(method, target, headers={"if-match": read.headers["etag"]})
        assert meant.status_code == 204, (path, meant.text)


@pytest.mark.parametrize("path", [AGENTS, ARTICLES])
async def test_of_two_who_change_what_both_have_read_the_second_is_told(path, clara):
    field = "name" if path == AGENTS else "title"
    body = {"name": "Both"} if path == AGENTS else {"title": "Both", "content": "Long enough a text."}
    one = f"{path}/{(await clara('POST', path, json=body)).json()['id']}"
    match = {"if-match": (await clara("GET", one)).headers["etag"]}
    first = await clara("PATCH", one, json={field: "First"}, headers=match)
    second = await clara("PATCH", one, json={field: "Second"}, headers=match)
    assert (first.status_code, second.status_code) == (200, 412)
    again = await clara("PATCH", one, json={field: "Again"}, headers={"if-match": first.headers["etag"]})
    assert again.status_code == 200
    assert (await clara("GET", one)).json()[field] == "Again"


async def test_of_two_who_publish_or_restore_what_both_have_read_the_second_is_told(clara):
    """AGT-6"""
    one = f"{AGENTS}/{(await clara('POST', AGENTS, json={'name': 'Published'})).json()['id']}"
    await clara("PATCH", f"{one}/draft", json={"goal": "A visit"})
    match = {"if-match": (await clara("GET", f"{one}/draft")).headers["etag"]}
    await clara("PATCH", f"{one}/draft", json={"goal": "What nobody has looked at"})
    unseen = await clara("POST", f"{one}/versions", json={}, headers=match)
    assert (unseen.status_code, unseen.json()["code"]) == (412, "precondition_failed")
    match = {"if-match": (await clara("GET", f"{one}/draft")).headers["etag"]}
    both = [await clara("POST", f"{one}/versions", json={}, headers=match) for _ in range(2)]
    assert [answer.status_code for answer in both] == [201, 412]
    read = {"if-match": (await clara("GET", one)).headers["etag"]}
    assert (await clara("PATCH", one, json={"goal": "A call"})).status_code == 200
    late = await clara("POST", f"{one}/versions/1/restore", headers=read)
    assert (late.status_code, (await clara("GET", one)).json()["goal"]) == (412, "A call")
    read = {"if-match": (await clara("GET", one)).headers["etag"]}
    assert (await clara("POST", f"{one}/versions/1/restore", headers=read)).status_code == 200


async def test_what_moves_by_itself_refuses_no_change(clara, database):
    """A script is used between its reading and its change; what a person has changed still refuses."""
    new = {"kind": "greeting", "title": "Hello", "content": "Say hello."}
    made = (await clara("POST", "/api/v1/scripts", json=new)).json()
    path = f"/api/v1/scripts/{made['id']}"
    match = {"if-match": (await clara("GET", path)).headers["etag"]}
    async with database.session(clara.scope) as session:
        await scripts.note_used(session, [UUID(made["id"])], now=utcnow())
    again = await clara("GET", path, headers={"if-none-match": match["if-match"]})
    assert (again.status_code, again.json()["used"]) == (200, 1)
    changed = await clara("PATCH", path, json={"title": "Good day"}, headers=match)
    assert changed.status_code == 200, changed.text
    assert (await clara("PATCH", path, json={"title": "Good"}, headers=match)).status_code == 412
    match = {"if-match": changed.headers["etag"]}
    assert (await clara("DELETE", path, headers=match)).status_code == 204
