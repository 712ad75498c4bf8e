"""The pages of a person's own account, and the second step of a log-in, without a script."""

import json
import re
from datetime import timedelta
from io import BytesIO

import pyotp
import pytest
from PIL import Image

from authenticator import Authenticator
from gptagent.features.identity import service as identity
from gptagent.kernel.clock import utcnow
from gptagent.kernel.ids import new_id
from integration.test_pages_login import elsewhere, log_in
from members import PASSWORD, cookie_of, set_password
from readers import stranger_at, texts

SECURITY = "/account-settings/security"
NEW = "staple of a battery horse"


@pytest.fixture
async def account(database, scope):
    """Alice's address; she knows her password."""
    await set_password(database, scope)
    async with database.session(scope) as session:
        return (await identity.get_person(session, scope.actor.id)).email


async def enrol(database, scope):
    """Switch Alice's second step on; return the app and the recovery codes."""
    async with database.session(scope) as session:
        person = await identity.get_person(session, scope.actor.id)
        app = pyotp.TOTP((await identity.begin_totp(session, person)).secret)
        before = utcnow() - timedelta(minutes=1)  # the code shown now is still to be used
        return app, await identity.confirm_totp(
            session, person.id, app.at(before), origin=scope.origin, now=before
        )


async def age(database, scope, minutes=16):
    """Let it be long ago that Alice was asked who she is."""
    async with database.session(scope) as session:
        await session.execute(
            "update app.web_session set confirmed_at = now() - make_interval(mins => $1)", minutes
        )


def drawn():
    file = BytesIO()
    Image.new("RGB", (300, 200), "teal").save(file, "PNG")
    return file.getvalue()


async def test_the_menu_leads_to_the_account(alice):
    assert f'href="{alice.base}/account-settings"' in (await alice.open("/dashboard")).text
    page = await alice.open("/account-settings")
    assert 'aria-current="page"' in page.text and "Your profile" in texts(page) and "Security" in texts(page)


async def test_name_and_language_are_changed(alice):
    """U183"""
    answer = await alice.send("/account-settings", {"given_name": "Алиса", "locale": "ru"})
    page = await alice.follow(answer)
    assert 'value="Алиса"' in page.text and '<html lang="ru"' in page.text
    refused = await alice.send("/account-settings", {"given_name": " ", "locale": "ru"})
    assert refused.status_code == 422 and 'aria-invalid="true"' in refused.text


async def test_a_picture_is_shown_to_its_owner_and_never_run(alice):
    """U183"""
    sent = {"files": {"file": ("evil.svg", drawn(), "image/svg+xml")}}
    page = await alice.follow(await alice.send("/account-settings/avatar", **sent))
    address = re.search(r'<img src="([^"]+)"', page.text)[1]
    picture = await alice.http.get(address)
    assert picture.headers["content-type"] == "image/webp"
    assert picture.headers["x-content-type-options"] == "nosniff"
    assert picture.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert picture.headers["cache-control"].startswith("private")
    await alice.send("/account-settings/avatar/remove")
    assert (await alice.http.get(address)).status_code == 404


async def test_a_file_that_is_no_picture_is_refused_beside_the_field(alice):
    """U183"""
    sent = {"files": {"file": ("me.png", b"<script>alert(1)</script>", "image/png")}}
    answer = await alice.send("/account-settings/avatar", **sent)
    assert answer.status_code == 422 and "This is not a picture." in texts(answer)
    huge = {"files": {"file": ("me.png", b"x" * 5_000_001, "image/png")}}
    answer = await alice.send("/account-settings/avatar", **huge)
    assert answer.status_code == 413 and "larger than 5 MB" in texts(answer)


async def change(alice, **fields):
    known = {"current_password": PASSWORD, "new_password": NEW, "repeated": NEW}
    return await alice.send(f"{SECURITY}/password", {**known, **fields})


async def test_a_new_password_brings_a_new_cookie_and_ends_the_others(alice, account, database, scope, web):
    """AUTH-10"""
    old, other = alice.http.cookies["session"], await cookie_of(database, scope)
    answer = await change(alice)
    assert "The password is changed" in texts(await alice.follow(answer))
    assert alice.http.cookies["session"] != old
    for dead in (old, other):
        async with stranger_at(web) as thief:
            thief.http.cookies.set("session", dead)
            assert (await thief.http.get("/manage")).headers["location"] == "/login?next=/manage"


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"current_password": "wrong"}, "This is not your password."),
     ({"repeated": "other"}, "The two passwords differ."),
     ({"new_password": "short", "repeated": "short"}, "At least 12 characters")],
)  # fmt: skip
async def test_a_refused_password_says_why(fields, said, alice, account):
    """U039, U184"""
    answer = await change(alice, **fields)
    assert answer.status_code == 422 and said in texts(answer)
    assert answer.text.count('aria-invalid="true"') == 1
    assert NEW not in answer.text


async def test_guessing_the_password_inside_is_slowed_down(alice, account):
    statuses = [(await change(alice, current_password="wrong")).status_code for _try in range(11)]
    assert statuses == [422] * 10 + [429]


async def test_log_ins_are_listed_and_ended(alice, database, scope, web):
    """AUTH-16, U185"""
    other = await cookie_of(database, scope)
    page = await alice.open(SECURITY)
    assert "This one" in texts(page)
    (end,) = re.findall(r'action="([^"]+/sessions/[^"]+/end)"', page.text)
    assert "The log-in is ended" in texts(await alice.follow(await alice.send(end.removeprefix(alice.base))))
    async with stranger_at(web) as thief:
        thief.http.cookies.set("session", other)
        assert (await thief.http.get("/manage")).status_code == 303
    assert (await alice.open(SECURITY)).status_code == 200


async def test_an_app_is_set_up_by_its_first_code(alice, database, scope):
    """AUTH-17, U185"""
    page = await alice.open(f"{SECURITY}/totp")
    assert 'src="data:image/svg+xml' in page.text
    secret = re.search(r"<code>([^<]+)</code>", page.text)[1].replace(" ", "")
    wrong = await alice.send(f"{SECURITY}/totp", {"code": "12345"})
    assert wrong.status_code == 422 and secret[:4] in wrong.text
    cookie = alice.http.cookies["session"]
    shown = await alice.send(f"{SECURITY}/totp", {"code": pyotp.TOTP(secret).now()})
    codes = re.findall(r"<li>([0-9a-z-]{29})</li>", shown.text)
    assert len(codes) == 10 and shown.headers["cache-control"] == "no-store"
    assert alice.http.cookies["session"] != cookie
    # The page's own forms go with the new cookie.
    token = re.search(r'name="csrf_token" value="([^"]+)"', shown.text)[1]
    assert (await alice.http.post("/logout", data={"csrf_token": token})).status_code == 303


async def test_a_right_password_alone_lets_nobody_in(stranger, account, database, scope):
    """AUTH-17, U185"""
    app, _codes = await enrol(database, scope)
    answer = await log_in(stranger, account, next="/manage/1/x", remember="on")
    assert answer.headers["location"] == "/login/code"
    assert "session" not in stranger.http.cookies
    cookie = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("pending="))
    assert {"HttpOnly", "SameSite=lax", "Max-Age=300"} <= set(cookie.split("; "))
    assert (await stranger.http.get("/manage")).headers["location"] == "/login?next=/manage"
    wrong = await stranger.send("/login/code", {"code": "12345"}, headers=elsewhere())
    assert wrong.status_code == 401 and "The code is wrong" in texts(wrong)
    let_in = await stranger.send("/login/code", {"code": app.now()}, headers=elsewhere())
    assert let_in.headers["location"] == "/manage/1/x"
    kept = next(c for c in let_in.headers.get_list("set-cookie") if c.startswith("session="))
    assert "Max-Age=2592000" in kept
    assert "pending" not in stranger.http.cookies


async def test_a_wrong_password_looks_the_same_with_a_second_step(stranger, account, database, scope):
    """AUTH-4"""
    plain = await log_in(stranger, account, "wrong one")
    await enrol(database, scope)
    guarded = await log_in(stranger, account, "wrong one")
    assert (plain.status_code, texts(plain)) == (guarded.status_code, texts(guarded))


async def test_a_recovery_code_lets_in_once(stranger, account, database, scope, web):
    _app, codes = await enrol(database, scope)
    await log_in(stranger, account)
    assert (await stranger.send("/login/code", {"code": codes[0]})).status_code == 303
    async with stranger_at(web) as again:
        await log_in(again, account)
        assert (await again.send("/login/code", {"code": codes[0]}, headers=elsewhere())).status_code == 401


async def test_codes_are_guessed_no_faster_than_passwords(stranger, account, database, scope):
    """AUTH-12"""
    await enrol(database, scope)
    await log_in(stranger, account)
    token, statuses = await stranger.token(), []
    for number in range(10):
        data = {"csrf_token": token, "code": f"{number:05}"}
        statuses.append((await stranger.http.post("/login/code", data=data, headers=elsewhere())).status_code)
    assert statuses == [401] * 9 + [429]  # the log-in itself was the first try


async def test_without_a_password_before_it_there_is_no_second_step(stranger):
    for answer in (
        await stranger.http.get("/login/code"),
        await stranger.send("/login/code", {"code": "123456"}),
    ):
        assert answer.headers["location"] == "/login"


async def test_what_is_sensitive_asks_who_it_is_and_leads_back(alice, account, database, scope):
    app, _codes = await enrol(database, scope)
    await age(database, scope)
    for path in ("/totp/disable", "/recovery-codes", "/passkeys/add", f"/passkeys/{new_id()}/remove"):
        asked = await alice.send(f"{SECURITY}{path}", {"name": "Mine"})
        assert asked.status_code == 303 and "/account-settings/confirm?next=" in asked.headers["location"]
    assert (await alice.send(f"{SECURITY}/passkeys/options")).status_code == 403
    target = f"{alice.base}{SECURITY}/passkeys/add"
    page = await alice.follow(await alice.open(f"{SECURITY}/passkeys/add"))
    assert f'name="next" value="{target}"' in page.text
    wrong = await alice.send("/account-settings/confirm", {"next": target, "password": "wrong"})
    assert wrong.status_code == 422 and "This is not your password." in texts(wrong)
    cookie = alice.http.cookies["session"]
    half = await alice.send("/account-settings/confirm", {"next": target, "password": PASSWORD})
    assert half.status_code == 422 and "The code is wrong" in texts(half)
    both = {"next": target, "password": PASSWORD, "code": app.now()}
    right = await alice.send("/account-settings/confirm", both)
    assert right.headers["location"] == target and alice.http.cookies["session"] != cookie
    assert (await alice.http.get(target)).status_code == 200


async def test_confirming_never_leads_to_another_site(alice, account):
    fields = {"next": "//evil.test", "password": PASSWORD}
    answer = await alice.send("/account-settings/confirm", fields)
    assert answer.headers["location"] == "/manage"


async def test_the_second_step_is_switched_off_after_password_and_code(alice, account, database, scope):
    app, _codes = await enrol(database, scope)
    await age(database, scope)
    security = f"{alice.base}{SECURITY}"
    both = {"next": security, "password": PASSWORD, "code": app.now()}
    await alice.send("/account-settings/confirm", both)
    answer = await alice.send(f"{SECURITY}/totp/disable")
    assert "The second step is off" in texts(await alice.follow(answer))
    async with database.session(scope) as session:
        assert not await identity.has_second_factor(session, scope.actor.id)


CHANGES = {
    "/account-settings": {"given_name": "Mallory", "locale": "en"},
    "/account-settings/avatar/remove": {},
    "/account-settings/confirm": {"password": PASSWORD},
    f"{SECURITY}/password": {"current_password": PASSWORD, "new_password": NEW, "repeated": NEW},
    f"{SECURITY}/others/end": {},
    f"{SECURITY}/totp": {"code": "000000"},
    f"{SECURITY}/passkeys/options": {},
}


@pytest.fixture(params=["impersonator_id", "workspace_id"])
async def borrowed(request, account, database, scope, other_scope):
    """Alice's log-in is an administrator's impersonation, or one her company's provider vouched for."""
    async with database.session(scope) as session:
        if request.param == "workspace_id":
            await session.execute("update app.web_session set workspace_id = $1", scope.org_id)
        else:
            await session.execute(
                "update app.web_session set impersonator_id = $1, impersonation_reason = 'asked'",
                other_scope.actor.id,
            )


@pytest.mark.parametrize("path", CHANGES)
async def test_a_log_in_somebody_else_has_a_hand_in_changes_nothing(path, alice, borrowed, database, scope):
    answer = await alice.send(path, CHANGES[path])
    assert answer.status_code == 403, answer.text
    async with database.session(scope) as session:
        assert (await identity.get_person(session, scope.actor.id)).full_name == "Alice"


async def test_such_a_log_in_learns_no_secret_either(alice, borrowed):
    assert (await alice.open(f"{SECURITY}/totp")).status_code == 403
    page = await alice.open(SECURITY)
    assert "127.0.0.1" not in page.text and "This one" not in texts(page)


@pytest.fixture
async def passkey(web, alice):
    """A passkey Alice has added on the page."""
    key = Authenticator(web.replace("127.0.0.1", "localhost"))
    options = (await alice.send(f"{SECURITY}/passkeys/options")).json()
    fields = {"name": "My desk", "credential": json.dumps(key.create(options))}
    page = await alice.follow(await alice.send(f"{SECURITY}/passkeys/add", fields))
    assert "My desk" in texts(page)
    return key


async def test_a_passkey_lets_in_without_password_and_code(stranger, passkey, database, scope):
    await enrol(database, scope)
    options = (await stranger.send("/login/passkey/options", headers=elsewhere())).json()
    fields = {"credential": json.dumps(passkey.get(options)), "next": "/manage/1/x"}
    answer = await stranger.send("/login/passkey", fields)
    assert answer.headers["location"] == "/manage/1/x" and "session" in stranger.http.cookies


@pytest.mark.parametrize("credential", ["", "[]", "{}", '{"rawId": "AA"}', "[" * 2_000])
async def test_what_is_no_passkey_leads_back_to_the_log_in(credential, stranger):
    answer = await stranger.send("/login/passkey", {"credential": credential})
    assert answer.headers["location"] == "/login" and "session" not in stranger.http.cookies
    assert "This passkey was not accepted." in texts(await stranger.follow(answer))


async def test_questions_for_passkeys_are_limited_too(stranger):
    """AUTH-12"""
    token, where = await stranger.token(), elsewhere()
    ask = {"data": {"csrf_token": token}, "headers": where}
    statuses = [(await stranger.http.post("/login/passkey/options", **ask)).status_code for _ in range(11)]
    assert statuses == [200] * 10 + [429]


async def test_a_passkey_confirms_who_it_is_and_is_removed(alice, passkey, database, scope):
    await age(database, scope)
    options = (await alice.send("/account-settings/confirm/passkey")).json()
    fields = {"credential": json.dumps(passkey.get(options)), "next": f"{alice.base}{SECURITY}/totp"}
    page = await alice.follow(await alice.send("/account-settings/confirm", fields))
    assert page.status_code == 200 and "Scan the picture" in texts(page)
    security = await alice.open(SECURITY)
    (remove,) = re.findall(r'action="([^"]+/passkeys/[^"]+/remove)"', security.text)
    page = await alice.follow(await alice.send(remove.removeprefix(alice.base)))
    assert "My desk" not in texts(page)


async def test_logging_in_again_ends_the_session_before(stranger, account, web):
    """A fixed session is worth nothing afterwards."""
    await log_in(stranger, account)
    first = stranger.http.cookies["session"]
    page = await stranger.http.get("/manage", follow_redirects=True)
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]
    fields = {"csrf_token": token, "email": account, "password": PASSWORD}
    await stranger.http.post("/login", data=fields, headers=elsewhere())
    assert stranger.http.cookies["session"] != first
    async with stranger_at(web) as thief:
        thief.http.cookies.set("session", first)
        assert (await thief.http.get("/manage")).headers["location"] == "/login?next=/manage"
