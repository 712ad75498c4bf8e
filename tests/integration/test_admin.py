"""Administration of the platform: what an administrator sees, does, and cannot do."""

import re
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from administrators import REASON, enter_with, send
from cast import make_scope
from gptagent.features.admin import keys, service
from gptagent.features.admin.model import PAGE_SIZE
from gptagent.features.agents import service as agents
from gptagent.features.audit import service as audit
from gptagent.features.identity import service as identity
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.db import Database
from gptagent.kernel.errors import Conflict, Invalid
from gptagent.kernel.ids import new_id
from gptagent.kernel.scope import PLATFORM_ID, Actor, Scope
from gptagent.kernel.settings import Settings
from members import PASSWORD, bearer, number_of, set_password
from readers import reader_of, texts


@asynccontextmanager
async def administering(database, platform):
    async with database.session(platform) as session:
        yield session


async def platform_actions(database, target):
    async with database.session(Scope(PLATFORM_ID)) as session:
        rows = await audit.list_entries(session)
    return [row for row in rows if row.target_id == str(target)]


async def test_the_pages_are_there_for_an_administrator(ada, bob, scope, database):
    """AUTH-15"""
    number = await number_of(database, scope)
    for path in ("dashboard", "organizations", f"organizations/{number}", "people", "audit", "keys"):
        page = await ada.http.get(f"/admin/{path}")
        assert page.status_code == 200 and page.text.count("<h1") == 1, path
    assert "Bob Member" in texts(await ada.http.get(f"/admin/people/{bob.actor.id}"))
    assert (await ada.http.get("/admin")).headers["location"] == "/admin/dashboard"
    assert 'href="/admin"' in (await ada.open("/dashboard")).text


async def test_the_pages_speak_russian(ada, bob, scope, database):
    ada.http.cookies.set("language", "ru", domain=ada.http.base_url.host)
    number = await number_of(database, scope)
    for path in ("dashboard", "organizations", f"organizations/{number}", f"people/{bob.actor.id}", "keys"):
        page = texts(await ada.http.get(f"/admin/{path}"))
        assert "Администрирование" in page
        assert not re.findall(r"Suspen|Facts|Rights|Version|Reason|Administrat", page), path


async def test_the_workspace_used_last_is_still_known_after_a_visit_there(ada):
    await ada.open("/dashboard")
    await ada.http.get("/admin/dashboard")
    assert (await ada.http.get("/manage")).headers["location"].startswith(ada.base)


async def test_a_log_in_somebody_else_vouched_for_is_none_of_an_administrator(
    web, database, platform, ada_scope
):
    """A workspace's own provider of sign-in must not open the platform."""
    async with reader_of(web, database, ada_scope) as reader:
        async with database.installation(ada_scope.actor.id) as session:
            token, _ends = await identity.open_session(
                session, ada_scope.actor.id, remember=False, now=utcnow(), workspace_id=ada_scope.org_id
            )
        enter_with(reader, token)
        assert (await reader.http.get("/admin/dashboard")).status_code == 404


async def test_workspaces_are_found_by_name_and_number_with_their_figures(database, platform, scope, bob):
    name = f"Straße {new_id().hex}"
    async with database.session(scope) as session:
        await session.execute("update app.organization set name = $1", name)
        await agents.create_agent(session, "Agent", locale="en")
    number = await number_of(database, scope)
    async with administering(database, platform) as session:
        (found,) = await service.list_organizations(session, name[:20].lower())
        assert [one.number for one in await service.list_organizations(session, str(number))] == [number]
        assert await service.list_organizations(session, "%") == []
        newest, second, *_ = await service.list_organizations(session)
        assert (await service.list_organizations(session, before=newest.number))[0] == second
        assert {m.role for m in await service.list_members(session, found.org_id)} == {"owner", "member"}
    assert (found.number, found.members, found.agents) == (number, 2, 1)


async def test_people_are_found_by_the_whole_address_or_the_beginning_of_a_name(database, platform, bob):
    async with administering(database, platform) as session:
        email = (await service.get_person(session, bob.actor.id)).email
        (found,) = await service.list_people(session, f" {email.upper()} ")
        assert found.person_id == bob.actor.id and found.workspaces == 1
        assert await service.list_people(session, email[:-1]) == []
        assert bob.actor.id in {one.person_id for one in await service.list_people(session, "bob mem")}
        assert bob.actor.id in {one.person_id for one in await service.list_people(session, "memb")}
        assert await service.list_people(session, "ember") == []
        assert await service.list_people(session, "%") == []
        (membership,) = await service.list_memberships(session, bob.actor.id)
    assert (membership.org_id, membership.role) == (bob.org_id, "member")


@pytest.fixture
def vault(home, roles):
    return load_vault(Settings(gptagent_home=home))


async def test_a_suspended_workspace_lets_nobody_in_and_its_agents_are_silent(
    web, vault, database, scope, ada
):
    headers = await bearer(database, vault, scope)
    async with database.session(scope) as session:
        agent = await agents.create_agent(session, "Agent", locale="en")
        await agents.update_agent(session, agent.id, {"is_active": True})
    number = await number_of(database, scope)
    async with reader_of(web, database, scope) as alice:
        assert (
            await send(ada, f"/admin/organizations/{number}/suspend", {"reason": REASON})
        ).status_code == 303
        assert (await alice.open("/dashboard")).status_code == 404
        assert (await alice.http.get("/api/v1/agents", headers=headers)).status_code == 401
        async with database.session(scope) as session:
            assert await agents.list_active(session) == []
        assert "Suspended since" in texts(await ada.http.get(f"/admin/organizations/{number}"))
        assert (await send(ada, f"/admin/organizations/{number}/resume")).status_code == 303
        assert (await alice.open("/dashboard")).status_code == 200
        async with database.session(scope) as session:
            assert [one.id for one in await agents.list_active(session)] == [agent.id]
    resumed, suspended = await platform_actions(database, scope.org_id)
    assert [suspended.action, resumed.action] == ["workspace.suspended", "workspace.resumed"]
    assert suspended.personal == {"reason": REASON}


@pytest.mark.parametrize("reason", ["", "too short", "x" * 501, " " * 20])
async def test_a_suspension_needs_a_reason(reason, ada, database, scope):
    number = await number_of(database, scope)
    answer = await send(ada, f"/admin/organizations/{number}/suspend", {"reason": reason})
    assert answer.status_code == 422 and "Say why in 10 to 500 characters." in texts(answer)
    assert await platform_actions(database, scope.org_id) == []


async def test_whoever_is_suspended_is_out_at_once_and_comes_back_only_when_it_is_lifted(
    web, database, ada, bob
):
    """Cookie, access token, refresh token and password: none opens anything."""
    await set_password(database, bob)
    async with database.installation(bob.actor.id) as session:
        email = (await identity.get_person(session, bob.actor.id)).email
    async with reader_of(web, database, bob) as reader:
        login = {"email": email, "password": PASSWORD}
        tokens = (await reader.http.post("/api/v1/auth/login", json=login)).json()
        headers = {"authorization": f"Bearer {tokens['access_token']}"}
        assert (await reader.http.get("/api/v1/agents", headers=headers)).status_code == 200
        done = await send(ada, f"/admin/people/{bob.actor.id}/suspend", {"reason": REASON})
        assert done.status_code == 303
        assert (await reader.open("/dashboard")).headers["location"].startswith("/login")
        assert (await reader.http.get("/api/v1/agents", headers=headers)).status_code == 401
        refresh = {"refresh_token": tokens["refresh_token"]}
        assert (await reader.http.post("/api/v1/auth/refresh", json=refresh)).status_code == 401
        assert (await reader.http.post("/api/v1/auth/login", json=login)).status_code == 401
        await send(ada, f"/admin/people/{bob.actor.id}/resume")
        assert (await reader.http.post("/api/v1/auth/login", json=login)).status_code == 200
        assert (await reader.http.get("/api/v1/agents", headers=headers)).status_code == 401
    actions = [row.action for row in await platform_actions(database, bob.actor.id)]
    assert [name for name in actions if name.startswith("person.")] == ["person.resumed", "person.suspended"]


async def test_nobody_suspends_themselves(ada, platform):
    answer = await send(ada, f"/admin/people/{platform.actor.id}/suspend", {"reason": REASON})
    assert answer.status_code == 403 and "ask another administrator" in texts(answer)


async def test_a_missing_person_or_workspace_is_missing(ada):
    assert (await ada.http.get(f"/admin/people/{new_id()}")).status_code == 404
    assert (await ada.http.get("/admin/organizations/999999999")).status_code == 404
    assert (await send(ada, f"/admin/people/{new_id()}/appoint")).status_code == 404


async def test_an_administrator_is_made_and_unmade_and_takes_nothing_along(web, database, ada, bob, roles):
    assert (await send(ada, f"/admin/people/{bob.actor.id}/appoint")).status_code == 303
    async with reader_of(web, database, bob) as reader:
        assert (await reader.http.get("/admin/dashboard")).status_code == 200
        made = await send(reader, "/admin/keys", {"name": "Bob's", "scopes": "platform.view", "days": "30"})
        key = re.search(r'value="(gpa_[^"]+)"', made.text)[1]
        program = {"authorization": f"Bearer {key}"}
        assert (await reader.http.get("/api/v1/admin/people", headers=program)).status_code == 200
        assert (await send(ada, f"/admin/people/{bob.actor.id}/dismiss")).status_code == 303
        assert (await reader.http.get("/admin/dashboard")).status_code == 404
        assert (await reader.http.get("/api/v1/admin/people", headers=program)).status_code == 401
    actions = [row.action for row in await platform_actions(database, bob.actor.id)]
    assert actions == ["administrator.dismissed", "administrator.appointed"]


async def test_the_last_administrator_stays(database, platform, roles):
    owner = await Database.connect(roles.owner_dsn, max_connections=1)
    async with owner.installation() as session:
        await session.execute(
            "update app.person set is_platform_admin = false where id <> $1", platform.actor.id
        )
    await owner.close()
    other = replace(platform, actor=Actor("person", new_id()))
    for verb in (service.dismiss_administrator, lambda s, who: service.suspend_person(s, who, REASON)):
        with pytest.raises(Conflict, match="last_administrator"):
            async with administering(database, other) as session:
                await verb(session, platform.actor.id)


async def test_a_change_needs_a_log_in_that_was_confirmed_lately(ada, database, platform, bob):
    async with database.installation(platform.actor.id) as session:
        await session.execute("update app.web_session set confirmed_at = now() - interval '16 minutes'")
    page = await ada.http.get(f"/admin/people/{bob.actor.id}")
    assert "You can only look now." in texts(page)
    way = re.search(r'href="([^"]*/confirm\?next=/admin/people/[^"]+)"', page.text)[1]
    assert (await ada.http.get(way)).status_code == 200
    for path in (f"people/{bob.actor.id}/appoint", f"people/{bob.actor.id}/impersonate", "keys"):
        answer = await send(ada, f"/admin/{path}", {"reason": REASON})
        assert answer.status_code == 403, path
    assert await platform_actions(database, bob.actor.id) == []


async def test_a_change_over_the_api_needs_it_too(ada, vault, database, ada_scope, bob):
    headers = await bearer(database, vault, ada_scope)
    place = f"/api/v1/admin/people/{bob.actor.id}/administrator"
    async with database.installation(ada_scope.actor.id) as session:
        await session.execute("update app.api_grant set confirmed_at = now() - interval '16 minutes'")
    refused = await ada.http.put(place, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "confirmation_needed")
    assert (await ada.http.get(place.rpartition("/")[0], headers=headers)).status_code == 200


async def test_a_key_of_the_platform_reaches_what_it_was_given_and_no_workspace(ada, database, scope, bob):
    """AUTH-14"""
    fields = {"name": "Monitoring", "scopes": "platform.view", "days": "30"}
    made = await send(ada, "/admin/keys", fields)
    key = re.search(r'value="(gpa_[^"]+)"', made.text)[1]
    assert key not in (await ada.http.get("/admin/keys")).text
    program = {"authorization": f"Bearer {key}"}
    ask = ada.http.get
    for path in ("installation", "organizations", "people", f"people/{bob.actor.id}", "audit", "keys"):
        assert (await ask(f"/api/v1/admin/{path}", headers=program)).status_code == 200, path
    place = f"/api/v1/admin/people/{bob.actor.id}/administrator"
    assert (await ada.http.put(place, headers=program)).status_code == 403
    assert (await ask("/api/v1/agents", headers=program)).status_code == 403
    (used,) = [one for one in await listed_keys(database) if one.key_end == key[-4:]]
    assert used.last_used_at is not None
    assert (await send(ada, f"/admin/keys/{used.id}/revoke")).status_code == 303
    assert (await ask("/api/v1/admin/people", headers=program)).status_code == 401
    actions = [row.action for row in await platform_actions(database, used.id)]
    assert actions == ["platform_key.revoked", "platform_key.created"]


async def listed_keys(database):
    async with database.session(Scope(PLATFORM_ID)) as session:
        return await keys.list_keys(session)


@pytest.mark.parametrize(
    ("name", "scopes", "days"),
    [
        ("", ["platform.view"], 30),
        ("K", [], 30),
        ("K", ["platform.impersonate"], 30),
        ("K", ["view"], 30),
        ("K", ["platform.view"], 0),
        ("K", ["platform.view"], 9999),
    ],
)
async def test_a_key_needs_a_name_offered_rights_and_an_end(name, scopes, days, database, platform):
    with pytest.raises(Invalid):
        async with administering(database, platform) as session:
            await keys.create_key(session, name, scopes, days, now=utcnow())


async def test_the_api_does_what_the_pages_do(ada, vault, database, ada_scope, bob):
    headers = await bearer(database, vault, ada_scope)
    number = await number_of(database, bob)

    async def call(method, path, status, **options):
        answer = await ada.http.request(method, f"/api/v1/admin/{path}", headers=headers, **options)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    reason = {"json": {"reason": REASON}}
    for place, found in ((f"organizations/{number}", "organizations"), (f"people/{bob.actor.id}", "people")):
        await call("PUT", f"{place}/suspension", 204, **reason)
        assert (await call("GET", place, 200))["suspended_at"]
        await call("DELETE", f"{place}/suspension", 204)
        assert (await call("GET", place, 200))["suspended_at"] is None
        first = await call("GET", f"{found}?limit=1", 200)
        second = await call("GET", f"{found}?limit=1&cursor={first['next_cursor']}", 200)
        assert first["items"] != second["items"]
    await call("PUT", f"organizations/{number}/suspension", 422, json={"reason": "no"})
    await call("PUT", f"people/{bob.actor.id}/administrator", 204)
    await call("DELETE", f"people/{bob.actor.id}/administrator", 204)
    key = await call("POST", "keys", 201, json={"name": "K", "scopes": ["platform.view"]})
    assert key["key"].startswith("gpa_")
    await call("DELETE", f"keys/{key['id']}", 204)
    await call("DELETE", f"keys/{key['id']}", 404)
    assert (await call("GET", "audit", 200))["items"][0]["action"] == "platform_key.revoked"
    facts = await call("GET", "installation", 200)
    assert facts["people"] > 1 and facts["database_bytes"] > 1_000_000


async def test_facts_of_the_installation_hold_no_secret(ada, roles):
    page = await ada.http.get("/admin/dashboard")
    password = re.search(r"://[^:]+:([^@]+)@", roles.app_dsn)
    assert password is None or password[1] not in page.text
    assert "SECRET_KEYS" in page.text and "Size of the database" in texts(page)


async def test_a_long_list_has_pages(ada, database, roles):
    for _number in range(PAGE_SIZE + 1):
        await make_scope(database, "Many")
    first = await ada.http.get("/admin/organizations?q=Many")
    older = re.search(r'href="(/admin/organizations\?[^"]*before=[^"]*)"', first.text)[1]
    second = await ada.http.get(older.replace("&amp;", "&"))
    assert second.status_code == 200 and "Newest" in texts(second)


async def test_a_link_to_a_new_password_is_shown_once_and_only_in_the_answer(ada, bob, database, ada_scope):
    """AUTH-9"""
    where = f"/admin/people/{bob.actor.id}"
    assert "Forgotten password" in texts(await ada.http.get(where))
    made = await send(ada, f"{where}/reset-link", {"by": "link"})
    assert made.status_code == 200 and made.headers["cache-control"] == "no-store"
    link = re.search(r'value="(http[^"]+/reset-password/[^"]+)"', made.text)[1]
    assert "reset-password" not in (await ada.http.get(where)).text
    path = "/reset-password/" + link.rpartition("/")[2]
    assert (await ada.http.get(path)).status_code == 200
    again = await send(ada, f"{where}/reset-link", {"by": "link"})
    assert again.status_code == 200 and (await ada.http.get(path)).status_code == 404


async def test_no_such_link_is_offered_for_an_administrator_nor_by_a_log_in_not_confirmed_lately(
    ada, bob, database, ada_scope
):
    own = f"/admin/people/{ada_scope.actor.id}"
    assert "/reset-link" not in (await ada.http.get(own)).text
    assert (await send(ada, f"{own}/reset-link", {"by": "link"})).status_code == 403
    where = f"/admin/people/{bob.actor.id}/reset-link"
    no_server = await send(ada, where, {"by": "letter"})
    assert no_server.status_code == 409 and "sends no letters" in texts(no_server)
    async with database.installation(ada_scope.actor.id) as session:
        await session.execute("update app.web_session set confirmed_at = now() - interval '16 minutes'")
    assert (await send(ada, where, {"by": "link"})).status_code == 403
