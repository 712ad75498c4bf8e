"""Whoever is put out, by whatever way: the open event stream ends, and nothing lets them in any more."""

import asyncio
from contextlib import asynccontextmanager

import httpx2
import pytest

from acceptance.door import Door
from cast import make_scope
from gptagent.features.identity import service as identity
from members import add_member, cookie_of, number_of

PATIENCE_SECONDS = 60  # a bound, so that a stream that never ends fails the test


@pytest.fixture
async def alice(door, database) -> Door:
    """Her workspace is new for each test: some of the ways close it."""
    return await door.of(await make_scope(database, "Alice's"))


@asynccontextmanager
async def listening(web, database, scope):
    """Have a page of the person open: its event stream has begun."""
    path = f"/manage/{await number_of(database, scope)}-alice-s/live?topics=agents"
    cookies = {"session": await cookie_of(database, scope)}
    async with (
        httpx2.AsyncClient(base_url=web.url, cookies=cookies, timeout=60) as http,
        http.stream("GET", path) as stream,
    ):
        lines = stream.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        yield http, lines, path


async def removed(alice, database, who, http):
    return await alice("DELETE", f"/api/v1/members/{who.actor.id}")


async def suspended(alice, database, who, http):
    return await alice("PATCH", f"/api/v1/members/{who.actor.id}", json={"status": "suspended"})


async def left(alice, database, who, http):
    bob = await alice.of(who)
    return await bob("DELETE", "/api/v1/workspace/membership")


async def logged_out_everywhere(alice, database, who, http):
    async with database.installation() as session:
        await session.execute("select app.end_entries($1, null)", who.actor.id)


async def workspace_suspended(alice, database, who, http):
    async with database.session(who) as session:
        await session.execute("update app.organization set suspended_at = now()")


WAYS = (removed, suspended, left, logged_out_everywhere, workspace_suspended)


@pytest.mark.parametrize("way", WAYS)
async def test_a_page_that_is_open_ends_and_no_credential_works_any_more(way, web, alice, database):
    """TEN-6, AUTH-16"""
    bob = await add_member(database, alice.scope, "member")
    async with database.installation(bob.actor.id) as session:
        _grant, refresh = await identity.open_grant(session, bob.actor.id, bob.org_id)
    by_token = await alice.of(bob)
    async with asyncio.timeout(PATIENCE_SECONDS), listening(web, database, bob) as (http, lines, path):
        answer = await way(alice, database, bob, http)
        assert answer is None or answer.status_code in {200, 204}, answer.text
        assert [line async for line in lines if line.startswith("data:")] == []
        again = await http.get(path, headers={"accept": "text/event-stream"})
    assert again.status_code in ({401} if way is logged_out_everywhere else {404}), again.text
    assert (await by_token("GET", "/api/v1/agents")).status_code == 401
    renewed = await alice("POST", "/api/v1/auth/refresh", json={"refresh_token": refresh})
    assert renewed.status_code == 401


async def test_the_streams_of_others_go_on(web, alice, database):
    """The neighbour hears what happens after somebody was put out; a changed role ends nothing."""
    bob, dora = [await add_member(database, alice.scope, "member") for _ in range(2)]
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        listening(web, database, dora) as (_http, hers, _path),
        listening(web, database, bob) as (_http, his, _path),
    ):
        await alice("PATCH", f"/api/v1/members/{dora.actor.id}", json={"role": "viewer"})
        await removed(alice, database, bob, None)
        assert [line async for line in his if line.startswith("data:")] == []
        await alice("POST", "/api/v1/agents", json={"name": "New"})
        assert [line async for line in _until(hers, "data:")]


async def _until(lines, start):
    async for line in lines:
        yield line
        if line.startswith(start):
            return
