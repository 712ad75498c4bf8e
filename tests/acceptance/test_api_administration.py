"""What administrators do to people over the API: see with their eyes, make links to new passwords."""

from dataclasses import replace
from datetime import timedelta

import pytest

from acceptance.door import Door
from administrators import REASON, make_administrator
from cast import make_scope
from gptagent.features.audit import service as audit
from gptagent.features.identity import service as identity
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import PLATFORM_ID, Scope
from members import PASSWORD, add_member, number_of

PEOPLE = "/api/v1/admin/people"
NEW = "staple of a battery horse"


@pytest.fixture(scope="module")
async def ada(door, database, roles):
    """An administrator of the platform, just logged in."""
    scope = await make_scope(database, "Ada's")
    await make_administrator(roles, scope)
    return await door.of(scope)


@pytest.fixture(scope="module")
async def place(database):
    return await make_scope(database, "Wonderland")


@pytest.fixture
async def bob(database, place):
    return await add_member(database, place, "admin")


@pytest.fixture
async def begin(ada, bob, database):
    async def begun(who=bob, **changed):
        body = {"workspace": await number_of(database, bob), "reason": REASON} | changed
        return await ada("POST", f"{PEOPLE}/{who.actor.id}/impersonation", json=body)

    return begun


def with_token(door, token):
    door.used.add(token)
    return Door(door.http, door.database, door.vault, door.used, None, {"authorization": f"Bearer {token}"})


@pytest.fixture
async def eyes(ada, begin):
    """The API as Bob, seen by Ada."""
    answer = await begin()
    assert answer.status_code == 200, answer.text
    assert answer.json()["expires_in"] == 3600 and "refresh_token" not in answer.json()
    return with_token(ada, answer.json()["access_token"])


async def chain(database, org_id):
    async with database.session(Scope(org_id)) as session:
        return await audit.list_entries(session, limit=10)


async def test_an_administrator_acts_with_a_persons_rights_and_both_chains_name_her(eyes, ada, bob, database):
    """TEN-10"""
    assert (await eyes("GET", "/api/v1/account")).json()["id"] == str(bob.actor.id)
    assert (await eyes("PATCH", "/api/v1/workspace", json={"locale": "ru"})).status_code == 200
    (changed, started, *_) = await chain(database, bob.org_id)
    assert (changed.action, started.action) == ("workspace.updated", "impersonation.started")
    for row in (changed, started, (await chain(database, PLATFORM_ID))[0]):
        assert (row.actor_id, row.acting_for) == (ada.scope.actor.id, bob.actor.id)
    assert started.personal == {"reason": REASON}


async def test_it_changes_nothing_of_the_account_and_reaches_no_further_than_the_workspace(
    eyes, bob, database
):
    """TEN-10"""
    await make_second_home(database, bob)
    for method, path, body in (
        ("PATCH", "/account", {"locale": "en"}),
        ("POST", "/account/password", {"current_password": PASSWORD, "new_password": NEW}),
        ("POST", "/account/confirmation", {"password": PASSWORD}),
        ("POST", "/account/totp", None),
        ("POST", "/account/email", {"email": "ada@wonderland.test", "password": PASSWORD}),
        ("POST", "/account/erase", {"proof": PASSWORD}),
        ("GET", "/account/sessions", None),
        ("GET", "/account/grants", None),
        ("POST", "/workspaces", {"name": "Mine"}),
        ("POST", "/workspaces/join", {"token": "nobodys"}),
    ):
        answer = await eyes(method, f"/api/v1{path}", **({"json": body} if body else {}))
        assert (answer.status_code, answer.json()["code"]) == (403, "impersonated"), path
    assert (await eyes("GET", "/api/v1/account/export")).status_code == 403
    assert len((await eyes("GET", "/api/v1/workspaces")).json()["items"]) == 1
    assert (await eyes("GET", "/api/v1/admin/people")).status_code == 403


async def make_second_home(database, person):
    other = await make_scope(database, "Elsewhere")
    async with database.session(other) as session:
        await session.execute(
            "insert into app.member (person_id, role) values ($1, 'viewer')", person.actor.id
        )


async def test_it_ends_when_she_says_so_and_when_its_time_is_over(eyes, ada, bob, begin, database):
    where = f"{PEOPLE}/{bob.actor.id}/impersonation"
    assert (await ada("DELETE", where)).status_code == 204
    assert (await eyes("GET", "/api/v1/account")).status_code == 401
    (ended, *_) = await chain(database, bob.org_id)
    assert (ended.action, ended.acting_for) == ("impersonation.ended", bob.actor.id)
    again = with_token(ada, (await begin()).json()["access_token"])
    async with database.installation(bob.actor.id) as session:
        await session.execute("update app.web_session set expires_at = now()")
    assert (await again("GET", "/api/v1/account")).status_code == 401
    assert (await ada("DELETE", f"{PEOPLE}/{new_id()}/impersonation")).status_code == 404


async def test_the_person_sees_it_among_their_log_ins_and_ends_it(eyes, bob, door):
    own = await door.of(bob)
    (seen,) = (await own("GET", "/api/v1/account/sessions")).json()["items"]
    assert (await own("DELETE", f"/api/v1/account/sessions/{seen['id']}")).status_code == 204
    assert (await eyes("GET", "/api/v1/account")).status_code == 401


async def test_what_the_page_refuses_is_refused_here_as_well(begin, ada, bob, database, roles):
    """TEN-10"""
    assert (await begin(reason="because")).json()["errors"][0]["pointer"] == "/reason"
    elsewhere = await number_of(database, await make_scope(database, "Elsewhere"))
    assert (await begin(workspace=elsewhere)).json()["errors"][0]["pointer"] == "/workspace"
    assert (await begin(replace(bob, actor=replace(bob.actor, id=new_id())))).status_code == 404
    assert (await begin(ada.scope)).json()["code"] == "administrator_protected"
    eve = await add_member(database, bob, "member")
    await make_administrator(roles, eve)
    assert (await begin(eve)).json()["code"] == "administrator_protected"
    async with database.session(ada.scope) as session:
        await session.execute("update app.api_grant set confirmed_at = now() - interval '16 minutes'")
    try:
        assert (await begin()).json()["code"] == "confirmation_needed"
    finally:
        async with database.session(ada.scope) as session:
            await session.execute("update app.api_grant set confirmed_at = now()")


async def test_a_token_that_names_another_administrator_is_worth_nothing(eyes, ada, bob, vault):
    """The log-in behind it is looked up by all three: person, log-in, administrator."""
    from gptagent.features.identity.tokens import AccessTokens
    from gptagent.kernel.clock import utcnow

    tokens = AccessTokens(vault)
    claims = tokens.read(eyes.headers["authorization"].split()[1], now=utcnow())
    assert claims.impersonator_id == ada.scope.actor.id
    for other in (None, new_id()):
        forged = tokens.issue(replace(claims, impersonator_id=other), now=utcnow(), life=timedelta(minutes=5))
        assert (await with_token(ada, forged)("GET", "/api/v1/account")).status_code == 401


async def test_a_link_to_a_new_password_is_handed_over_and_works_once(ada, bob, door, database):
    """AUTH-9"""
    made = await ada("POST", f"{PEOPLE}/{bob.actor.id}/reset-link", json={"by": "link"})
    assert made.status_code == 200, made.text
    token = made.json()["link"].rpartition("/")[2]
    door.used.add(token)
    (row, *_) = await chain(database, PLATFORM_ID)
    assert (row.action, row.target_id) == ("password.reset_offered", str(bob.actor.id))
    assert (row.actor_id, row.changes) == (ada.scope.actor.id, {"by": (None, "hand")})
    body = {"token": token, "password": NEW}
    confirm = "/api/v1/auth/reset-password/confirm"
    assert (await door("POST", confirm, json=body)).status_code == 204
    assert (await door("POST", confirm, json=body)).status_code == 404
    async with database.session(bob) as session:
        email = (await identity.get_person(session, bob.actor.id)).email
    assert (await door.log_in(email, NEW)).status_code == 200


async def test_no_link_leads_to_an_administrators_account_and_no_letter_leaves_without_a_server(ada, bob):
    refused = await ada("POST", f"{PEOPLE}/{ada.scope.actor.id}/reset-link", json={"by": "link"})
    assert (refused.status_code, refused.json()["code"]) == (403, "administrator_protected")
    letter = await ada("POST", f"{PEOPLE}/{bob.actor.id}/reset-link", json={"by": "letter"})
    assert (letter.status_code, letter.json()["code"]) == (409, "letters_not_sent")
    missing = await ada("POST", f"{PEOPLE}/{new_id()}/reset-link", json={"by": "link"})
    assert missing.status_code == 404


async def test_a_key_of_the_platform_makes_no_such_link(ada, bob, door):
    body = {"name": "Monitoring", "scopes": ["platform.view", "platform.manage"]}
    key = (await ada("POST", "/api/v1/admin/keys", json=body)).json()["key"]
    program = with_token(door, key)
    answer = await program("POST", f"{PEOPLE}/{bob.actor.id}/reset-link", json={"by": "link"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_members_of_a_workspace_and_workspaces_of_a_person_are_listed(ada, bob, place, database):
    number = await number_of(database, place)
    members = (await ada("GET", f"/api/v1/admin/organizations/{number}/members")).json()["items"]
    assert str(bob.actor.id) in {one["person_id"] for one in members}
    (home,) = (await ada("GET", f"{PEOPLE}/{bob.actor.id}/workspaces")).json()["items"]
    assert (home["number"], home["role"], home["is_open"]) == (number, "admin", True)
