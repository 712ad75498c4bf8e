"""Setup, register, log in, log out: cookies, tokens, redirects, and what a form says when it is refused."""

import pytest

from gptagent.features.organizations import store
from gptagent.features.organizations.web import local_path
from gptagent.kernel.ids import new_id
from integration.conftest import serving_here
from members import PASSWORD, cookie_of, number_of, set_password
from readers import elsewhere, stranger_at, texts


@pytest.fixture
async def account(database, scope):
    """Alice's address; log-ins are limited by it, so each test has its own."""
    await set_password(database, scope)
    async with database.session(scope) as session:
        return await session.fetchval("select email from app.person where id = $1", scope.actor.id)


async def log_in(reader, email, password=PASSWORD, **fields):
    return await reader.send("/login", {"email": email, "password": password, **fields}, headers=elsewhere())


def new_account(**fields):
    known = {"given_name": "Eve", "organization": "Eve's", "email": f"{new_id().hex}@example.test"}
    return {**known, "password": PASSWORD, **fields}


async def test_a_log_in_leads_to_the_workspace(stranger, account, scope, database):
    answer = await log_in(stranger, account)
    assert answer.headers["location"] == "/manage"
    led = await stranger.follow(answer)
    number = await number_of(database, scope)
    assert led.headers["location"] == f"/manage/{number}-alice-s/dashboard"
    assert (await stranger.follow(led)).status_code == 200


async def test_a_wrong_password_and_an_unknown_address_are_told_alike(stranger, account):
    """AUTH-3, U035"""
    wrong = await log_in(stranger, account, "not the right one")
    unknown = await log_in(stranger, "nobody@example.test", "not the right one")
    assert wrong.status_code == unknown.status_code == 401
    assert f'value="{account}"' in wrong.text and "not the right one" not in wrong.text
    assert texts(wrong) == texts(unknown)
    assert "The e-mail or the password is wrong." in texts(wrong)


@pytest.mark.parametrize(("remember", "seconds"), [("on", 2_592_000), ("", 86_400)])
async def test_the_cookie_is_kept_from_scripts_and_other_sites(stranger, account, remember, seconds):
    """U036"""
    answer = await log_in(stranger, account, remember=remember)
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("session="))
    assert {"HttpOnly", "SameSite=lax", "Path=/", f"Max-Age={seconds}"} <= set(cookie.split("; "))


@pytest.mark.parametrize("target", ["https://evil.test/", "/\\evil.test", "/\tx", "evil", ""])
def test_only_a_path_of_ours_is_led_to(target):
    assert local_path(target) == "/manage"
    assert local_path("/manage/1-x/ai-agents?q=1") == "/manage/1-x/ai-agents?q=1"


async def test_a_log_in_never_leads_to_another_site(stranger, account):
    answer = await log_in(stranger, account, next="//evil.test")
    assert answer.headers["location"] == "/manage"


async def test_who_asked_for_a_page_gets_it_after_the_log_in(stranger, account, database, scope):
    """U002"""
    page = f"/manage/{await number_of(database, scope)}-alice-s/ai-agents?q=a%20b"
    refused = await stranger.http.get(page)
    form = await stranger.follow(refused)
    assert f'name="next" value="{page}"' in form.text
    assert (await log_in(stranger, account, next=page)).headers["location"] == page


async def test_guessing_is_slowed_down(stranger):
    """AUTH-12, U037"""
    token, where = await stranger.token(), elsewhere()
    guess = {"csrf_token": token, "email": "x@example.test", "password": "guess"}
    answers = [await stranger.http.post("/login", data=guess, headers=where) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) > 0
    assert "Too many attempts" in texts(answers[-1])


async def test_logging_out_ends_the_session_on_the_server(web, database, scope, alice):
    """U027"""
    cookie = alice.http.cookies["session"]
    answer = await alice.http.post("/logout", data={"csrf_token": await alice.token()})
    assert "You are logged out." in texts(await alice.follow(answer))
    async with stranger_at(web) as thief:
        thief.http.cookies.set("session", cookie)
        assert (await thief.http.get("/manage")).headers["location"] == "/login?next=/manage"


async def test_a_form_without_its_token_is_refused(alice, stranger, account):
    """SEC, U210: a page of another site can send forms, but it cannot know the token."""
    fields = {"email": account, "password": PASSWORD}
    assert (await stranger.http.post("/login", data=fields)).status_code == 403
    borrowed = {**fields, "csrf_token": await alice.token()}
    assert (await stranger.http.post("/login", data=borrowed)).status_code == 403
    assert (await alice.http.post(f"{alice.base}/ai-agents/create", data={"name": "X"})).status_code == 403
    made_up = {"name": "X", "csrf_token": await stranger.token()}
    assert (await alice.http.post(f"{alice.base}/ai-agents/create", data=made_up)).status_code == 403
    assert "X" not in texts(await alice.open("/ai-agents?part=list"))


async def test_a_registration_names_all_errors_at_once_and_keeps_what_was_typed(stranger):
    """U039"""
    fields = new_account(email="nobody", password="short", given_name="", organization="Wonderland")
    answer = await stranger.send("/register", fields, headers=elsewhere())
    assert answer.status_code == 422
    assert answer.text.count('aria-invalid="true"') == 3
    assert 'value="Wonderland"' in answer.text and 'value="nobody"' in answer.text
    assert "short" not in answer.text


async def test_a_registration_opens_a_workspace_and_its_session(stranger):
    """U038"""
    answer = await stranger.send("/register", new_account(), headers=elsewhere())
    dashboard = await stranger.follow(answer)
    assert answer.headers["location"].endswith("-eve-s/dashboard")
    assert "Hello, Eve" in texts(dashboard) and "Four steps lead to the first answer." in texts(dashboard)
    again = await stranger.http.get(answer.headers["location"])
    assert "Four steps lead" not in texts(again)


async def test_a_known_address_cannot_register_again(stranger, account):
    """U040"""
    answer = await stranger.send("/register", new_account(email=account), headers=elsewhere())
    assert answer.status_code == 422
    assert "There is an account with this address already" in texts(answer)


async def test_a_setup_link_that_is_used_or_unknown_says_so(stranger):
    for answer in (
        await stranger.http.get("/setup/unknown"),
        await stranger.send("/setup/unknown", new_account()),
    ):
        assert answer.status_code == 404
        assert "The link does not work any more" in texts(answer)


async def test_somebody_logged_in_needs_no_log_in_page(alice):
    for path in ("/login", "/register", "/"):
        assert (await alice.http.get(path)).headers["location"] == "/manage"


async def test_the_language_is_kept_for_the_browser_and_the_person(alice, database, scope):
    """U026"""
    answer = await alice.http.post(
        "/preferences/language",
        data={"csrf_token": await alice.token(), "language": "ru"},
        headers={"referer": f"http://elsewhere.test{alice.base}/ai-agents?q=1"},
    )
    assert answer.headers["location"] == f"{alice.base}/ai-agents?q=1"
    assert '<html lang="ru"' in (await alice.follow(answer)).text
    async with database.session(scope) as session:
        assert await session.fetchval("select locale from app.person where id = $1", scope.actor.id) == "ru"


async def test_the_theme_is_kept(stranger):
    """U025"""
    answer = await stranger.send("/preferences/theme", {"theme": "dark"})
    assert answer.headers["set-cookie"].startswith("theme=dark;")
    assert 'class="dark"' in (await stranger.http.get("/login")).text


async def test_the_last_workspace_is_opened_first(alice, scope, database, other_scope):
    """U014"""
    async with database.session(other_scope) as session:
        await store.insert_member(session, scope.actor.id, "viewer")
    number = await number_of(database, other_scope)
    assert str(number) not in (await alice.http.get("/manage")).headers["location"]
    await alice.http.get(f"/manage/{number}-charlie-s/dashboard")
    assert str(number) in (await alice.http.get("/manage")).headers["location"]


async def test_over_https_the_cookies_belong_to_this_host_alone(home, roles, database, scope):
    async with (
        serving_here(home, public_url="https://agents.example.test") as url,
        stranger_at(url) as reader,
    ):
        form = await reader.http.get("/login")
        assert "__Host-csrf=" in form.headers["set-cookie"] and "Secure" in form.headers["set-cookie"]
        reader.http.cookies.set("__Host-session", await cookie_of(database, scope))
        assert (await reader.http.get("/login")).headers["location"] == "/manage"
        assert "strict-transport-security" in form.headers
