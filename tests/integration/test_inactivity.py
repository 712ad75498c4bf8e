"""Log-ins of a browser end when nobody uses them; what an open page asks by itself is no use."""

import re
from datetime import timedelta

import pytest

from gptagent.features.identity import service as identity
from gptagent.features.identity.model import REMEMBERED_SESSION_IDLE, SESSION_IDLE, CurrentLogIn
from gptagent.kernel.clock import utcnow

MARGIN = timedelta(minutes=5)


async def rest(database, scope, unused):
    """Let it be so long ago that any log-in of the person was used."""
    async with database.session(scope) as session:
        await session.execute("update app.web_session set last_seen_at = now() - $1::interval", unused)


async def unused_for(database, scope):
    async with database.session(scope) as session:
        return await session.fetchval("select now() - last_seen_at from app.web_session")


async def find(database, token, **options):
    async with database.installation() as session:
        return await identity.find_session(session, token, **options)


@pytest.mark.parametrize(("remember", "idle"), [(False, SESSION_IDLE), (True, REMEMBERED_SESSION_IDLE)])
async def test_a_session_ends_unused_and_each_use_puts_that_off(remember, idle, database, scope):
    """AUTH-6"""
    async with database.session(scope) as session:
        token, _ends = await identity.open_session(session, scope.actor.id, remember=remember, now=utcnow())
    await rest(database, scope, idle - MARGIN)
    assert await find(database, token) is not None
    assert await unused_for(database, scope) < MARGIN
    await rest(database, scope, idle + MARGIN)
    assert await find(database, token) is None
    assert await unused_for(database, scope) > idle  # asking did not bring it back to life
    async with database.session(scope) as session:
        assert await identity.list_log_ins(session, CurrentLogIn()) == []
        await session.execute("select app.forget_sessions()")
        assert await session.fetch("select id from app.web_session") == []


async def test_what_an_open_page_asks_by_itself_keeps_no_session_alive(alice, database, scope):
    await rest(database, scope, SESSION_IDLE - MARGIN)
    by_itself = {"x-by-itself": "1", "hx-request": "true"}
    assert (await alice.open("/conversations", headers=by_itself)).status_code == 200
    async with alice.http.stream("GET", f"{alice.base}/live?topics=agents") as stream:
        assert stream.status_code == 200
    assert await unused_for(database, scope) > SESSION_IDLE - 2 * MARGIN
    assert (await alice.open("/conversations")).status_code == 200
    assert await unused_for(database, scope) < MARGIN


async def test_every_part_that_fetches_itself_says_so(alice):
    for path in ("/conversations", "/knowledge-base"):
        page = await alice.open(path)
        parts = re.findall(r"<[^>]*data-live-topic[^>]*>", page.text)
        assert parts and all("X-By-Itself" in part for part in parts), path


async def test_the_stream_of_an_open_page_ends_with_its_session(database, scope):
    async with database.session(scope) as session:
        token, _ends = await identity.open_session(session, scope.actor.id, remember=False, now=utcnow())
        found = await identity.find_session(session, token)
    ended = "select session_id from app.ended_entries($1, $2)"
    async with database.installation() as session:
        assert await session.fetch(ended, [found.id], [scope.org_id]) == []
    await rest(database, scope, SESSION_IDLE + MARGIN)
    async with database.installation() as session:
        assert len(await session.fetch(ended, [found.id], [scope.org_id])) == 1


async def test_the_browser_gives_a_cookie_up_that_the_server_does_not_take(alice, database, scope):
    await rest(database, scope, SESSION_IDLE + MARGIN)
    led = await alice.open("/dashboard")
    assert led.headers["location"].startswith("/login?next=")
    given_up = next(c for c in led.headers.get_list("set-cookie") if c.startswith('session=""'))
    assert "Max-Age=0" in given_up
