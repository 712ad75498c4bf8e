"""A second factor that a workspace, or the platform's administration, asks of everybody."""

import json
import re
from dataclasses import replace

import pyotp
import pytest

from administrators import enter_with
from authenticator import Authenticator
from cast import make_scope
from gptagent.features.audit import service as audit
from gptagent.features.identity import service as identity
from gptagent.features.identity.model import CurrentLogIn, Proof, RelyingParty
from gptagent.features.organizations import service as organizations
from gptagent.features.organizations.model import API_KEY_PREFIX
from gptagent.kernel.clock import utcnow
from gptagent.kernel.crypto import load_vault
from gptagent.kernel.errors import Invalid
from gptagent.kernel.ids import new_id, new_token
from gptagent.kernel.scope import PLATFORM_ID
from gptagent.kernel.settings import Settings
from integration.conftest import serving_here
from integration.test_pages_account import SECURITY, age, enrol
from integration.test_pages_login import elsewhere, log_in
from members import PASSWORD, add_member, bearer, cookie_of, number_of, set_password
from readers import reader_of, stranger_at, texts

SECOND_STEP = "/account-settings/second-step"
CONFIRM = "/account-settings/confirm"


@pytest.fixture
def vault(home, roles):
    return load_vault(Settings(gptagent_home=home))


@pytest.fixture
def party(web):
    return RelyingParty.at(web.replace("127.0.0.1", "localhost"))


async def demand(database, scope):
    """Let Alice's workspace ask for a second factor."""
    async with database.session(scope) as session:
        await session.execute("update app.organization set needs_second_factor = true")


@pytest.fixture
async def bobs(web, database, bob):
    await set_password(database, bob)
    async with reader_of(web, database, bob) as reader:
        yield reader


async def email_of(database, scope):
    async with database.session(scope) as session:
        return (await identity.get_person(session, scope.actor.id)).email


def is_led(answer):
    return answer.status_code == 303 and SECOND_STEP in answer.headers["location"]


async def test_only_an_owner_who_has_a_factor_asks_for_one_and_it_is_on_record(alice, database, scope):
    page = await alice.open("/settings")
    assert "You need one yourself first." in texts(page)
    refused = await alice.send("/settings/second-factor", {"needs_second_factor": "yes"})
    assert refused.status_code == 422 and "passkey of your own first" in texts(refused)
    await enrol(database, scope)
    assert (await alice.send("/settings/second-factor", {"needs_second_factor": "yes"})).status_code == 303
    async with database.session(scope) as session:
        assert (await organizations.get_settings(session)).needs_second_factor
        (entry,) = [
            one
            for one in await audit.list_entries(session)
            if one.action == "workspace.second_factor_changed"
        ]
    assert dict(entry.changes)["needs_second_factor"] in ([False, True], (False, True))


async def test_the_api_asks_for_one_by_the_same_rules(web, database, scope, vault, stranger):
    admin = await add_member(database, scope, "admin")
    wanted = {"json": {"needs_second_factor": True}}

    async def patch(who):
        headers = await bearer(database, vault, who)
        return await stranger.http.patch("/api/v1/workspace", headers=headers, **wanted)

    assert (await patch(admin)).json()["code"] == "forbidden"
    refused = await patch(scope)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/needs_second_factor")
    await enrol(database, scope)
    changed = await patch(scope)
    assert (changed.status_code, changed.json()["needs_second_factor"]) == (200, True)


async def test_who_has_none_is_led_to_setting_one_up_and_then_let_in(bobs, database, scope, bob):
    """AUTH-17"""
    token = await bobs.token()
    await demand(database, scope)
    led = await bobs.open("/dashboard")
    assert is_led(led)
    page = await bobs.follow(led)
    assert "A second step is needed" in texts(page) and "AI agents" not in texts(page)
    posted = await bobs.http.post(f"{bobs.base}/settings", data={"csrf_token": token, "name": "Mine"})
    assert is_led(posted)
    stream = await bobs.open("/live", headers={"accept": "text/event-stream"})
    assert stream.status_code == 403
    page = await bobs.open(f"{SECURITY}/totp")
    secret = re.search(r"<code>([^<]+)</code>", page.text)[1].replace(" ", "")
    fields = {"csrf_token": token, "code": pyotp.TOTP(secret).now()}
    codes = await bobs.http.post(f"{bobs.base}{SECURITY}/totp", data=fields)
    assert "Recovery codes" in texts(codes)
    assert (await bobs.open("/dashboard")).status_code == 200
    async with database.session(bob) as session:
        await identity.disable_totp(session, bob.actor.id, origin=bob.origin)
    assert is_led(await bobs.open("/dashboard"))  # the last factor is gone, and with it what it opened


async def test_who_has_one_shows_it_with_the_password(bobs, database, scope, bob):
    token = await bobs.token()
    app, codes = await enrol(database, bob)
    await demand(database, scope)
    led = await bobs.http.get((await bobs.open("/dashboard")).headers["location"])
    assert CONFIRM in led.headers["location"]
    page = await bobs.http.get(led.headers["location"])
    assert "you logged in without one" in texts(page)
    target = f"{bobs.base}/dashboard"

    async def confirm(**fields):
        data = {"csrf_token": token, "next": target, **fields}
        return await bobs.http.post(f"{bobs.base}{CONFIRM}", data=data)

    assert (await confirm(password=PASSWORD)).status_code == 422
    assert (await confirm(code=app.now())).status_code == 422
    assert is_led(await bobs.open("/dashboard"))
    right = await confirm(password=PASSWORD, code=codes[0])
    assert right.headers["location"] == target
    assert (await bobs.open("/dashboard")).status_code == 200


async def make_passkey(database, scope, party):
    """Give the person a passkey, as a page of theirs would."""
    key = Authenticator(party.origin)
    async with database.session(scope) as session:
        person = await identity.get_person(session, scope.actor.id)
        options = await identity.begin_passkey(session, person, party)
        await identity.add_passkey(
            session, person.id, "Mine", key.create(options), party, origin=scope.origin
        )
    return key


async def test_where_a_passkey_is_all_there_is_the_password_confirms_nothing(
    database, scope, bob, stranger, party
):
    """Or a thief of the password would add a factor of their own, here or in another workspace."""
    key = await make_passkey(database, bob, party)
    await set_password(database, bob)
    await demand(database, scope)
    other = await make_scope(database, "Elsewhere")
    async with database.session(other) as session:
        await session.execute("insert into app.member (person_id, role) values ($1, 'member')", bob.actor.id)
    await log_in(stranger, await email_of(database, bob), PASSWORD)
    async with reader_of(str(stranger.http.base_url), database, replace(bob, org_id=other.org_id)) as thief:
        enter_with(thief, stranger.http.cookies["session"])
        asked = await thief.open(f"{SECURITY}/totp")
        assert CONFIRM in asked.headers["location"]
        page = await thief.http.get(asked.headers["location"])
        assert 'name="password"' not in page.text and "the password is not enough" in texts(page)
        refused = await thief.send(CONFIRM, {"password": PASSWORD})
        assert refused.status_code == 403
        assert CONFIRM in (await thief.open(f"{SECURITY}/totp")).headers["location"]
        options = (await thief.send(f"{CONFIRM}/passkey")).json()
        right = await thief.send(CONFIRM, {"credential": json.dumps(key.get(options)), "next": "/manage"})
        assert right.headers["location"] == "/manage"
        assert (await thief.open(f"{SECURITY}/totp")).status_code == 200


async def test_a_log_in_by_code_or_passkey_counts_and_one_by_password_does_not(
    web, database, bob, stranger, party
):
    key = await make_passkey(database, bob, party)
    await set_password(database, bob)
    email = await email_of(database, bob)
    await demand(database, bob)
    start = f"/manage/{await number_of(database, bob)}"
    await log_in(stranger, email, PASSWORD)
    assert is_led(await stranger.http.get(start))
    async with stranger_at(web) as again:
        options = (await again.send("/login/passkey/options", headers=elsewhere())).json()
        await again.send("/login/passkey", {"credential": json.dumps(key.get(options))})
        assert not is_led(await again.http.get(start))
    app, _codes = await enrol(database, bob)
    async with stranger_at(web) as again:
        await log_in(again, email, PASSWORD)
        await again.send("/login/code", {"code": app.now()}, headers=elsewhere())
        assert not is_led(await again.http.get(start))


async def test_over_the_api_a_code_opens_what_a_password_does_not(vault, database, scope, bob, stranger):
    await set_password(database, bob)
    _app, codes = await enrol(database, bob)
    await demand(database, scope)
    weak = await bearer(database, vault, bob)
    refused = await stranger.http.get("/api/v1/agents", headers=weak)
    assert (refused.status_code, refused.json()["code"]) == (403, "second_factor_required")
    body = {"email": await email_of(database, bob), "password": PASSWORD, "code": codes[0]}
    entered = await stranger.http.post("/api/v1/auth/login", json=body, headers=elsewhere())
    strong = {"authorization": f"Bearer {entered.json()['access_token']}"}
    assert (await stranger.http.get("/api/v1/agents", headers=strong)).status_code == 200
    both = {"password": PASSWORD, "code": codes[1]}
    confirmed = await stranger.http.post("/api/v1/account/confirmation", json=both, headers=weak)
    assert confirmed.status_code == 204
    assert (await stranger.http.get("/api/v1/agents", headers=weak)).status_code == 200


@pytest.mark.parametrize("column", ["workspace_id", "impersonator_id"])
async def test_the_companys_own_sign_in_and_an_administrators_eyes_count_as_they_are(
    column, bobs, database, bob, other_scope
):
    await demand(database, bob)
    assert is_led(await bobs.open("/dashboard"))
    async with database.session(bob) as session:
        if column == "workspace_id":
            await session.execute("update app.web_session set workspace_id = $1", bob.org_id)
        else:
            await session.execute(
                "update app.web_session set impersonator_id = $1, impersonation_reason = 'asked'",
                other_scope.actor.id,
            )
    assert (await bobs.open("/dashboard")).status_code == 200


async def test_a_program_with_a_key_goes_on(stranger, database, scope):
    await demand(database, scope)
    key = API_KEY_PREFIX + new_token()
    async with database.session(scope) as session:
        await session.execute(
            """insert into app.api_key (id, name, description, key_hash, key_start, key_end, scopes)
               values ($1, 'Program', '', $2, 'gpa_', 'end', '{view}')""",
            new_id(),
            identity.hash_token(key),
        )
    answer = await stranger.http.get("/api/v1/agents", headers={"authorization": f"Bearer {key}"})
    assert answer.status_code == 200


async def test_the_administration_asks_for_two_factors_where_it_is_set(
    home, database, platform, ada_scope, vault
):
    """AUTH-15"""
    async with (
        serving_here(home, admin_second_factor=True) as url,
        reader_of(url, database, ada_scope) as ada,
    ):
        enter_with(ada, ada.http.cookies["session"])
        for path in ("", "/dashboard", "/people", "/keys", "/audit"):
            assert is_led(await ada.http.get(f"/admin{path}"))
        weak = await bearer(database, vault, ada_scope)
        refused = await ada.http.get("/api/v1/admin/people", headers=weak)
        assert (refused.status_code, refused.json()["code"]) == (403, "second_factor_required")
        assert (await ada.http.get("/api/v1/agents", headers=weak)).status_code == 200
        async with database.session(ada_scope) as session:
            await session.execute("update app.web_session set is_strong = true")
            await session.execute("update app.api_grant set is_strong = true")
        assert (await ada.http.get("/admin/dashboard")).status_code == 200
        assert (await ada.http.get("/api/v1/admin/people", headers=weak)).status_code == 200


async def test_password_and_code_are_both_asked_for_where_both_are_set(database, scope):
    """The code is not looked at, or used up, before the password is right."""
    await set_password(database, scope)
    app, _codes = await enrol(database, scope)
    current = CurrentLogIn()

    async def confirm(**proof):
        await identity.confirm_person(database, scope.actor.id, Proof(**proof), current=current, now=utcnow())

    for proof, field in (
        ({"code": app.now()}, "password"),
        ({"password": "wrong", "code": app.now()}, "password"),
        ({"password": PASSWORD}, "code"),
        ({"password": PASSWORD, "code": "000000"}, "code"),
    ):
        with pytest.raises(Invalid) as refused:
            await confirm(**proof)
        assert [fault.pointer for fault in refused.value.fields] == [field]
    await confirm(password=PASSWORD, code=app.now())


async def test_address_and_password_change_only_after_the_code_where_one_is_set(alice, database, scope):
    await set_password(database, scope)
    await enrol(database, scope)
    await age(database, scope)
    fields = {"current_password": PASSWORD, "new_password": "staple of a battery horse"}
    fields["repeated"] = fields["new_password"]
    for path, sent in (
        ("/account-settings/email", {"email": "new@example.test", "password": PASSWORD}),
        (f"{SECURITY}/password", fields),
    ):
        asked = await alice.send(path, sent)
        assert asked.status_code == 303 and CONFIRM in asked.headers["location"], path
    assert await email_of(database, scope) != "new@example.test"


async def test_a_password_changed_by_the_password_alone_confirms_nothing(alice, database, scope):
    await set_password(database, scope)
    await age(database, scope)
    fields = {"current_password": PASSWORD, "new_password": "staple of a battery horse"}
    fields["repeated"] = fields["new_password"]
    assert (await alice.send(f"{SECURITY}/password", fields)).status_code == 303
    assert CONFIRM in (await alice.open(f"{SECURITY}/totp")).headers["location"]


async def test_who_has_lost_every_factor_gets_in_by_the_operator(database, scope):
    """AUTH-17: told apart by whoever runs the installation; it ends all log-ins and is on record."""
    await enrol(database, scope)
    token = await cookie_of(database, scope)
    origin = replace(scope.origin, request_id=new_id().hex)
    await identity.forget_factors(database, await email_of(database, scope), origin=origin)
    async with database.session(replace(scope, org_id=PLATFORM_ID)) as session:
        assert not await identity.has_any_factor(session, scope.actor.id)
        assert await identity.find_session(session, token) is None
        recorded = await session.fetch(
            "select action from app.audit_event where request_id = $1", origin.request_id
        )
    assert [row["action"] for row in recorded] == ["second_factor.forgotten"]
