"""Whoever the platform's administrator suspends hears nothing more, even on a page that is open."""

import pytest

from administrators import REASON, make_administrator
from cast import make_scope
from gptagent.features.admin import service
from members import add_member, cookie_of, number_of


@pytest.mark.parametrize("what", ["person", "workspace"])
async def test_an_open_stream_ends_with_the_suspension(what, door, database, roles):
    """AUTH-15; the stream would otherwise stay open for good: the client's patience is the only limit."""
    administrator = await make_administrator(roles, await make_scope(database, "Ada's"))
    scope = await make_scope(database, "Bob's")
    bob = await add_member(database, scope, "member")
    number = await number_of(database, bob)
    cookie = {"cookie": f"session={await cookie_of(database, bob)}"}
    path = f"/manage/{number}-bob-s/live?topics=agents"
    async with door.http.stream("GET", path, headers=cookie, timeout=60) as stream:
        lines = stream.aiter_lines()
        assert await anext(lines) == "retry: 2000"
        async with database.session(administrator) as session:
            if what == "person":
                await service.suspend_person(session, bob.actor.id, REASON)
            else:
                await service.suspend_organization(session, number, REASON)
        rest = [line async for line in lines]
    assert not [line for line in rest if line.startswith("data:")]
