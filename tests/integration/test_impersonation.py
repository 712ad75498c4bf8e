"""An administrator looks through a person's eyes: for a reason, seen by all concerned, only so far."""

import re

import pytest

from administrators import REASON, make_administrator, send
from gptagent.features.admin import service
from gptagent.features.audit import service as audit
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import PLATFORM_ID, Actor, Scope
from members import add_member, cookie_of, number_of
from readers import texts


@pytest.fixture
async def begin(ada, database, bob, platform):
    """Let Ada look through Bob's eyes; she is then where he begins."""

    async def begun(person=bob, reason=REASON, number=None):
        fields = {"workspace": str(number or await number_of(database, bob)), "reason": reason}
        return await send(ada, f"/admin/people/{person.actor.id}/impersonate", fields)

    begun.database, begun.platform = database, platform
    return begun


async def chain(database, org_id):
    async with database.session(Scope(org_id)) as session:
        return await audit.list_entries(session, limit=10)


async def sessions_of(database, who):
    async with database.installation(who.actor.id) as session:
        return await session.fetch("select * from app.web_session where impersonator_id is not null")


async def test_she_sees_what_he_sees_with_a_banner_and_returns_to_her_own_log_in(
    ada,
    begin,
    bob,
    database,
    platform,
):
    own = ada.http.cookies["session"]
    entered = await ada.follow(await begin())
    assert "You see what Bob Member sees." in texts(entered) and ada.http.cookies["session"] != own
    here = str(entered.url.path).removesuffix("/dashboard")
    for path in ("/ai-agents", "/conversations", "/nothing"):
        assert 'action="/impersonation/stop"' in (await ada.http.get(here + path)).text, path
    token = re.search(r'name="csrf_token" value="([^"]+)"', entered.text)[1]
    back = await ada.http.post("/impersonation/stop", data={"csrf_token": token})
    assert back.headers["location"] == f"/admin/people/{bob.actor.id}"
    assert ada.http.cookies["session"] == own and "return" not in ada.http.cookies
    page = await ada.follow(back)
    assert page.status_code == 200 and "impersonation/stop" not in page.text
    assert await sessions_of(database, bob) == []


async def test_both_chains_tell_of_it_and_whose_doing_everything_was(
    ada,
    begin,
    bob,
    database,
    platform,
):
    """TEN-10"""
    entered = await ada.follow(await begin())
    token = re.search(r'name="csrf_token" value="([^"]+)"', entered.text)[1]
    await ada.http.post("/impersonation/stop", data={"csrf_token": token})
    for org_id in (PLATFORM_ID, bob.org_id):
        ended, started = (await chain(database, org_id))[:2]
        assert [started.action, ended.action] == ["impersonation.started", "impersonation.ended"]
        for row in (started, ended):
            assert (row.actor_id, row.acting_for) == (platform.actor.id, bob.actor.id)
        assert started.personal == {"reason": REASON}


async def test_an_action_meanwhile_names_the_administrator(ada, begin, database, platform, scope):
    """An owner's export of the audit is such an action."""
    number = await number_of(database, scope)
    entered = await ada.follow(await begin(scope, number=number))
    here = str(entered.url.path).removesuffix("/dashboard")
    assert (await ada.http.get(f"{here}/settings/audit/export")).status_code == 200
    (latest, *_) = await chain(database, scope.org_id)
    assert latest.action == "audit.exported"
    assert (latest.actor_id, latest.acting_for) == (platform.actor.id, scope.actor.id)
    assert "as Alice" in texts(await ada.http.get(f"{here}/settings/audit"))


async def test_nothing_that_lasts_longer_is_made_with_borrowed_eyes(ada, begin, database, scope):
    """A key, an invitation or a sign-in provider would let the administrator in for good."""
    number = await number_of(database, scope)
    entered = await ada.follow(await begin(scope, number=number))
    here = str(entered.url.path).removesuffix("/dashboard")
    for path in ("/settings/api-keys", "/settings/sign-in"):
        assert (await ada.http.get(here + path)).status_code == 403, path
    token = re.search(r'name="csrf_token" value="([^"]+)"', entered.text)[1]
    fields = {"email": "mallory@example.com", "role": "admin", "csrf_token": token}
    assert (await ada.http.post(f"{here}/settings/members/invitations", data=fields)).status_code == 403
    assert (await ada.http.get(f"{here}/settings/audit")).status_code == 200


async def test_it_lasts_an_hour_counts_as_not_confirmed_and_names_its_reason(ada, begin, bob, database):
    await begin()
    (row,) = await sessions_of(database, bob)
    assert (row["expires_at"] - row["created_at"]).total_seconds() <= 3600
    assert row["confirmed_at"].year == 1970 and row["impersonation_reason"] == REASON
    assert row["workspace_id"] == bob.org_id


async def test_it_opens_one_workspace_and_never_the_administration(
    ada,
    begin,
    bob,
    database,
    other_scope,
):
    async with database.session(other_scope) as session:
        await session.execute("insert into app.member (person_id, role) values ($1, 'viewer')", bob.actor.id)
    await begin()
    other = await number_of(database, other_scope)
    assert (await ada.http.get(f"/manage/{other}")).status_code == 404
    for path in ("/admin", "/admin/people"):
        assert (await ada.http.get(path)).status_code == 404
    assert 'href="/admin"' not in (await ada.follow(await ada.http.get("/manage"))).text


@pytest.mark.parametrize("reason", ["", "because", " " * 30])
async def test_it_needs_a_reason(reason, begin, bob, database):
    answer = await begin(reason=reason)
    assert answer.status_code == 422 and "Say why in 10 to 500 characters." in texts(answer)
    assert await sessions_of(database, bob) == []


async def test_nobody_looks_through_the_eyes_of_an_administrator(begin, bob, database, roles):
    await make_administrator(roles, bob)
    answer = await begin()
    assert answer.status_code == 403
    assert "Nobody enters the account of an administrator." in texts(answer)
    assert await sessions_of(database, bob) == []


async def test_only_a_workspace_the_person_can_enter_is_opened(begin, bob, database, other_scope):
    answer = await begin(number=await number_of(database, other_scope))
    assert answer.status_code == 422 and "cannot enter this workspace" in texts(answer)
    assert (await begin(Scope(PLATFORM_ID, Actor("person", new_id())))).status_code == 404
    assert await sessions_of(database, bob) == []


async def is_told(database, bob):
    """Both chains say that it ended."""
    for org_id in (PLATFORM_ID, bob.org_id):
        ended = [row for row in await chain(database, org_id) if row.action == "impersonation.ended"]
        if [row.acting_for for row in ended][:1] != [bob.actor.id]:
            return False
    return True


async def test_logging_out_ends_it_and_leaves_no_way_back(ada, begin, bob, database):
    entered = await ada.follow(await begin())
    token = re.search(r'name="csrf_token" value="([^"]+)"', entered.text)[1]
    await ada.http.post("/logout", data={"csrf_token": token})
    assert "return" not in ada.http.cookies and "session" not in ada.http.cookies
    assert await is_told(database, bob)


async def test_the_person_ends_it_like_any_log_in_of_theirs(ada, begin, bob, database):
    entered = await ada.follow(await begin())
    async with database.installation(bob.actor.id) as session:
        await session.execute("delete from app.web_session where impersonator_id is not null")
    assert (await ada.http.get(str(entered.url.path))).status_code == 303
    assert await is_told(database, bob)


@pytest.fixture
async def eve(database, bob, roles):
    """The ticket of another administrator."""
    return await make_administrator(roles, await add_member(database, bob, "viewer"))


@pytest.mark.parametrize("who", ["the person", "the administrator"])
async def test_it_ends_with_the_rights_of_either(who, ada, begin, bob, eve):
    entered = await ada.follow(await begin())
    database = begin.database
    async with database.session(eve) as session:
        if who == "the person":
            await service.suspend_person(session, bob.actor.id, REASON)
        else:
            await service.dismiss_administrator(session, begin.platform.actor.id)
    assert (await ada.http.get(str(entered.url.path))).status_code == 303
    assert await is_told(database, bob)


async def test_a_return_cookie_of_somebody_else_leads_nowhere(ada, begin, bob, database, scope):
    entered = await ada.follow(await begin())
    theirs = await cookie_of(database, scope)
    ada.http.cookies.set("return", theirs, domain=ada.http.base_url.host)
    token = re.search(r'name="csrf_token" value="([^"]+)"', entered.text)[1]
    back = await ada.http.post("/impersonation/stop", data={"csrf_token": token})
    assert back.headers["location"] == "/login" and "session" not in ada.http.cookies


async def test_an_ordinary_log_in_has_nothing_to_stop(ada):
    assert (await send(ada, "/impersonation/stop")).status_code == 404
