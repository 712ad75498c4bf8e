"""The pages of workspaces, members and invitations without a script."""

import re

import pytest

from gptagent.features.organizations import service
from gptagent.kernel.ids import new_id
from integration.conftest import serving_here
from integration.test_pages_login import elsewhere
from members import PASSWORD, add_member, set_password
from readers import reader_of, stranger_at, texts

MEMBERS = "/settings/members"
LINK = re.compile(r'value="(http[^"]+/invitation/[^"]+)"')


async def invited(reader, **fields):
    """Invite and return the path of the link."""
    page = await reader.send(f"{MEMBERS}/invitations", {"by": "link", "role": "member", **fields})
    assert page.status_code == 200, texts(page)
    return "/invitation/" + LINK.search(page.text)[1].rpartition("/")[2]


async def join(stranger, path, **fields):
    data = {
        "given_name": "Eve",
        "family_name": "Newcomer",
        "password": PASSWORD,
        "email": f"{new_id().hex}@example.test",
        **fields,
    }
    return await stranger.send(f"{path}/register", data, headers=elsewhere())


@pytest.mark.parametrize("language", ["ru", "en"])
@pytest.mark.parametrize("path", ["/settings", MEMBERS])
async def test_a_page_is_drawn_in_the_readers_language(alice, path, language):
    """U005"""
    alice.http.cookies.set("language", language)
    page = await alice.open(path)
    assert page.status_code == 200
    assert f'<html lang="{language}"' in page.text and page.text.count("<h1") == 1


async def test_a_viewer_sees_names_and_roles_and_no_way_to_change_them(alice, dora, database, scope):
    """TEN-4"""
    page = await dora.open(MEMBERS)
    assert "Alice" in texts(page) and "Owner" in texts(page)
    async with database.session(scope) as session:
        email = await session.fetchval("select email from app.person where id = $1", scope.actor.id)
    assert email not in page.text and email in (await alice.open(MEMBERS)).text
    assert "/suspend" not in page.text and "/invitations" not in page.text
    assert "readonly" in (await dora.open("/settings")).text


async def test_a_newcomer_comes_in_by_a_link_where_registration_is_closed(home, database, scope):
    """TEN-5"""
    async with serving_here(home, registration="invite") as url, reader_of(url, database, scope) as alice:
        path = await invited(alice)
        async with stranger_at(url) as eve:
            assert (await eve.open("/register")).status_code == 403
            page = await eve.open(path)
            assert "Join “Alice&#39;s”" in texts(page) and "Your role: Member." in texts(page)
            wrong = await join(eve, path, password="short", given_name="")
            assert wrong.status_code == 422 and wrong.text.count('aria-invalid="true"') == 2
            entered = await join(eve, path)
            assert re.fullmatch(r"/manage/\d+-alice-s/dashboard", entered.headers["location"])
            assert "Welcome to Alice&#39;s" in (await eve.follow(entered)).text
            gone = await eve.open(path)
            assert gone.status_code == 404 and "not open any more" in texts(gone)


async def test_an_unknown_link_and_a_used_one_are_told_alike(alice, stranger):
    path = await invited(alice)
    await join(stranger, path)
    async with stranger_at(str(stranger.http.base_url)) as other:
        used, unknown = [await other.open(one) for one in (path, "/invitation/nobodys")]
    assert used.status_code == unknown.status_code == 404
    assert texts(used) == texts(unknown)


async def test_whoever_is_logged_in_joins_with_one_button(web, alice, database, scope, other_scope):
    """U012"""
    path = await invited(alice, role="admin")
    async with reader_of(web, database, other_scope) as charlie:
        page = await charlie.http.get(path)
        assert "Join as Alice" in texts(page) and "Password" not in texts(page)
        charlie.base, base = "", charlie.base
        answer = await charlie.http.post(
            path, data={"csrf_token": await token_at(charlie, f"{base}/dashboard")}
        )
        assert answer.headers["location"] == f"{alice.base}/dashboard"
        listed = await charlie.http.get(f"{alice.base}{MEMBERS}")
        assert "Administrator" in texts(listed)
        # The selector has both, with a mark at the one that is open.
        assert listed.text.count('data-workspace="') == 2
        assert len(re.findall(r'data-workspace="[^"]*" aria-current="true"', listed.text)) == 1


async def token_at(reader, path):
    return re.search(r'name="csrf_token" value="([^"]+)"', (await reader.http.get(path)).text)[1]


async def test_an_invitation_for_another_address_says_so_and_not_which(web, alice, database, other_scope):
    email = f"{new_id().hex}@example.test"
    path = await invited(alice, by="email", email=email)
    async with reader_of(web, database, other_scope) as charlie:
        token = await token_at(charlie, f"{charlie.base}/dashboard")
        refused = await charlie.http.post(path, data={"csrf_token": token})
        assert refused.status_code == 403
        assert "for another e-mail address" in texts(refused) and email not in refused.text
        assert email not in (await charlie.http.get(path)).text


async def test_a_wrong_address_is_told_beside_its_field(alice):
    page = await alice.send(f"{MEMBERS}/invitations", {"by": "email", "email": "eve@", "role": "viewer"})
    assert page.status_code == 422
    assert 'value="eve@"' in page.text and "Enter a valid e-mail address." in texts(page)


async def test_a_new_link_voids_the_old_one(alice, stranger):
    old = await invited(alice)
    page = await alice.open(MEMBERS)
    again = re.search(r'action="[^"]*(/settings/members/invitations/[^"]+/resend)"', page.text)[1]
    new = "/invitation/" + LINK.search((await alice.send(again)).text)[1].rpartition("/")[2]
    assert (await stranger.open(old)).status_code == 404
    assert (await stranger.open(new)).status_code == 200


async def test_the_link_is_in_the_answer_and_in_no_cookie(alice):
    page = await alice.send(f"{MEMBERS}/invitations", {"by": "link", "role": "member"})
    token = LINK.search(page.text)[1].rpartition("/")[2]
    assert page.headers["cache-control"] == "no-store"
    assert token not in str(page.headers) and token not in (await alice.open(MEMBERS)).text


@pytest.fixture
async def bob(web, database, scope):
    member = await add_member(database, scope, "member")
    async with reader_of(web, database, member) as reader:
        yield reader, f"{MEMBERS}/{member.actor.id}"


@pytest.mark.parametrize("way", ["suspend", "remove"])
async def test_whoever_is_put_out_finds_no_workspace_any_more(alice, bob, way):
    """TEN-6: the log-in itself stays, for other workspaces."""
    reader, path = bob
    assert (await reader.open("/dashboard")).status_code == 200
    assert (await alice.send(f"{path}/{way}")).status_code == 303
    assert (await reader.open("/dashboard")).status_code == 404
    lobby = await reader.http.get("/manage")
    assert lobby.status_code == 200 and "You have no workspace" in texts(lobby)
    if way == "suspend":
        await alice.send(f"{path}/resume")
        assert (await reader.open("/dashboard")).status_code == 200


async def test_a_role_changes_from_the_next_page_on(alice, bob):
    """U189"""
    reader, path = bob
    assert (await reader.open("/ai-agents/create")).status_code == 200
    await alice.send(f"{path}/role", {"role": "viewer"})
    assert (await reader.open("/ai-agents/create")).status_code == 403


async def test_what_cannot_be_is_told_on_the_page_one_comes_back_to(alice, scope):
    refused = await alice.send(f"{MEMBERS}/leave")
    assert "A workspace keeps an owner" in texts(await alice.follow(refused))
    demoted = await alice.send(f"{MEMBERS}/{scope.actor.id}/role", {"role": "viewer"})
    assert "A workspace keeps an owner" in texts(await alice.follow(demoted))


async def test_a_person_without_a_workspace_makes_one_or_opens_an_invitation(web, alice, bob):
    """TEN-7"""
    reader, _path = bob
    await reader.send(f"{MEMBERS}/leave")
    reader.base = ""
    token = await token_at(reader, "/manage")
    path = await invited(alice)
    led = await reader.http.post("/invitation", data={"csrf_token": token, "link": f"{web}{path}"})
    assert led.headers["location"] == path
    wrong = await reader.http.post("/invitation", data={"csrf_token": token, "link": "javascript:alert(1)"})
    assert wrong.status_code == 422
    empty = await reader.http.post("/workspaces/create", data={"csrf_token": token, "organization": " "})
    assert empty.status_code == 422 and "Enter the company" in texts(empty)
    made = await reader.http.post("/workspaces/create", data={"csrf_token": token, "organization": "Bob's"})
    assert (await reader.follow(made)).status_code == 200


async def test_a_renamed_workspace_is_found_at_its_old_address(alice):
    """TEN-8, U189"""
    saved = await alice.send("/settings", {"name": "Looking Glass", "slug": "", "locale": "en"})
    assert saved.headers["location"].endswith("-looking-glass/settings")
    old = await alice.open("/dashboard")
    assert old.status_code == 308 and "looking-glass" in old.headers["location"]


async def test_every_page_says_that_the_workspace_is_going_and_its_owner_keeps_it(alice, dora):
    """TEN-9"""
    wrong = await alice.send("/settings/deletion", {"confirm_name": "Bob's"})
    assert wrong.status_code == 422 and "exactly as it is" in texts(wrong)
    await alice.send("/settings/deletion", {"confirm_name": "Alice's"})
    for reader, may_keep in ((alice, True), (dora, False)):
        page = await reader.open("/ai-agents")
        assert "This workspace is going to be deleted." in texts(page)
        assert ("Keep the workspace" in texts(page)) == may_keep
    await alice.send("/settings/deletion/cancel")
    assert "going to be deleted" not in texts(await alice.open("/ai-agents"))


async def test_a_suspended_workspace_is_as_missing_as_any(alice, database, scope):
    """TEN-6"""
    async with database.session(scope) as session:
        await session.execute("update app.organization set suspended_at = now()")
    gone, missing = await alice.open("/dashboard"), await alice.http.get("/manage/999999999-x/dashboard")
    assert gone.status_code == missing.status_code == 404
    assert texts(gone) == texts(missing)


async def test_the_selector_offers_a_search_for_more_than_five(alice, database, scope):
    """TEN-7, U013"""
    for number in range(5):
        await service.open_workspace(
            database, f"Number {number}", locale="en", origin=scope.origin, person_id=scope.actor.id
        )
        page = await alice.open("/dashboard")
        assert ("data-workspace-search" in page.text) == (number == 4)
    assert page.text.count('data-workspace="') == 6


async def test_a_log_in_of_one_companys_own_sign_in_goes_no_further(web, alice, database, scope, other_scope):
    path = await invited(alice)
    async with reader_of(web, database, other_scope) as charlie:
        token = await token_at(charlie, f"{charlie.base}/dashboard")
        async with database.session(other_scope) as session:
            await session.execute("update app.web_session set workspace_id = $1", other_scope.org_id)
        assert "goes no further" in texts(await charlie.http.post(path, data={"csrf_token": token}))
        made = await charlie.http.post("/workspaces/create", data={"csrf_token": token, "organization": "X"})
        assert made.status_code == 403


async def test_a_workspace_is_deleted_only_by_who_was_asked_lately_who_they_are(alice, database, scope):
    assert "confirm_name" in (await alice.open("/settings")).text
    async with database.session(scope) as session:
        await session.execute("update app.web_session set confirmed_at = now() - interval '16 minutes'")
    page = (await alice.open("/settings")).text
    assert "confirm_name" not in page and "/account-settings/confirm?next=" in page
    asked = await alice.send("/settings/deletion", {"confirm_name": "Alice's"})
    way = asked.headers["location"]
    assert "/account-settings/confirm?next=" in way and way.endswith("/settings%23deletion")
    async with database.session(scope) as session:
        assert (await service.get_settings(session)).delete_at is None
    await set_password(database, scope, PASSWORD)
    back = {"password": PASSWORD, "next": f"{alice.base}/settings#deletion"}
    confirmed = await alice.send("/account-settings/confirm", back)
    assert confirmed.headers["location"].endswith("/settings#deletion")
    await alice.send("/settings/deletion", {"confirm_name": "Alice's"})
    async with database.session(scope) as session:
        assert (await service.get_settings(session)).delete_at is not None
